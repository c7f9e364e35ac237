"""A user's own images and masks."""

import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from data.files import DataError, ImagePairs, list_pairs, read_indices
from data.palette import bit_colours
from data.segmentation import SegmentationData

Pairs = list[tuple[Path, Path]]


class Folder(SegmentationData):
    """`root`/images and `root`/masks: an image of any kind and a PNG of class indices, same stem.

    With images/train and images/val (and, if there is one, images/test), and masks/ alike, these
    are the splits; without them, a share of the images is held out by a hash of their names, so
    that adding images moves none from one side to the other.

    Args:
        root: the folder that holds images/ and masks/.
        classes: names of the classes by index; None counts up to the highest value in the masks,
            which are all read for it.
        void: value in the masks that means "no label".
        val_fraction: share of images to hold out, where there are no train/ and val/ folders.
        size: see SegmentationData, as all that follow.
        eval_size: -
        batch_size: -
        eval_batch_size: -
        num_workers: -
        augment: -
        overfit: -
        seed: -
        cache: -
    """

    name = "folder"
    licence = "the user's own data"

    def __init__(
        self,
        *,
        root: str | os.PathLike[str],
        classes: Sequence[str] | None = None,
        void: int = 255,
        val_fraction: float = 0.2,
        size: Sequence[int] = (256, 256),
        eval_size: Sequence[int] | None = None,
        batch_size: int = 8,
        eval_batch_size: int = 1,
        num_workers: int = 1,
        augment: Mapping[str, Any] | None = None,
        overfit: int | None = None,
        seed: int = 0,
        cache: bool = False,
    ) -> None:
        super().__init__(
            size=size,
            eval_size=eval_size,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            augment=augment,
            overfit=overfit,
            seed=seed,
            cache=cache,
        )
        if not 0 < val_fraction < 1:
            raise ValueError(f"val_fraction={val_fraction} must lie between 0 and 1")
        self.root, self.void = Path(root).expanduser(), void
        for folder in ("images", "masks"):
            if not (self.root / folder).is_dir():
                raise FileNotFoundError(
                    f"{self.root} has no folder {folder}/: data.root must hold images/ and masks/ "
                    "with one PNG mask of class indices for each image, of the same stem"
                )
        self.pairs = self._find(val_fraction)
        self.test_split = "test" if "test" in self.pairs else "val"
        self.classes = tuple(classes) if classes is not None else self._infer_classes()
        if not 2 <= len(self.classes) <= 255:
            raise ValueError(f"{len(self.classes)} classes at {self.root}: 2 to 255 are possible")
        self.palette = bit_colours(len(self.classes))

    def _find(self, val_fraction: float) -> dict[str, Pairs]:
        images, masks = self.root / "images", self.root / "masks"
        if (images / "train").is_dir():
            names = [name for name in ("train", "val", "test") if (images / name).is_dir()]
            if "val" not in names:
                raise FileNotFoundError(f"{images} has train/ but no val/: add it, or use neither")
            return {name: list_pairs(images / name, masks / name) for name in names}
        pairs = list_pairs(images, masks)
        split: dict[str, Pairs] = {"train": [], "val": []}
        for pair in pairs:
            split["val" if _hash_share(pair[0].stem) < val_fraction else "train"].append(pair)
        for name, part in split.items():
            if not part:
                raise DataError(
                    f"val_fraction={val_fraction} leaves no {name} image of the {len(pairs)} at "
                    f"{images}: change it, or make images/train, images/val and masks/ alike"
                )
        return split

    def _infer_classes(self) -> tuple[str, ...]:
        highest = 0
        for pairs in self.pairs.values():
            for _, mask in pairs:
                values = read_indices(mask)
                highest = max([highest, *values[values != self.void].unique().tolist()])
        return tuple(f"class {index}" for index in range(highest + 1))

    def raw(self, split: str) -> ImagePairs:
        """The image pairs of `split`."""
        return ImagePairs(self.pairs[split], self.num_classes, self.void, self.ignore_index)


def _hash_share(stem: str) -> float:
    """A number in 0 .. 1 that depends on the name alone."""
    return int.from_bytes(sha256(stem.encode()).digest()[:8], "big") / 2**64
