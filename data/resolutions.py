"""Images in two resolutions: pairs to evaluate on, random patches of them to train on."""

from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from data.files import DataError, check_image, read_image
from data.loading import Batch
from data.sampler import seed_from, share_from
from data.symmetries import symmetry
from upzoo.bicubic import reduce
from upzoo.metrics.restoration import luma


class Resolutions:
    """Image files, each with its bicubic reduction; they may differ in size.

    `resolutions[i]` is {"image": float32 (C, H, W), "target": uint8 (C, scale·H, scale·W)}: the
    image, cut at the right and at the bottom to a multiple of the scale, and what it becomes, in
    0 … 255, neither rounded nor clipped. C is 1, luma, or 3, colours.

    Args:
        root: the folder that `names` are relative to.
        names: the files, with / between folders.
        scale: of the reduction.
        luma_only: luma (see `upzoo.metrics.restoration.luma`) instead of colours.
        memory: bytes of images to keep once they are read; the rest are read again each time.
    """

    def __init__(
        self, root: Path, names: Sequence[str], scale: int, luma_only: bool, memory: int
    ) -> None:
        self.root, self.names, self.scale = root, list(names), scale
        self.luma_only, self.memory = luma_only, memory
        self.kept: dict[int, Batch] = {}

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Batch:
        pair = self.kept.get(index)
        if pair is None:
            pair = self._read(index)
            size = sum(values.nbytes for values in pair.values())
            if size <= self.memory:
                self.memory -= size
                self.kept[index] = pair
        return dict(pair)

    def _read(self, index: int) -> Batch:
        target = read_image(self.root / self.names[index])
        height, width = (side - side % self.scale for side in target.shape[1:])
        target = target[:, :height, :width]
        if self.luma_only:
            target = luma(target).to(torch.uint8)
        image = reduce(target.double(), self.scale).float()
        return {"image": image, "target": target.contiguous()}

    def low_size(self, index: int) -> tuple[int, int]:
        """(height, width) of the reduced image `index` in pixels, without decoding its file."""
        height, width = check_image(self.root / self.names[index])
        return height // self.scale, width // self.scale

    def refuse_smaller(self, least: int, why: str, cure: str = "take it out") -> None:
        """Refuse images of which a side has fewer than `least` pixels, the first one by name.

        Args:
            least: pixels.
            why: what needs as many.
            cure: what to do.
        """
        for index, name in enumerate(self.names):
            low = min(self.low_size(index)) * self.scale
            if low < least:
                raise DataError(
                    f"the image {self.root / name} has a side of {low} pixels (in multiples of "
                    f"scale={self.scale}), but {why} needs {least}: {cure}"
                )

    def identity(self) -> list[tuple[str, int]]:
        """Name and size in bytes of every file, wherever the folder lies."""
        return [(name, (self.root / name).stat().st_size) for name in self.names]


class WholePairs(Dataset[Batch]):
    """Whole images in two resolutions, both as (x / 255 - mean) / std, by index."""

    def __init__(self, split: Any, mean: Sequence[float], std: Sequence[float]) -> None:
        self.split = split
        self.mean = torch.tensor(mean).view(-1, 1, 1)
        self.std = torch.tensor(std).view(-1, 1, 1)

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> Batch:
        return {name: self.normalise(values) for name, values in self.split[index].items()}

    def normalise(self, values: Tensor) -> Tensor:
        """Normalised values of those in 0 … 255: (x / 255 - mean) / std."""
        return (values / 255).sub_(self.mean).div_(self.std)


class PatchPairs(WholePairs):
    """Random patches in two resolutions, flipped and turned, by (epoch, index).

    A patch depends on (seed, epoch, index) alone. The positions of all images in one line are cut
    into as many parts as there are patches, and patch `index` is drawn from part `index`: every
    image gives as many patches as its area deserves, in every epoch.

    Args:
        split: of `Resolutions`, or the first of them; read when a patch is drawn from them.
        mean: mean colour in 0 .. 1, per channel.
        std: deviation, per channel.
        patch: side of a patch in pixels of the low resolution.
        count: patches of an epoch.
        turn: whether to flip and turn them, by one of the eight symmetries of the square.
        seed: seed of positions and symmetries.
    """

    def __init__(
        self,
        split: Any,
        mean: Sequence[float],
        std: Sequence[float],
        patch: int,
        count: int,
        turn: bool,
        seed: int,
    ) -> None:
        super().__init__(split, mean, std)
        self.patch, self.count, self.turn, self.seed = patch, count, turn, seed
        sizes = [split.low_size(index) for index in range(len(split))]
        self.ends = list(accumulate((h - patch + 1) * (w - patch + 1) for h, w in sizes))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, key: Any) -> Batch:
        return {name: values[0] for name, values in self.__getitems__([key]).items()}

    def __getitems__(self, keys: list[tuple[int, int]]) -> Batch:
        cuts = [self._cut(epoch, index) for epoch, index in keys]
        batch = {name: torch.stack([cut[name] for cut in cuts]) for name in cuts[0]}
        if self.turn:
            turns = torch.tensor([seed_from("turn", self.seed, *key) % 8 for key in keys])
            for values in batch.values():
                for kind in range(1, 8):
                    chosen = turns == kind
                    values[chosen] = symmetry(values[chosen], kind)
        return {name: self.normalise(values) for name, values in batch.items()}

    def _cut(self, epoch: int, index: int) -> Batch:
        drawn = share_from("patch", self.seed, epoch, index)
        place = min(int((index + drawn) / self.count * self.ends[-1]), self.ends[-1] - 1)
        image = bisect(self.ends, place)
        pair = self.split[image]
        columns = pair["image"].shape[-1] - self.patch + 1
        y, x = divmod(place - (self.ends[image - 1] if image else 0), columns)
        scale = pair["target"].shape[-1] // pair["image"].shape[-1]
        cut = {}
        for name, unit in (("image", 1), ("target", scale)):
            top, left, side = unit * y, unit * x, unit * self.patch
            cut[name] = pair[name][:, top : top + side, left : left + side]
        return cut
