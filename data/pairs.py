"""Images with their masks: found, checked and read."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from data.files import DataError, UnreadableError, check_image, read_image
from data.listing import list_files, no_image, summary, unreadable
from data.masks import MASK_SUFFIXES, Coding, read_values

Pair = tuple[Path, Path]
#: Suffixes of masks that would not be what they were.
LOSSY = (".jpg", ".jpeg", ".webp")
ANOTHER_SIZE = "image of another size than its mask"


class ImagePairs(Dataset[tuple[Tensor, Tensor]]):
    """Pairs of image and mask files: (uint8 (3, H, W), uint8 (H, W) with `ignore_index` = void).

    Args:
        pairs: (image, mask) paths.
        coding: what the masks' values mean.
        ignore_index: the value that void becomes.

    Raises:
        DataError: no pair at all, a missing mask (here); an unreadable file, a mask of another
            size or with a value out of range (when the sample is read).
    """

    def __init__(self, pairs: Sequence[Pair], coding: Coding, ignore_index: int = 255) -> None:
        self.pairs = list(pairs)
        self.coding, self.ignore_index = coding, ignore_index
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
        return torch.from_numpy(self.coding.encode(self.pairs[index][1], self.ignore_index))

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, mask = read_image(self.pairs[index][0]), self.mask(index)
        if image.shape[1:] != mask.shape:
            raise DataError(
                f"the image {self.pairs[index][0]} is {_sides(image.shape[1:])} pixels "
                f"(width × height), its mask is {_sides(mask.shape)}; they must be equal"
            )
        return image, mask

    def identity(self) -> list[object]:
        """Name and size in bytes of every file, wherever the folder lies, and any own coding."""
        files: list[object] = [
            (f"{path.parent.name}/{path.name}", path.stat().st_size)
            for pair in self.pairs
            for path in pair
        ]
        return files if self.coding.values is None else [*files, self.coding]


@dataclass
class PairListing:
    """Pairs of files in a folder of images and one of masks.

    Attributes:
        images: the folder of images.
        pairs: (image, mask) paths, sorted by the image's name.
        left_out: path of a file or folder -> why it is not used.
    """

    images: Path
    pairs: list[Pair] = field(default_factory=list)
    left_out: dict[Path, str] = field(default_factory=dict)


def list_pairs(
    images: Path, masks: Path, image_suffix: str = "", mask_suffix: str = ""
) -> PairListing:
    """Every image below a folder with the mask of the same path and stem below another.

    `images/a/x.jpg` goes with `masks/a/x.png`, or with `x_mask.png` for `mask_suffix="_mask"`.

    Raises:
        FileNotFoundError: no such folder.
        DataError: no image, or none with a mask.
    """
    found, theirs = list_files(images), list_files(masks, (*MASK_SUFFIXES, *LOSSY))
    if not found.names:
        raise DataError(no_image(found))
    listing = PairListing(images)
    by_stem: dict[str, list[str]] = defaultdict(list)
    for name in theirs.names:
        by_stem[_stem(name)].append(name)
    takers = Counter(_stem(name, image_suffix) for name in found.names)
    for name in found.names:
        mask, why = _mask_of(name, by_stem, takers, (image_suffix, mask_suffix))
        if mask:
            listing.pairs.append((images / name, masks / mask))
        else:
            found.left_out[name] = why
    wanted = {str(mask) for _, mask in listing.pairs}
    for name in theirs.names:
        if str(masks / name) not in wanted:
            theirs.left_out[name] = "mask without an image"
    for folder, names in ((images, found.left_out), (masks, theirs.left_out)):
        listing.left_out |= {folder / name: why for name, why in names.items()}
    if not listing.pairs:
        raise DataError(_no_pair(images, masks, found.names, theirs.names, found.left_out))
    return listing


def _stem(name: str, suffix: str = "") -> str:
    return PurePosixPath(name).with_suffix("").as_posix().removesuffix(suffix)


def _mask_of(
    name: str,
    by_stem: Mapping[str, list[str]],
    takers: Counter[str],
    suffixes: tuple[str, str],
) -> tuple[str, str]:
    """(the mask's name, "") of an image, or ("", why it has none)."""
    if not _stem(name).endswith(suffixes[0]):
        return "", f"image without {suffixes[0]} in its name"
    # x.jpg.png says which image it is of; x.png need not
    for stem in (name, _stem(name, suffixes[0])):
        masks = by_stem.get(f"{stem}{suffixes[1]}", [])
        whole = [mask for mask in masks if not mask.lower().endswith(LOSSY)]
        if masks and not whole:
            return "", "image with a mask that is a JPEG or WebP, which changes class indices"
        if len(whole) > 1:
            return "", f"image with several masks: {' and '.join(whole)}"
        if whole and stem != name and takers[stem] > 1:
            return "", f"image of a name that another one has: both want {whole[0]}"
        if whole:
            return whole[0], ""
    return "", "image without a mask"


def _no_pair(
    images: Path,
    masks: Path,
    names: Sequence[str],
    theirs: Sequence[str],
    left_out: Mapping[str, str],
) -> str:
    """That no image has a mask, with what would help."""
    if not theirs:
        what = f"{masks} holds no mask; wanted are {', '.join(MASK_SUFFIXES)} files"
    elif {left_out[name] for name in names} == {"image without a mask"}:
        what = f"no image in {images} has a mask in {masks}: {names[0]} wants {_stem(names[0])}.png"
        what += f", there is {theirs[0]}"
    else:
        return f"no image in {images} has a mask in {masks}: {summary(left_out)}"
    endings = {_endings(_stem(n), _stem(t)) for n, t in zip(names, theirs, strict=False)}
    if len(endings) == 1 and (of_both := endings.pop()) != (_stem(names[0]), _stem(theirs[0])):
        options = zip(("image", "mask"), of_both, strict=True)
        what += ": set " + " ".join(f"data.{of}_suffix={end}" for of, end in options if end)
    return what


@dataclass
class Checked:
    """What is in pairs of files.

    Attributes:
        pairs: those that are whole and fit each other.
        left_out: the others -> why.
        values: every value in their masks -> the first mask that holds it.
        coloured: the first mask in colours, if there is one.
    """

    pairs: list[Pair] = field(default_factory=list)
    left_out: dict[Path, str] = field(default_factory=dict)
    values: dict[int, Path] = field(default_factory=dict)
    coloured: Path | None = None


def check_pairs(pairs: Sequence[Pair], colours: bool = False) -> Checked:
    """Look into every file: is it whole, do image and mask fit, what values has the mask?

    Args:
        pairs: (image, mask) paths.
        colours: whether the masks' values are colours.
    """
    checked = Checked()
    with ThreadPoolExecutor() as pool:
        results = pool.map(lambda pair: _check_pair(pair, colours), pairs)
        for pair, result in zip(pairs, results, strict=True):
            if isinstance(result, str):
                checked.left_out[pair[0]] = result
                continue
            values, coloured = result
            checked.pairs.append(pair)
            for value in values:
                checked.values.setdefault(value, pair[1])
            if coloured and checked.coloured is None:
                checked.coloured = pair[1]
    return checked


def _check_pair(pair: Pair, colours: bool) -> tuple[list[int], bool] | str:
    """The values of a mask and whether they are colours, or why the pair is left out."""
    image, mask = pair
    try:
        size = check_image(image)
    except UnreadableError as error:
        return unreadable(error)
    try:
        values, coloured = read_values(mask, colours)
    except UnreadableError as error:
        return f"image with an unreadable mask: {unreadable(error).partition(': ')[2]}"
    if size != values.shape:
        return f"{ANOTHER_SIZE}: {_sides(size)} and {_sides(values.shape)}"
    return np.unique(values).tolist(), coloured


def _sides(size: Sequence[int]) -> str:
    return f"{size[1]}×{size[0]}"


def _endings(image: str, mask: str) -> tuple[str, str]:
    """What two names end with after the last sign up to which they agree.

    >>> _endings("a/b_0_leftImg8bit", "a/b_0_gtFine")
    ('_leftImg8bit', '_gtFine')
    """
    shorter = min(len(image), len(mask))
    agreed = next((i for i in range(shorter) if image[i] != mask[i]), shorter)
    if agreed < shorter:  # "_l" and "_g" agree on a sign that belongs to both endings
        agreed = max(0, *(image.rfind(sign, 0, agreed) for sign in "_-. "))
    return image[agreed:], mask[agreed:]
