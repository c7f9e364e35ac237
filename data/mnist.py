"""MNIST: handwritten digits, through torchvision's MNIST."""

import os
import tempfile
import zlib
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision import datasets
from torchvision.transforms.v2 import functional as T

from data.base import ImageData
from data.files import DataError
from data.loading import Batch
from data.options import Loading, at_least
from upzoo.fetching import data_home

FILES = tuple(
    f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
)
# what torchvision raises at a broken file or connection
FAULTS = (AssertionError, LookupError, OSError, RuntimeError, TypeError, ValueError)


class Digits:
    """Digits in memory, by an index or a list of them: {"image", "label"}.

    Args:
        images: (N, 28, 28) uint8, 0 for the background.
        labels: (N,) int64.
        size: (height, width) to deliver.
    """

    def __init__(self, images: Tensor, labels: Tensor, size: tuple[int, int]) -> None:
        self.images, self.labels, self.size = images[:, None], labels, size

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int | list[int]) -> Batch:
        return {"image": self._sized(self.images[index]), "label": self.labels[index]}

    def _sized(self, images: Tensor) -> Tensor:
        if self.size == (28, 28):
            return images
        if self.size == (32, 32):
            return F.pad(images, (2, 2, 2, 2))
        return T.resize(images.float(), list(self.size), antialias=True)

    def identity(self) -> list[int]:
        """Checksums: Fashion-MNIST's files have the same names and sizes."""
        arrays = (values.contiguous().numpy() for values in (self.images, self.labels))
        return [zlib.crc32(array.data) for array in arrays]


class MNIST(ImageData):
    """MNIST: 60,000 digits, some of them held out for validation, and 10,000 test digits.

    Images are of one channel in -1 .. 1, as a generator's tanh; the background is -1. At 32×32 they
    are the files' 28×28 pixels within a frame of background 2 pixels wide, as LeNet-5 had them; at
    28×28 the files' own; at any other size they are resized, bilinear and antialiased. Nothing is
    augmented. Source: LeCun et al. 1998, "Gradient-based learning applied to document recognition".

    Args:
        root: the folder that holds MNIST/raw/ with the four idx files; None is $UPZOO_DATA.
        download: let torchvision download them when they are not there (11 MB).
        val: number of training digits to hold out, evenly spaced over the file.
        loading: options of `Loading`; `size` must be square.
    """

    name = "mnist"
    classes = tuple("0123456789")
    licence = "CC BY-SA 3.0: Y. LeCun and C. Cortes"
    mean = (0.5,)
    std = (0.5,)
    in_channels = 1
    test_split = "test"
    features = "mnist_classifier"
    defaults = Loading(size=(32, 32), batch_size=128, eval_batch_size=500)

    def __init__(
        self,
        *,
        root: str | os.PathLike[str] | None = None,
        download: bool = False,
        val: int = 5000,
        **loading: Any,
    ) -> None:
        super().__init__(**loading)
        if self.size[0] != self.size[1]:
            raise ValueError(f"size={list(self.size)} must be square, as digits are: [32, 32]")
        self.val = at_least("val", val, 1)
        self.root = Path(root).expanduser() if root is not None else data_home()
        if download and not (self.root / "MNIST").exists():
            fetch(self.root)
        for name in FILES:
            if not (self.root / "MNIST" / "raw" / name).is_file():
                raise FileNotFoundError(
                    f"no MNIST at {self.root}: MNIST/raw/{name} is missing; set data.root to the "
                    "folder that holds MNIST/raw/, or data.download=true where it holds no MNIST/"
                )

    def raw(self, split: str) -> Digits:
        """The digits of `split`."""
        images, labels = self._read(train=split != "test")
        if split == "test":
            return Digits(images, labels, self.size)
        if self.val >= len(images):
            raise ValueError(f"val={self.val} must be less than the {len(images)} training digits")
        held = torch.zeros(len(images), dtype=torch.bool)
        # the k-th of n held out of N: ⌊k N / n⌋
        held[torch.arange(self.val) * len(images) // self.val] = True
        chosen = held if split == "val" else ~held
        return Digits(images[chosen], labels[chosen], self.size)

    def _read(self, train: bool) -> tuple[Tensor, Tensor]:
        try:
            files = datasets.MNIST(self.root, train)
        except FAULTS as error:
            raise _fault(f"cannot read MNIST at {self.root}", error) from None
        if len(files.data) != len(files.targets) or files.data.shape[1:] != (28, 28):
            raise DataError(
                f"MNIST at {self.root} has images {tuple(files.data.shape)} and "
                f"{len(files.targets)} labels; they must be (N, 28, 28) and N"
            )
        return files.data, files.targets


def fetch(root: Path) -> None:
    """Downloads MNIST to `root`/MNIST, all or nothing.

    Raises:
        DataError: no connection, or broken files.
    """
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".mnist-") as scratch:
        try:
            datasets.MNIST(scratch, download=True)
            (Path(scratch) / "MNIST").replace(root / "MNIST")
        except FAULTS as error:
            fault = _fault(f"cannot fetch MNIST to {root}", error)
            way_out = (
                "fetch it by other means and set data.root to the folder that holds MNIST/raw/"
            )
            raise DataError(f"{fault}; {way_out}") from None


def _fault(what: str, error: Any) -> DataError:
    return DataError(f"{what}: {' '.join(str(error).split()) or type(error).__name__}")
