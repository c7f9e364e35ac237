"""Semantic segmentation: pixel-wise cross-entropy, and Dice; scored over the whole data set."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MeanMetric

from tasks.base import Batch, Made, Samples
from tasks.optimisation import (
    LossNotFiniteError,
    Optimisation,
    check_choice,
    check_number,
    warmup_cosine,
)
from tasks.pictures import prediction_panel
from tasks.supervised import Supervised
from upzoo.metrics.boundary import BoundaryF1
from upzoo.metrics.boundary_iou import BoundaryIoU
from upzoo.metrics.segmentation import ClassCounts, SegmentationScores

__all__ = ["LossNotFiniteError", "Segmentation", "warmup_cosine"]

#: Ways to weigh the classes of the data, by the name in configs.
CLASS_WEIGHTS: dict[str, Callable[[Any], Tensor]] = {
    "median_frequency": lambda data: data.median_frequency_weights(),
    "enet": lambda data: data.enet_weights(),
}


def cross_entropy(
    logits: Tensor, mask: Tensor, weights: Tensor | None = None, ignore_index: int = 255
) -> Tensor:
    """Mean over the pixels that are not void, in float32.

    Args:
        logits: (B, classes, H, W), channels-first.
        mask: (B, H, W), the class of each pixel.
        weights: of each class, in the loss and in the mean.
        ignore_index: of void.
    """
    return F.cross_entropy(logits.float(), mask, weights, ignore_index=ignore_index)


def soft_dice(logits: Tensor, mask: Tensor, ignore_index: int = 255) -> Tensor:
    """1 minus the mean Dice coefficient of the classes that a batch holds, of their probabilities.

    Sums are over the whole batch and leave void out; in float32. Small classes weigh as much as
    large ones, as in the mean IoU. Source: Milletari et al. 2016, "V-Net", section 3, for several
    classes as Isensee et al. 2021, "nnU-Net", but for the classes that are absent.

    Args:
        logits: (B, classes, H, W).
        mask: (B, H, W), the class of each pixel.
        ignore_index: of void.
    """
    valid = mask != ignore_index
    truth = mask.where(valid, 0).unsqueeze(1)
    probabilities = logits.float().softmax(1) * valid.unsqueeze(1)
    # of each pixel the probability of its own class alone, at that class
    right = probabilities.gather(1, truth)[:, 0]
    classes = logits.shape[1]
    overlap = right.new_zeros(classes).index_add(0, truth.flatten(), right.flatten())
    pixels = torch.bincount(mask[valid], minlength=classes)
    dice = 2 * overlap / (probabilities.sum((0, 2, 3)) + pixels).clamp_min(1e-6)
    return 1 - dice[pixels > 0].mean()


class Segmentation(Supervised):
    """Train and score a segmentation net.

    The loss is the cross-entropy averaged over pixels that are not void, in float32, and where
    asked one minus the mean Dice coefficient. Scores come from the confusion matrix of the whole
    data set, the boundary F1 from each image (tolerance 0.75 % of its diagonal) and the Boundary
    IoU from bands of 2 % of it.

    Args:
        net: (B, C, H, W) images -> (B, classes, H, W) logits.
        data: the data to train on; its `classes`, `ignore_index` and class weights are used.
        class_weights: a key of `CLASS_WEIGHTS`, of the weights of classes in the loss: as SegNet,
            or as ENet, which raises rare classes less; by default all weigh alike.
        dice: weight of `soft_dice` beside the cross-entropy.
        options: `card`, and options of `Optimisation` that differ from `defaults`.

    Raises:
        ValueError: for options out of their range.
    """

    defaults = Optimisation()
    shown = ("miou", "boundary_f1")
    logged = (
        *("global_accuracy", "class_accuracy", "miou", "fwiou"),
        *("boundary_f1", "boundary_f1_class", "boundary_iou", "loss"),
    )

    def __init__(
        self,
        net: nn.Module,
        data: Any,
        *,
        class_weights: str | None = None,
        dice: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(net, **options)
        if class_weights is not None:
            check_choice("class_weights", class_weights, ("null", *CLASS_WEIGHTS))
        check_number("dice", dice, lambda v: v >= 0, "a number of at least 0")
        self.classes = tuple(data.classes)
        self.ignore_index = data.ignore_index
        weights = CLASS_WEIGHTS[class_weights](data) if class_weights else None
        self.register_buffer("class_weights", weights, persistent=False)
        self.cross_entropy = cross_entropy
        self.dice = dice
        labelled = (len(self.classes), self.ignore_index)
        self.count_with(
            {
                split: {
                    "scores": SegmentationScores(*labelled),
                    "counts": ClassCounts(*labelled),
                    "boundary": BoundaryF1(*labelled),
                    "bands": BoundaryIoU(*labelled),
                    "loss": MeanMetric(),
                }
                for split in ("val", "test")
            }
        )

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile the net, and the loss by itself: with the net, it is slower than uncompiled."""
        super().compile(*args, **kwargs)
        self.cross_entropy = torch.compile(cross_entropy, *args, **kwargs)

    @staticmethod
    def outputs(data: Any) -> int:
        """Channels that the net must give: a score for each class."""
        return data.num_classes

    def truth(self, batch: Batch) -> Tensor:
        """The class of each pixel, (B, H, W)."""
        return batch["mask"]

    def loss(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Cross-entropy over the pixels that are not void, and Dice; 0 where all of them are."""
        # torch copies channels-last logits three times on the way, contiguous ones not at all
        logits = logits.contiguous()
        if not (mask != self.ignore_index).any():
            return logits.float().sum() * 0
        loss = self.cross_entropy(logits, mask, self.class_weights, self.ignore_index)
        if self.dice:
            loss = loss + self.dice * soft_dice(logits, mask, self.ignore_index)
        return loss

    def count(self, counters: nn.ModuleDict, batch: Batch) -> Made:
        """Add a batch to the counters of a split."""
        logits, mask = self(batch["image"]), self.truth(batch)
        prediction = logits.max(1).indices  # quicker than argmax on a CPU
        logits = logits.float().contiguous()  # once for all that looks at them
        counters["loss"].update(self.loss(logits, mask), weight=len(logits))
        for name in ("scores", "counts", "boundary", "bands"):
            counters[name].update(prediction, mask)
        return logits, None

    def score_names(self) -> tuple[str, ...]:
        """Of the whole split; those of each class have names of their own."""
        return self.logged

    def log_scores(self, split: str) -> None:
        """Log and keep the scores of a split, those of each class and of each image too."""
        counters: Any = self.counters(split)
        scores, boundary = counters["scores"], counters["boundary"]
        values = {**scores.compute(), **boundary.compute(), **counters["bands"].compute()}
        for name, value in values.items():
            self.log(f"{split}/{name}", value, prog_bar=name in self.shown)
        self.log(f"{split}/loss", counters["loss"].compute())
        iou = dict(zip(self.classes, scores.per_class_iou().tolist(), strict=True))
        f1 = dict(zip(self.classes, boundary.per_class_f1().tolist(), strict=True))
        self.log_dict({f"{split}_iou/{name}": value for name, value in iou.items()})
        self.results = {name: value.item() for name, value in values.items()}
        self.results |= {"per_class_iou": iou, "per_class_f1": f1}
        self.per_image = {**counters["counts"].compute(), "boundary_f1": boundary.per_image_f1()}

    def made(self, batch: Batch) -> tuple[Tensor, None]:
        """The logits, which have no real counterpart."""
        return self(batch["image"]).float(), None

    def picture(self, samples: Samples, data: Any) -> Tensor:
        """Input, truth, prediction and errors of samples."""
        return prediction_panel(self, self.alike(samples), data)
