"""What all super-resolution data share: scale, colour, patches to train on, whole test images."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data.base import ImageData
from data.files import DataError
from data.listing import list_images
from data.options import PatchLoading
from data.resolutions import PatchPairs, Resolutions, WholePairs
from data.sampler import share_from

#: Pixels that a side must have without its border, to be scored: a window of SSIM.
WINDOW = 11


class SuperResolutionData(ImageData):
    """The base of super-resolution data: images and their bicubic reductions.

    A sample is {"image": the low resolution, "target": the high one}, both normalised. A subclass
    says what it is and gives `files`: split -> (folder, names).

    Args:
        loading: options of `PatchLoading` that differ from the defaults.
    """

    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.25,)
    files: dict[str, tuple[Path, list[str]]]

    defaults = PatchLoading()
    loading: PatchLoading

    def __init__(self, **loading: Any) -> None:
        super().__init__(**loading)
        self.scale, self.color = self.loading.scale, self.loading.color
        self.in_channels = 1 if self.color == "y" else 3
        self.mean, self.std = self.mean * self.in_channels, self.std * self.in_channels

    def raw(self, split: str) -> Resolutions:
        """The images of `split`."""
        folder, names = self.files[split]
        memory = self.loading.memory * 2**20
        return Resolutions(folder, names, self.scale, self.color == "y", memory)

    def setup(self, stage: str | None = None) -> None:
        """Finds the images of every split, and refuses those that are too small, by their header.

        Raises:
            DataError: an image smaller than a training patch, or too small to be scored.
        """
        if self.splits:
            return
        for split in self.files:
            raw = self.raw(split)
            if split == "train":
                cure = "take it out, or give a smaller data.patch"
                raw.refuse_smaller(self.size[0], f"patch={self.loading.patch}", cure)
            else:
                raw.refuse_smaller(2 * self.scale + WINDOW, "SSIM without the border")
        super().setup(stage)

    @property
    def split_names(self) -> tuple[str, ...]:
        """Names of the splits that there are files of."""
        return tuple(self.files)

    @property
    def train_samples(self) -> int:
        """Patches of an epoch."""
        return self.loading.patches

    def prepared(self, split: str) -> WholePairs:
        """The split `split` as it is evaluated: whole images by index."""
        return WholePairs(self.split(split), self.mean, self.std)

    def augmented(self) -> PatchPairs:
        """Patches of the training images by (epoch, index)."""
        options, split = self.loading, self.split("train")
        turn = options.turn and not options.overfit
        return PatchPairs(
            split, self.mean, self.std, options.patch, options.patches, turn, options.seed
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
    return folder, list_images(folder).names
