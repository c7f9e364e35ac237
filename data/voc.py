"""PASCAL VOC segmentation, through torchvision's VOCSegmentation."""

import os
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from torchvision.datasets import VOCSegmentation

from data.files import DataError
from data.masks import Coding
from data.options import MaskedLoading
from data.pairs import ImagePairs
from data.palette import VOC_CLASSES, bit_colours
from data.segmentation import SegmentationData
from upzoo.fetching import data_home


class VOC(SegmentationData):
    """PASCAL VOC, 20 classes and background, void 255; images of many sizes.

    Source: Everingham et al. 2015, "The PASCAL Visual Object Classes Challenge: A Retrospective".

    Args:
        root: the folder that holds VOCdevkit/; None is $UPZOO_DATA/voc.
        download: let torchvision download it when it is not there (2 GB for 2012).
        year: "2007" to "2012".
        train_set: image set to train on: train, trainval or val.
        val_set: image set to evaluate on.
        loading: options of `MaskedLoading`.
    """

    name = "voc"
    classes = VOC_CLASSES
    palette = bit_colours(21)
    licence = "PASCAL VOC: images under Flickr's terms of use, for research"
    defaults = MaskedLoading(size=(320, 320), batch_size=8, eval_batch_size=1, num_workers=1)

    def __init__(
        self,
        *,
        root: str | os.PathLike[str] | None = None,
        download: bool = False,
        year: str = "2012",
        train_set: str = "train",
        val_set: str = "val",
        **loading: Any,
    ) -> None:
        super().__init__(**loading)
        self.root = Path(root).expanduser() if root is not None else data_home() / "voc"
        self.year = str(year)
        self.image_sets = {"train": train_set, "val": val_set}
        for split, image_set in self.image_sets.items():
            self._open(image_set, download and split == "train")

    def _open(self, image_set: str, download: bool = False) -> VOCSegmentation:
        try:
            return VOCSegmentation(self.root, self.year, image_set, download=False)
        except (RuntimeError, FileNotFoundError):
            if download:
                fetch(self.root, self.year)
                return self._open(image_set)
            raise FileNotFoundError(
                f"no VOC {self.year} with the image set {image_set} at {self.root}: set data.root "
                "to the folder that holds VOCdevkit/, or data.download=true"
            ) from None
        except ValueError as error:
            raise ValueError(" ".join(str(error).split())) from None

    def raw(self, split: str) -> ImagePairs:
        """The image pairs of `split`."""
        found = self._open(self.image_sets[split])
        pairs = zip(map(Path, found.images), map(Path, found.masks), strict=True)
        return ImagePairs(list(pairs), Coding(self.num_classes), self.ignore_index)


def fetch(root: Path, year: str) -> None:
    """Downloads VOC of `year` and moves its folder to `root`, all or nothing.

    Raises:
        DataError: no connection, a broken archive, or another VOC of this year at `root`.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent, prefix=f".{root.name}-") as scratch:
        try:
            VOCSegmentation(scratch, year, "train", download=True)
            (images,) = Path(scratch).rglob("JPEGImages")
            target = root / images.parent.relative_to(scratch)
            target.parent.mkdir(parents=True, exist_ok=True)
            images.parent.replace(target)
        except (OSError, RuntimeError, tarfile.TarError) as error:
            raise DataError(
                f"cannot fetch VOC {year} to {root}: {error}; fetch it by other means and set "
                "data.root to the folder that holds VOCdevkit/"
            ) from None
