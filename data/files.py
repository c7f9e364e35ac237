"""Image files with their masks: found, read and checked; every fault names its file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import Dataset

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
MASK_MODES = ("1", "L", "P", "I", "I;16")
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


class DataError(ValueError):
    """A fault in the data, told in one line.

    A DataLoader builds an exception of its worker anew from the whole traceback's text; only the
    last line of it, our message, is kept.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message.strip().splitlines()[-1].split("DataError: ")[-1])


def read_image(path: Path) -> Tensor:
    """The image as uint8 (3, H, W); greyscale is repeated, alpha is dropped."""
    try:
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGB"))
    except UNREADABLE as error:
        raise DataError(f"cannot read the image {path}: {_reason(error)}") from None
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def open_on_white(path: Path) -> Image.Image:
    """The image as RGB, turned as its EXIF says, whatever is transparent composited on white.

    Raises:
        DataError: if it is no image that Pillow reads.
    """
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            if image.mode in ("RGBA", "LA", "La", "RGBa", "PA") or "transparency" in image.info:
                image = image.convert("RGBA")
                white = Image.new("RGBA", image.size, "white")
                image = Image.alpha_composite(white, image)
            return image.convert("RGB")
    except UNREADABLE as error:
        raise DataError(f"cannot read the image {path}: {_reason(error)}") from None


def read_indices(path: Path) -> Tensor:
    """The mask's values as they are in the file, int64 (H, W); a palette's colours are ignored."""
    try:
        with Image.open(path) as image:
            mode, values = image.mode, np.array(image)
    except UNREADABLE as error:
        raise DataError(f"cannot read the mask {path}: {_reason(error)}") from None
    if mode not in MASK_MODES:
        raise DataError(
            f"the mask {path} is a {mode} image; it must hold one class index a pixel (mode L or P)"
        )
    return torch.from_numpy(values.astype(np.int64))


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


class ImagePairs(Dataset[tuple[Tensor, Tensor]]):
    """Pairs of image and mask files: (uint8 (3, H, W), uint8 (H, W) with `ignore_index` = void).

    Args:
        pairs: (image, mask) paths.
        num_classes: the mask's values must be below this, or void.
        void: the value in the files that means "no label".
        ignore_index: the value that void becomes.

    Raises:
        DataError: no pair at all, a missing mask (here); an unreadable file, a mask of another
            size or with a value out of range (when the sample is read).
    """

    def __init__(
        self,
        pairs: Sequence[tuple[Path, Path]],
        num_classes: int,
        void: int = 255,
        ignore_index: int = 255,
    ) -> None:
        self.pairs = list(pairs)
        self.num_classes, self.void, self.ignore_index = num_classes, void, ignore_index
        for image, mask in self.pairs:
            for path, what in ((image, "image"), (mask, "mask")):
                if not path.is_file():
                    raise DataError(f"the {what} {path} is missing; its pair is {image} / {mask}")

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def names(self) -> list[str]:
        """The stem of each image's file."""
        return [image.stem for image, _ in self.pairs]

    def mask(self, index: int) -> Tensor:
        """The mask of sample `index`, checked, uint8 (H, W)."""
        path = self.pairs[index][1]
        values = read_indices(path)
        values[values == self.void] = self.ignore_index
        wrong = (values != self.ignore_index) & ((values < 0) | (values >= self.num_classes))
        if wrong.any():
            raise DataError(
                f"the mask {path} holds the value {int(values[wrong][0])}; allowed are the classes "
                f"0 .. {self.num_classes - 1} and {self.void} for void"
            )
        return values.to(torch.uint8)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, mask = read_image(self.pairs[index][0]), self.mask(index)
        if image.shape[1:] != mask.shape:
            raise DataError(
                f"the image {self.pairs[index][0]} is {_size(image)} pixels (width × height), "
                f"its mask is {_size(mask)}; they must be equal"
            )
        return image, mask

    def identity(self) -> list[tuple[str, int]]:
        """Name and size in bytes of every file, wherever the folder lies."""
        return [
            (f"{path.parent.name}/{path.name}", path.stat().st_size)
            for pair in self.pairs
            for path in pair
        ]


def _size(tensor: Tensor) -> str:
    return f"{tensor.shape[-1]}×{tensor.shape[-2]}"


def list_pairs(images: Path, masks: Path) -> list[tuple[Path, Path]]:
    """Every image of a folder, sorted by name, with the PNG mask of the same stem.

    Raises:
        DataError: an empty folder, or an image without a mask.
    """
    found = sorted(path for path in images.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise DataError(f"{images} holds no image; wanted are {', '.join(IMAGE_SUFFIXES)} files")
    pairs = [(path, masks / f"{path.stem}.png") for path in found]
    for image, mask in pairs:
        if not mask.is_file():
            raise DataError(f"the image {image} has no mask: {mask} is missing")
    return pairs
