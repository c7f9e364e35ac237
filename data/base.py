"""What all image data share: options, splits, resumable loaders, fingerprint."""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader, Dataset, Subset

from data.files import DataError
from data.listing import summary
from data.loading import Batch, First, Normalised, ResumableLoader, Split, collate
from data.options import Loading
from data.sampler import EpochSampler


class ImageData(pl.LightningDataModule):
    """The base of all data; a subclass says what it is and gives raw splits.

    A subclass sets `name`, `licence`, `mean`, `std` and `defaults` (and `classes` where samples are
    labelled) before any image is read, and implements `raw(split)`. Unless it has its own
    `prepared` and `augmented`, its splits are of images of one size, indexed by lists (see
    `Normalised`). After `setup`, `splits[name]` are the raw splits and `prepared(name)` is one
    ready for evaluation.

    Args:
        loading: options of `Loading` that differ from this data's `defaults`.

    Raises:
        ValueError: an option out of range, an empty split, a batch larger than the data set.
        FileNotFoundError: the data is not there.
    """

    name: str
    licence: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    defaults: ClassVar[Loading]
    classes: tuple[str, ...] = ()
    in_channels: int = 3
    test_split: str = "val"
    #: In which generated images are compared with its own, of `tasks.generation.FEATURES`.
    features: str | None = None
    #: All splits to test on, `test_split` first, where there are several.
    test_splits: tuple[str, ...] = ()
    #: How many times larger a target is than its image.
    scale: int = 1
    #: Whether samples have a mask, a class for each pixel.
    masked: bool = False
    #: Probability of mirroring a training image.
    flip: float = 0.0
    #: What the data's folder holds and no split uses: path within it -> why.
    left_out: Mapping[str, str] = MappingProxyType({})

    def __init__(self, **loading: Any) -> None:
        super().__init__()
        self.loading = self.defaults.changed(loading)
        self.splits: dict[str, Any] = {}

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of a training sample in pixels."""
        height, width = self.loading.size
        return height, width

    @property
    def split_names(self) -> tuple[str, ...]:
        """Names of the splits that there are."""
        return tuple(dict.fromkeys(("train", "val", self.test_split, *self.test_splits)))

    @property
    def num_classes(self) -> int:
        """Number of classes, void not among them; 0 where nothing is labelled."""
        return len(self.classes)

    def raw(self, split: str) -> Split:
        """The raw samples of "train", "val" or "test"."""
        raise NotImplementedError

    def setup(self, stage: str | None = None) -> None:
        """Finds the samples of every split, once, whatever the stage."""
        if self.splits:
            return
        splits = {name: self.raw(name) for name in self.split_names}
        if self.loading.overfit and "train" in splits:
            splits = dict.fromkeys(splits, First(splits["train"], self.loading.overfit))
        for name, split in splits.items():
            if len(split) == 0:
                raise DataError(f"the {name} split of {self.name} is empty")
        self.splits = splits

    @property
    def train_samples(self) -> int:
        """Training samples of an epoch, of all devices together."""
        return len(self.split("train"))

    def image_names(self, split: str) -> list[str]:
        """A name for each image of a split in its order: its file's, or its number."""
        raw = self.split(split)
        return list(getattr(raw, "names", ())) or [str(index) for index in range(len(raw))]

    def split(self, name: str) -> Any:
        """The raw split `name`; refuses one that this data does not have."""
        self.setup()
        if name not in self.splits:
            raise ValueError(f"{self.name} has no split {name}: use {', '.join(self.splits)}")
        return self.splits[name]

    def prepared(self, split: str) -> Dataset[Batch]:
        """The split `split` as it is evaluated: {"image", …} by index."""
        return Normalised(self.split(split), self.mean, self.std)

    def augmented(self) -> Dataset[Batch]:
        """The training split as it is trained on: {"image", …} by (epoch, index)."""
        flip = 0.0 if self.loading.overfit else self.flip
        return Normalised(self.split("train"), self.mean, self.std, flip, self.loading.seed)

    def train_dataloader(self) -> ResumableLoader:
        """Loads augmented samples, from where the trainer stands if it resumes in mid-epoch."""
        self.setup()
        rank, world_size = self._rank()
        share, batch_size = self.train_samples // world_size, self.loading.batch_size
        if batch_size > share:
            raise ValueError(
                f"batch_size={batch_size} is larger than the {share} training images of "
                f"{self.name}{' on each device' if world_size > 1 else ''}: "
                f"use data.batch_size={share} or less"
            )
        epoch, batch = self._position()
        sampler = EpochSampler(
            self.train_samples,
            self.loading.seed,
            epoch=epoch,
            start=batch * batch_size,
            rank=rank,
            world_size=world_size,
        )
        return self._loader(self.augmented(), batch_size, sampler=sampler, drop_last=True)

    def val_dataloader(self) -> DataLoader:
        """Loads the validation split in its order."""
        return self.eval_dataloader("val")

    def test_dataloader(self) -> DataLoader:
        """Loads the test split, or the validation split of data without one."""
        return self.eval_dataloader(self.test_split)

    def eval_dataloader(self, split: str, batch_size: int | None = None) -> DataLoader:
        """Loads any split in its order; under DDP each rank gets its share, no sample twice.

        Args:
            split: its name.
            batch_size: samples a step; by default as the options say.
        """
        dataset = self.prepared(split)
        rank, world_size = self._rank()
        if world_size > 1:
            count = len(self.splits[split])
            if count < world_size:
                raise ValueError(
                    f"the {split} split of {self.name} has {count} images, too few for "
                    f"{world_size} devices: use trainer.devices={count} or less"
                )
            dataset = Subset(dataset, range(rank, count, world_size))
        return self._loader(dataset, batch_size or self.loading.eval_batch_size)

    def _loader(self, dataset: Dataset, batch_size: int, **options: Any) -> ResumableLoader:
        return ResumableLoader(
            dataset,
            batch_size,
            num_workers=self.loading.num_workers,
            persistent_workers=self.loading.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            collate_fn=collate,
            **options,
        )

    def _rank(self) -> tuple[int, int]:
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size

    @property
    def train_batches(self) -> int:
        """Batches of a whole training epoch on each device, within the trainer's limit."""
        self.setup()
        batches = self.train_samples // self._rank()[1] // self.loading.batch_size
        limit = 1.0 if self.trainer is None else self.trainer.limit_train_batches
        return min(batches, limit) if isinstance(limit, int) else int(batches * limit)

    def _position(self) -> tuple[int, int]:
        """The (epoch, batch) at which training goes on."""
        if self.trainer is None:
            return 0, 0
        loop = self.trainer.fit_loop
        epochs: Any = loop.epoch_progress.current  # Lightning's own types are too general
        batches: Any = loop.epoch_loop.batch_progress.current
        done = batches.processed
        if epochs.ready == epochs.processed:  # between two epochs
            return epochs.processed, 0
        # all batches done, but the epoch not closed: Lightning closes it and goes on to the next
        return (epochs.processed, done) if done < self.train_batches else (epochs.processed + 1, 0)

    def inventory(self) -> str:
        """How many images each split has, and what is left out and why, in one line."""
        self.setup()
        counts = ", ".join(f"{len(split)} {name}" for name, split in self.splits.items())
        left_out = summary(self.left_out)
        return f"{self.name}: {counts} images{f'; {left_out}' if left_out else ''}"

    def fingerprint(self) -> str:
        """16 hex digits of what the data is: names and sizes of files, or how it is drawn."""
        self.setup()
        content = [(name, split.identity()) for name, split in self.splits.items()]
        return hashlib.sha256(repr((self.name, self.classes, content)).encode()).hexdigest()[:16]

    def card(self) -> dict[str, Any]:
        """What a checkpoint tells of the data, as plain lists: normalisation, and any classes."""
        named = {"classes": list(self.classes)} if self.classes else {}
        return {**named, "mean": list(self.mean), "std": list(self.std)}
