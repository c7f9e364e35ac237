"""A user's own images, without labels: any folder, at one size."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms.v2 import functional as T

from data.base import ImageData
from data.files import DataError, open_image
from data.listing import list_images
from data.loading import Batch
from data.options import Loading, at_least
from data.sampler import share_from

SPLITS = ("val", "test", "train")


class Pictures:
    """Image files at one size, by an index or a list of them: {"image": uint8 (…, C, H, W)}.

    The shorter side fits, the longer one is cropped about its centre; resizing is bilinear and
    antialiased.

    Args:
        root: the folder that `names` are relative to.
        names: the files, with / between folders.
        size: (height, width) in pixels.
        grey: one channel instead of three.
        memory: bytes of images to keep once they are read; the rest are read again each time.
    """

    def __init__(
        self, root: Path, names: list[str], size: tuple[int, int], grey: bool, memory: int
    ) -> None:
        self.root, self.names, self.size, self.grey = root, names, size, grey
        self.limit = memory // ((1 if grey else 3) * size[0] * size[1])
        self.kept: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int | list[int]) -> Batch:
        if isinstance(index, list):
            return {"image": torch.stack([self._pixels(i) for i in index])}
        return {"image": self._pixels(index)}

    def _pixels(self, index: int) -> Tensor:
        pixels = self.kept.get(index)
        if pixels is None:
            pixels = self._read(index)
            if len(self.kept) < self.limit:
                self.kept[index] = pixels
        return pixels

    def _read(self, index: int) -> Tensor:
        image = open_image(self.root / self.names[index])
        image = ImageOps.fit(image, self.size[::-1], Image.Resampling.BILINEAR)
        return T.pil_to_tensor(image.convert("L") if self.grey else image)

    def identity(self) -> list[tuple[str, int]]:
        """Name and size in bytes of every file, wherever the folder lies."""
        return [(name, (self.root / name).stat().st_size) for name in self.names]


class Images(ImageData):
    """Every image below a folder, in -1 .. 1, split by a hash of its name.

    Transparent images are composited on white. An image's split follows from its path below `root`
    alone, so that adding images moves none. Hidden files, damaged ones and a second link to the
    same file are left out; `left_out` says so.

    Args:
        root: the folder; it may hold folders.
        name: what records and run folders call this data.
        licence: the images' own, for the model files trained on them.
        val: share of the images to hold out for validation.
        test: share of the images to hold out for the test.
        grey: one channel instead of three.
        flip: probability of mirroring a training image; not where images hold text.
        memory: MiB of images kept once read, in each process and split; the rest are read again.
        loading: options of `Loading`; of an image the shorter side is resized to fit `size`, the
            longer one cropped.
    """

    name = "images"
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    test_split = "test"
    defaults = Loading(size=(64, 64), batch_size=64, eval_batch_size=64)

    def __init__(
        self,
        *,
        root: str | os.PathLike[str],
        name: str = "images",
        licence: str = "the user's own data",
        val: float = 0.05,
        test: float = 0.05,
        grey: bool = False,
        flip: float = 0.0,
        memory: int = 2048,
        **loading: Any,
    ) -> None:
        super().__init__(**loading)
        if not re.fullmatch(r"\w+", name):
            raise ValueError(f"name={name!r} must be of letters, digits and underscores")
        if not 0 <= flip <= 1:
            raise ValueError(f"flip={flip} must be a probability, 0 to 1")
        self.name, self.licence, self.flip = name, licence, flip
        self.memory = at_least("memory", memory, 0) * 2**20
        self.grey = grey
        if grey:
            self.in_channels, self.mean, self.std = 1, self.mean[:1], self.std[:1]
        self.root = Path(root).expanduser()
        listing = list_images(self.root)
        self.left_out = listing.left_out
        self.names = split_by_name(listing.names, val, test, self.root)

    def raw(self, split: str) -> Pictures:
        """The images of `split`."""
        return Pictures(self.root, self.names[split], self.size, self.grey, self.memory)


def split_by_name(
    names: Sequence[str], val: float, test: float, root: Path
) -> dict[str, list[str]]:
    """Images split by a hash of their names: "val" and "test" by their shares, "train" the rest.

    Args:
        names: of the images, relative to `root`.
        val: share to hold out for validation.
        test: share to hold out for the test.
        root: the folder, for the message.

    Raises:
        ValueError: shares out of range.
        DataError: a split without an image.
    """
    if not (val > 0 and test > 0 and val + test < 1):
        raise ValueError(f"val={val} and test={test} must be shares above 0, below 1 together")
    split: dict[str, list[str]] = {name: [] for name in SPLITS}
    for name in names:
        place = share_from("split", name)
        split["val" if place < val else "test" if place < val + test else "train"].append(name)
    for part, found in split.items():
        if not found:
            raise DataError(
                f"val={val} and test={test} leave no {part} image of the {len(names)} at "
                f"{root}: change these shares, or add images"
            )
    return split
