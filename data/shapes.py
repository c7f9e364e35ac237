"""Shapes: the embedded data set, drawn and not downloaded."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from data.drawing import CLASSES, draw
from data.options import DrawnLoading
from data.segmentation import SegmentationData
from upzoo.memory import physical_memory

SPLITS = ("train", "val", "test")
# raise by one when `drawing` draws otherwise: it is part of the fingerprint
DRAWING = 1


class Scenes(Dataset[tuple[Tensor, Tensor]]):
    """Scene `index` is drawn from (seed, split, index) alone; what is drawn is kept (4 bytes a px).

    Args:
        split: one of SPLITS.
        length: number of scenes.
        size: (height, width) in pixels.
        seed: seed of the drawing.
        zoom: size of the objects.
    """

    def __init__(
        self, split: str, length: int, size: tuple[int, int], seed: int, zoom: float
    ) -> None:
        self.split, self.length, self.size, self.seed = split, length, size, seed
        self.zoom = zoom
        self.drawn: dict[int, tuple[Tensor, Tensor]] = {}

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if not 0 <= index < self.length:
            raise IndexError(f"scene {index} of {self.length}")
        if index not in self.drawn:
            key = (self.seed, SPLITS.index(self.split), index)
            image, mask = draw(key, *self.size, self.zoom)
            self.drawn[index] = torch.from_numpy(image), torch.from_numpy(mask)
        return self.drawn[index]

    def mask(self, index: int) -> Tensor:
        """The mask of scene `index`."""
        return self[index][1]

    def identity(self) -> object:
        """All that the scenes follow from."""
        return DRAWING, self.length, self.size, self.seed, self.zoom


class Shapes(SegmentationData):
    """Eight kinds of shapes over textured backgrounds, occluding each other.

    Thin structures (rings, lines of 1 to 3 pixels) and small ones (dots of 3 to 6) sit beside large
    shapes, so that decoders differ. Training, validation and test scenes are of the same size.

    Args:
        train: number of training scenes.
        val: number of validation scenes.
        test: number of test scenes.
        drawing_seed: seed of the scenes; apart from `seed`, so that runs of several seeds see the
            same data.
        zoom: size of the objects, 1 for the smallest; strokes are 1 to 3 pixels times this wide.
        loading: options of `DrawnLoading`; `size` is that of every scene.
    """

    name = "shapes"
    classes = CLASSES
    palette = (
        (32, 32, 32),
        (230, 85, 60),
        (70, 130, 235),
        (245, 190, 50),
        (150, 85, 210),
        (60, 190, 110),
        (240, 130, 190),
        (70, 210, 225),
        (250, 250, 250),
    )
    licence = "MIT: drawn by UpZoo itself"
    mean = (0.5, 0.5, 0.5)
    std = (0.25, 0.25, 0.25)
    test_split = "test"
    defaults = DrawnLoading(size=(96, 96), batch_size=16, eval_batch_size=50)

    def __init__(
        self,
        *,
        train: int = 2000,
        val: int = 200,
        test: int = 400,
        drawing_seed: int = 0,
        zoom: float = 1.5,
        **loading: Any,
    ) -> None:
        super().__init__(**loading)
        if min(self.size) < 16:
            raise ValueError(f"size={list(self.size)} is too small for shapes: use 16 or more")
        if not isinstance(drawing_seed, int) or drawing_seed < 0:
            raise ValueError(f"drawing_seed={drawing_seed} must be a whole number of 0 or more")
        for name, length in (("train", train), ("val", val), ("test", test)):
            if not isinstance(length, int) or length < 1:
                raise ValueError(f"{name}={length} must be 1 scene or more")
        if isinstance(zoom, bool) or not isinstance(zoom, int | float) or not 0.5 <= zoom <= 16:
            raise ValueError(f"zoom={zoom!r} must be a number from 0.5 to 16")
        self.lengths = {"train": train, "val": val, "test": test}
        kept = sum(self.lengths.values()) * math.prod(self.size) * 4  # bytes a pixel
        if kept > (physical_memory() or math.inf):
            raise ValueError(
                f"train={train}, val={val} and test={test} scenes of size={list(self.size)} take "
                f"{kept / 2**30:.0f} GiB, more than this machine has: draw fewer or smaller ones"
            )
        self.drawing_seed = drawing_seed
        self.zoom = float(zoom)

    def raw(self, split: str) -> Scenes:
        """The scenes of `split`."""
        return Scenes(split, self.lengths[split], self.size, self.drawing_seed, self.zoom)
