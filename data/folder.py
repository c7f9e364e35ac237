"""A user's own images and masks."""

import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from data.coding import class_names, display_colours, finish, in_colours, make_coding
from data.files import DataError
from data.listing import HIDDEN, summary
from data.masks import infer_classes
from data.options import MaskedLoading
from data.pairs import Checked, ImagePairs, Pair, check_pairs, list_pairs
from data.segmentation import SegmentationData

#: Split -> names of its folder, in any case.
SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


class Folder(SegmentationData):
    """`root`/images and `root`/masks: an image and a mask of the same path and stem below both.

    With images/train and images/val (and, if there is one, images/test), and masks/ alike, or with
    train/images, train/masks and so on, these are the splits; without them, a share of the images
    is held out by a hash of their names, so that adding images moves none from one side to the
    other.

    Every file is looked into when the data is made: images without a mask, damaged files and pairs
    of different sizes are left out, and `left_out` says so.

    Args:
        root: the folder that holds images/ and masks/.
        images: name of the folder of images, in any case.
        masks: name of the folder of masks, in any case.
        classes: names of the classes by index, all different, or their number; None takes the
            values of the masks, which must be 0, 1, 2 ….
        void: value in the masks that means "no label", or its colour [r, g, b]; None where none
            does. A value that `values` lists is a class all the same.
        values: the value of each class by index, such as [0, 255]; None: the index itself.
        palette: "voc", "camvid" or the colour [r, g, b] of each class, where masks are coded by
            colour; None: they hold values.
        image_suffix: what images have in their names after the stem that they share with their
            masks, such as "_leftImg8bit".
        mask_suffix: what masks have there, such as "_mask".
        val_fraction: share of images to hold out, where there are no train/ and val/ folders.
        loading: options of `MaskedLoading`.

    Raises:
        DataError: no pair that can be used, or masks with values that are no classes.
    """

    name = "folder"
    licence = "the user's own data"
    defaults = MaskedLoading(size=(256, 256), batch_size=8, eval_batch_size=1, num_workers=1)

    def __init__(
        self,
        *,
        root: str | os.PathLike[str],
        images: str = "images",
        masks: str = "masks",
        classes: Sequence[str] | int | None = None,
        void: int | Sequence[int] | None = 255,
        values: Sequence[int] | None = None,
        palette: str | Sequence[Sequence[int]] | None = None,
        image_suffix: str = "",
        mask_suffix: str = "",
        val_fraction: float = 0.2,
        **loading: Any,
    ) -> None:
        super().__init__(**loading)
        names = class_names(classes)
        if isinstance(val_fraction, bool) or not 0 < val_fraction < 1:
            raise ValueError(f"val_fraction={val_fraction} must lie between 0 and 1")
        for name, suffix in (("image_suffix", image_suffix), ("mask_suffix", mask_suffix)):
            if not isinstance(suffix, str):
                raise ValueError(f"{name}={suffix!r} must be text such as _mask")
        for name, folder in (("images", images), ("masks", masks)):
            path = Path(folder) if isinstance(folder, str) and folder else Path("..")
            if ".." in path.parts or path.is_absolute():
                raise ValueError(f"{name}={folder!r} must be the name of a folder in data.root")
        if (images, image_suffix) == (masks, mask_suffix):
            raise ValueError(
                f"images and masks are both {images!r} of the same names: set image_suffix or "
                "mask_suffix"
            )
        coding, own_names = make_coding(values, palette, void)
        self.root = Path(root).expanduser()
        self.left_out = {}
        self.pairs, checked = self._check(
            self._find((images, masks), (image_suffix, mask_suffix), val_fraction), coding.colours
        )
        where = f"the masks at {self.root / masks}"
        if checked.coloured and not coding.colours:
            raise DataError(in_colours(checked))
        if names is None:
            count = coding.num_classes or infer_classes(checked.values, coding.void, where)
            names = own_names or class_names(count)
        assert names is not None
        self.classes = names
        self.coding = finish(coding, names, checked, where)
        self.palette = display_colours(palette, len(names))
        self.test_split = "test" if "test" in self.pairs else "val"

    def _find(
        self, names: tuple[str, str], suffixes: tuple[str, str], val_fraction: float
    ) -> dict[str, list[Pair]]:
        below = _split_folders(self.root)
        if "train" in below and _folder_in(self.root, names[0]) is None:
            self._need_val(self.root, below)
            return {
                split: self._pairs(_folder(folder, names[0]), _folder(folder, names[1]), suffixes)
                for split, folder in below.items()
            }
        images, masks = (_folder(self.root, name) for name in names)
        folders = _split_folders(images)
        if "train" in folders:
            self._need_val(images, folders)
            self._leave_out_beside(images, folders)
            return {
                split: self._pairs(folder, _mask_folder(masks, split, folder), suffixes)
                for split, folder in folders.items()
            }
        pairs = self._pairs(images, masks, suffixes)
        splits: dict[str, list[Pair]] = {"train": [], "val": []}
        for pair in pairs:
            stem = pair[0].relative_to(images).with_suffix("").as_posix()
            splits["val" if _hash_share(stem) < val_fraction else "train"].append(pair)
        for name, part in splits.items():
            if not part:
                raise DataError(
                    f"val_fraction={val_fraction} leaves no {name} image of the {len(pairs)} at "
                    f"{images}: change it, or make images/train, images/val and masks/ alike"
                )
        return splits

    @staticmethod
    def _need_val(folder: Path, splits: Mapping[str, Path]) -> None:
        if "val" not in splits:
            raise FileNotFoundError(f"{folder} has train/ but no val/: add it, or use neither")

    def _pairs(self, images: Path, masks: Path, suffixes: tuple[str, str]) -> list[Pair]:
        listing = list_pairs(images, masks, *suffixes)
        for path, why in listing.left_out.items():
            self._leave_out(path, why)
        return listing.pairs

    def _leave_out(self, path: Path, why: str) -> None:
        self.left_out = {**self.left_out, path.relative_to(self.root).as_posix(): why}

    def _leave_out_beside(self, images: Path, folders: Mapping[str, Path]) -> None:
        """Note what lies beside the folders of the splits."""
        for path in sorted(set(images.iterdir()) - set(folders.values())):
            what = "folder beside train/ and val/" if path.is_dir() else "file beside train/"
            self._leave_out(path, HIDDEN if path.name.startswith(".") else what)

    def _check(
        self, splits: Mapping[str, list[Pair]], colours: bool
    ) -> tuple[dict[str, list[Pair]], Checked]:
        """The pairs that are whole, and what is in all of them."""
        checked = check_pairs([pair for pairs in splits.values() for pair in pairs], colours)
        for path, why in checked.left_out.items():
            self._leave_out(path, why)
        whole = set(checked.pairs)
        kept = {name: [pair for pair in pairs if pair in whole] for name, pairs in splits.items()}
        for name, pairs in kept.items():
            if not pairs:
                raise DataError(
                    f"no {name} image at {self.root} can be used: {summary(self.left_out)}"
                )
        return kept, checked

    def raw(self, split: str) -> ImagePairs:
        """The image pairs of `split`."""
        return ImagePairs(self.pairs[split], self.coding, self.ignore_index)


def _folder_in(place: Path, name: str) -> Path | None:
    """A folder of this name in a place; in another case where no other has that."""
    if (place / name).is_dir():
        return place / name
    alike = [p for p in _folders_in(place) if p.name.lower() == name.lower()]
    return alike[0] if len(alike) == 1 else None


def _folders_in(place: Path) -> list[Path]:
    return sorted(p for p in place.iterdir() if p.is_dir()) if place.is_dir() else []


def _folder(place: Path, name: str) -> Path:
    """The same.

    Raises:
        FileNotFoundError: there is none; with those that there are.
    """
    found = _folder_in(place, name)
    if found is not None:
        return found
    line = (
        f"{place} has no folder {name}/: data.root must hold images/ and masks/ with one mask of "
        "class indices for each image, of the same stem"
    )
    others = [f"{p.name}/" for p in _folders_in(place) if not p.name.startswith(".")]
    if others:
        line += f"; {', '.join(others[:6])} are named by data.images= and data.masks="
    raise FileNotFoundError(line)


def _split_folders(folder: Path) -> dict[str, Path]:
    """Split -> its folder, where there is one."""
    below = {path.name.lower(): path for path in _folders_in(folder)}
    found = {
        split: next((below[name] for name in names if name in below), None)
        for split, names in SPLIT_FOLDERS.items()
    }
    return {split: path for split, path in found.items() if path is not None}


def _mask_folder(masks: Path, split: str, images: Path) -> Path:
    found = _split_folders(masks)
    if split not in found:
        raise FileNotFoundError(f"{masks} has no {split}/, and {images} is there: add it")
    return found[split]


def _hash_share(stem: str) -> float:
    """A number in 0 .. 1 that depends on the name alone."""
    return int.from_bytes(sha256(stem.encode()).digest()[:8], "big") / 2**64
