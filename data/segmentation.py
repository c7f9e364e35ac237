"""What all segmentation data share: classes, masks, joint augmentation, class statistics."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from data.base import ImageData
from data.loading import Augmented, InMemory, MaskedSplit, Prepared
from data.options import MaskedLoading
from data.transforms import eval_transform, train_transform

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class SegmentationData(ImageData):
    """The base of segmentation data; a subclass says what it is and gives raw splits.

    A subclass sets `name`, `classes`, `palette`, `licence` (and `mean`, `std` where they are not
    ImageNet's) before any image is read, and implements `raw(split)`. After `setup`, which reads no
    image, `splits[name]` are the raw splits and `prepared(name)` is one with the evaluation
    transform.

    Args:
        loading: options of `MaskedLoading` that differ from this data's `defaults`.

    Raises:
        ValueError: an option out of range, an empty split, a batch larger than the data set.
        FileNotFoundError: the data is not there.
    """

    masked = True
    palette: tuple[tuple[int, int, int], ...]
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    ignore_index: ClassVar[int] = 255

    defaults: ClassVar[MaskedLoading]
    loading: MaskedLoading

    def __init__(self, **loading: Any) -> None:
        super().__init__(**loading)
        self._counts: Tensor | None = None

    def raw(self, split: str) -> MaskedSplit:
        """The raw samples of "train", "val" or "test"."""
        raise NotImplementedError

    def setup(self, stage: str | None = None) -> None:
        """Finds the samples of every split, once, whatever the stage."""
        if self.splits:
            return
        super().setup(stage)
        if self.loading.cache:
            self.splits = {name: InMemory(split) for name, split in self.splits.items()}

    def prepared(self, split: str) -> Prepared:
        """The split `split` with the evaluation transform; {"image", "mask"} by index."""
        transform = eval_transform(self.mean, self.std, self.loading.eval_size)
        return Prepared(self.split(split), transform)

    def augmented(self) -> Augmented:
        """The training split with the training transform; {"image", "mask"} by (epoch, index)."""
        transform = train_transform(
            self.size, self.mean, self.std, self.ignore_index, self.loading.augment
        )
        return Augmented(self.split("train"), transform, self.loading.seed)

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

    def enet_weights(self) -> Tensor:
        """Class weights 1 / ln(1.02 + share), (num_classes,): from 1.4 to 50.5 at most.

        The share is `class_frequencies`'s. Source: Paszke et al. 2016, "ENet", section 5.1.
        """
        return (1 / (self.class_frequencies() + 1.02).log()).float()

    def _pixel_counts(self) -> Tensor:
        """Pixels of each class in each training image, float64 (images, num_classes)."""
        if self._counts is None:
            train = self.split("train")
            masks = (train.mask(index).flatten() for index in range(len(train)))
            self._counts = torch.stack(
                [torch.bincount(mask, minlength=256)[: self.num_classes] for mask in masks]
            ).double()
        return self._counts

    def card(self) -> dict[str, Any]:
        """What a checkpoint tells of the data, as plain lists: the masks' colours too."""
        return {
            **super().card(),
            "palette": [list(colour) for colour in self.palette],
            "ignore_index": self.ignore_index,
        }
