"""What all super-resolution data share: scale, colour, patches to train on, whole test images."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data.base import ImageData, at_least
from data.files import DataError
from data.images import list_images
from data.resolutions import PatchPairs, Resolutions, WholePairs
from data.sampler import share_from

#: Pixels that a side must have without its border, to be scored: a window of SSIM.
WINDOW = 11
COLORS = ("y", "rgb")


class SuperResolutionData(ImageData):
    """The base of super-resolution data: images and their bicubic reductions.

    A sample is {"image": the low resolution, "target": the high one}, both normalised. A subclass
    says what it is and gives `files`: split -> (folder, names).

    Args:
        scale: of the reduction, 2 or more.
        color: "y", luma alone, as the field trains and scores, or "rgb".
        patch: side of a training patch in pixels of the low resolution.
        patches: training patches of an epoch, drawn anew in each.
        turn: flip and turn training patches, by one of the eight symmetries of the square.
        memory: MiB of images kept once read, in each process and split; the rest are read again.
        batch_size: see ImageData, as all that follow.
        eval_batch_size: -
        num_workers: -
        overfit: train on patches of the first so many images, and evaluate on these.
        seed: -
    """

    mean = (0.5,)
    std = (0.25,)
    files: dict[str, tuple[Path, list[str]]]

    def __init__(
        self,
        *,
        scale: int,
        color: str,
        patch: int,
        patches: int,
        turn: bool,
        memory: int,
        batch_size: int,
        eval_batch_size: int,
        num_workers: int,
        overfit: int | None,
        seed: int,
    ) -> None:
        self.scale = at_least("scale", scale, 2)
        self.patch = at_least("patch", patch, 1)
        if color not in COLORS:
            raise ValueError(f"color={color!r} must be {' or '.join(COLORS)}")
        super().__init__(
            size=(scale * patch, scale * patch),
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            overfit=overfit,
            seed=seed,
        )
        self.color = color
        self.in_channels = 1 if color == "y" else 3
        self.mean, self.std = self.mean * self.in_channels, self.std * self.in_channels
        self.patches = at_least("patches", patches, 1)
        self.turn = turn
        self.memory = at_least("memory", memory, 0) * 2**20

    def raw(self, split: str) -> Resolutions:
        """The images of `split`."""
        folder, names = self.files[split]
        return Resolutions(folder, names, self.scale, self.color == "y", self.memory)

    def setup(self, stage: str | None = None) -> None:
        """Finds the images of every split, and refuses those that are too small, by their header.

        Raises:
            DataError: an image smaller than a training patch, or too small to be scored.
        """
        if self.splits:
            return
        for split in self.files:
            least, why = self.scale * self.patch, f"patch={self.patch}"
            if split != "train":
                least, why = 2 * self.scale + WINDOW, "SSIM without the border"
            self.raw(split).refuse_smaller(least, why)
        super().setup(stage)

    @property
    def train_samples(self) -> int:
        """Patches of an epoch."""
        return self.patches

    def prepared(self, split: str) -> WholePairs:
        """The split `split` as it is evaluated: whole images by index."""
        return WholePairs(self.split(split), self.mean, self.std)

    def augmented(self) -> PatchPairs:
        """Patches of the training images by (epoch, index)."""
        turn = self.turn and not self.overfit
        return PatchPairs(
            self.split("train"), self.mean, self.std, self.patch, self.patches, turn, self.seed
        )

    def card(self) -> dict[str, Any]:
        """What a checkpoint tells of the data: normalisation, and the channels' meaning."""
        return {**super().card(), "color": self.color, "scale": self.scale}


def hold_out(names: Sequence[str], count: int, root: Path) -> tuple[list[str], list[str]]:
    """Training and validation images: held out are `count`, those with the smallest hash of a name.

    Raises:
        DataError: fewer images than that, or just as many.
    """
    if count >= len(names):
        raise DataError(f"val={count} must be less than the {len(names)} images at {root}")
    held = set(sorted(names, key=lambda name: share_from("split", name))[:count])
    return [n for n in names if n not in held], [n for n in names if n in held]


def find_folder(root: str | os.PathLike[str], name: str) -> tuple[Path, list[str]]:
    """The folder `name` of `root`, and the images below it.

    Raises:
        FileNotFoundError: it is not there.
        DataError: it holds no image.
    """
    folder = Path(root).expanduser() / name
    if not folder.is_dir():
        raise FileNotFoundError(
            f"no folder {folder}: set data.root to the folder that holds {name}/"
        )
    return folder, list_images(folder)
