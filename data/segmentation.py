"""What all segmentation data share: options, splits, loaders, class statistics, fingerprint."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from data.files import DataError
from data.loading import Augmented, Prepared, ResumableLoader, Split, collate
from data.sampler import EpochSampler
from data.transforms import check_augment, eval_transform, train_transform

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class SegmentationData(pl.LightningDataModule):
    """The base of segmentation data; a subclass says what it is and gives raw splits.

    A subclass sets `name`, `classes`, `palette`, `licence` (and `mean`, `std` where they are not
    ImageNet's) before any image is read, and implements `raw(split)`. After `setup`,
    `splits[name]` are the raw splits and `prepared(name)` is one with the evaluation transform.

    Args:
        size: (height, width) of a training sample in pixels.
        eval_size: (height, width) to resize images and masks to in evaluation; None leaves them.
        batch_size: training samples a step, on each device.
        eval_batch_size: evaluation samples a step; 1 where images differ in size.
        num_workers: worker processes of each loader; 0 loads in the training process.
        augment: options of `train_transform`; None turns augmentation off.
        overfit: train on the first so many training images, without augmentation, and evaluate on
            the same; None trains as usual.
        seed: seed of order and augmentation.

    Raises:
        ValueError: an option out of range, an empty split, a batch larger than the data set.
        FileNotFoundError: the data is not there.
    """

    name: str
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    licence: str
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    in_channels: ClassVar[int] = 3
    ignore_index: ClassVar[int] = 255
    test_split: str = "val"

    def __init__(
        self,
        *,
        size: Sequence[int],
        eval_size: Sequence[int] | None,
        batch_size: int,
        eval_batch_size: int,
        num_workers: int,
        augment: Mapping[str, Any] | None,
        overfit: int | None,
        seed: int,
    ) -> None:
        super().__init__()
        self.size = _pair("size", size)
        self.eval_size = None if eval_size is None else _pair("eval_size", eval_size)
        self.batch_size = _at_least("batch_size", batch_size, 1)
        self.eval_batch_size = _at_least("eval_batch_size", eval_batch_size, 1)
        self.num_workers = _at_least("num_workers", num_workers, 0)
        self.overfit = None if overfit is None else _at_least("overfit", overfit, 1)
        self.augment = check_augment(None if overfit else augment)
        self.seed = seed
        self.splits: dict[str, Split] = {}
        self._counts: Tensor | None = None

    @property
    def num_classes(self) -> int:
        """Number of classes, void not among them."""
        return len(self.classes)

    def raw(self, split: str) -> Split:
        """The raw samples of "train", "val" or "test"."""
        raise NotImplementedError

    def setup(self, stage: str | None = None) -> None:
        """Finds the samples of every split, once, whatever the stage; reads no image."""
        if self.splits:
            return
        splits = {name: self.raw(name) for name in dict.fromkeys(("train", "val", self.test_split))}
        if self.overfit:
            splits = dict.fromkeys(splits, _First(splits["train"], self.overfit))
        for name, split in splits.items():
            if len(split) == 0:
                raise DataError(f"the {name} split of {self.name} is empty")
        self.splits = splits

    def prepared(self, split: str) -> Prepared:
        """The split `split` with the evaluation transform; {"image", "mask"} by index."""
        self.setup()
        if split not in self.splits:
            raise ValueError(f"{self.name} has no split {split}: use {', '.join(self.splits)}")
        return Prepared(self.splits[split], eval_transform(self.mean, self.std, self.eval_size))

    def train_dataloader(self) -> ResumableLoader:
        """Loads augmented samples, from where the trainer stands if it resumes in mid-epoch."""
        self.setup()
        rank, world_size = self._rank()
        share = len(self.splits["train"]) // world_size
        if self.batch_size > share:
            raise ValueError(
                f"batch_size={self.batch_size} is larger than the {share} training images of "
                f"{self.name}{' on each device' if world_size > 1 else ''}: "
                f"use data.batch_size={share} or less"
            )
        epoch, batch = self._position()
        sampler = EpochSampler(
            len(self.splits["train"]),
            self.seed,
            epoch=epoch,
            start=batch * self.batch_size,
            rank=rank,
            world_size=world_size,
        )
        transform = train_transform(self.size, self.mean, self.std, self.ignore_index, self.augment)
        dataset = Augmented(self.splits["train"], transform, self.seed)
        return self._loader(dataset, self.batch_size, sampler=sampler, drop_last=True)

    def val_dataloader(self) -> DataLoader:
        """Loads the validation split in its order."""
        return self.eval_dataloader("val")

    def test_dataloader(self) -> DataLoader:
        """Loads the test split, or the validation split of data without one."""
        return self.eval_dataloader(self.test_split)

    def eval_dataloader(self, split: str) -> DataLoader:
        """Loads any split in its order; under DDP each rank gets its share, no sample twice."""
        dataset: Dataset = self.prepared(split)
        rank, world_size = self._rank()
        if world_size > 1:
            dataset = Subset(dataset, range(rank, len(self.splits[split]), world_size))
        return self._loader(dataset, self.eval_batch_size)

    def _loader(self, dataset: Dataset, batch_size: int, **options: Any) -> ResumableLoader:
        return ResumableLoader(
            dataset,
            batch_size,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
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
        batches = len(self.splits["train"]) // self._rank()[1] // self.batch_size
        limit = 1.0 if self.trainer is None else self.trainer.limit_train_batches
        return min(batches, limit) if isinstance(limit, int) else int(batches * limit)

    def _position(self) -> tuple[int, int]:
        """The (epoch, batch) at which training goes on."""
        if self.trainer is None:
            return 0, 0
        loop = self.trainer.fit_loop
        epochs, done = loop.epoch_progress.current, loop.epoch_loop.batch_progress.current.processed
        if epochs.ready == epochs.processed:  # between two epochs
            return epochs.processed, 0
        # all batches done, but the epoch not closed: Lightning closes it and goes on to the next
        return (epochs.processed, done) if done < self.train_batches else (epochs.processed + 1, 0)

    def class_frequencies(self) -> Tensor:
        """Share of each class in the labelled pixels of the training split, (num_classes,)."""
        counts = self._pixel_counts().sum(0)
        return counts / counts.sum()

    def median_frequency_weights(self) -> Tensor:
        """Class weights median(f) / f, (num_classes,); 1 for a class that never occurs.

        f(c) is the share of c in the labelled pixels of those images in which c occurs (Eigen and
        Fergus 2015, "Predicting depth, surface normals and semantic labels", section 6.3.2).
        """
        counts = self._pixel_counts()
        present = counts > 0
        # f_c = Σ pixels of c / Σ labelled pixels of images that show c
        labelled = (counts.sum(1, keepdim=True) * present).sum(0)
        seen = labelled > 0
        frequency = counts.sum(0)[seen] / labelled[seen]
        weights = torch.ones(self.num_classes)
        weights[seen] = (frequency.quantile(0.5) / frequency).float()
        return weights

    def _pixel_counts(self) -> Tensor:
        """Pixels of each class in each training image, float64 (images, num_classes)."""
        self.setup()
        if self._counts is None:
            train = self.splits["train"]
            masks = (train.mask(index).flatten() for index in range(len(train)))
            self._counts = torch.stack(
                [torch.bincount(mask, minlength=256)[: self.num_classes] for mask in masks]
            ).double()
        return self._counts

    def fingerprint(self) -> str:
        """16 hex digits of what the data is: names and sizes of files, or how it is drawn."""
        self.setup()
        content = [(name, split.identity()) for name, split in self.splits.items()]
        return hashlib.sha256(repr((self.name, self.classes, content)).encode()).hexdigest()[:16]


class _First:
    """The first `count` samples of a split."""

    def __init__(self, split: Split, count: int) -> None:
        self.split, self.count = split, min(count, len(split))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.split[index]

    def mask(self, index: int) -> Tensor:
        return self.split.mask(index)

    def identity(self) -> object:
        return self.count, self.split.identity()


def _pair(name: str, value: Sequence[int]) -> tuple[int, int]:
    if len(value) != 2 or not all(isinstance(side, int) and side > 0 for side in value):
        raise ValueError(f"{name}={list(value)} must be [height, width] in pixels, both above 0")
    return value[0], value[1]


def _at_least(name: str, value: int, least: int) -> int:
    if not isinstance(value, int) or value < least:
        raise ValueError(f"{name}={value} must be a whole number of {least} or more")
    return value
