"""Semantic segmentation: pixel-wise cross-entropy, scored over the whole data set."""

from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import MeanMetric

from tasks.optimisation import (
    LossNotFiniteError,
    Optimisation,
    refuse_not_finite,
    warmup_cosine,
)
from upzoo.metrics.boundary import BoundaryF1
from upzoo.metrics.boundary_iou import BoundaryIoU
from upzoo.metrics.segmentation import ClassCounts, SegmentationScores

__all__ = ["LossNotFiniteError", "Segmentation", "warmup_cosine"]

Batch = Mapping[str, Tensor]


class Segmentation(pl.LightningModule):
    """Train and score a segmentation net.

    The loss is the cross-entropy averaged over pixels that are not void, in float32. Scores come
    from the confusion matrix of the whole data set, the boundary F1 from each image (tolerance
    0.75 % of its diagonal).

    Args:
        net: (B, C, H, W) images -> (B, classes, H, W) logits.
        data: the data to train on; its `classes`, `ignore_index` and class weights are used.
        lr: peak learning rate; this and what follows is explained in `Optimisation`.
        weight_decay: of weights of two or more dimensions.
        betas: AdamW's two decay rates.
        warmup: share of all steps in which the learning rate rises.
        optimiser: "adamw" or "sgd".
        momentum: SGD's.
        schedule: "cosine" or "constant".
        decay_to_start: interpolating kernels decay to their start, not to zero.
        class_weights: "median_frequency" weighs the loss by median(f) / f of each class, as SegNet.
        card: plain data to store in every checkpoint, so that it can be rebuilt from itself.

    Raises:
        ValueError: for options out of their range.
    """

    def __init__(
        self,
        net: nn.Module,
        data: Any,
        *,
        lr: float = 1e-3,
        weight_decay: float = 1e-2,
        betas: Sequence[float] = (0.9, 0.999),
        warmup: float = 0.05,
        optimiser: str = "adamw",
        momentum: float = 0.9,
        schedule: str = "cosine",
        decay_to_start: bool = True,
        class_weights: str | None = None,
        card: Mapping[str, Any] | None = None,
    ):
        super().__init__()
        self.optimisation = Optimisation(
            lr, weight_decay, betas, warmup, optimiser, momentum, schedule, decay_to_start
        )
        if class_weights not in (None, "median_frequency"):
            raise ValueError(
                f"task.class_weights={class_weights!r} must be null or median_frequency"
            )
        self.net = net.to(memory_format=torch.channels_last)
        self.classes = tuple(data.classes)
        self.ignore_index = data.ignore_index
        self.card = dict(card or {})
        #: Scores of the latest pass over a whole split, by name.
        self.results: dict[str, Any] = {}
        #: Figures of each image of that pass in the split's order, by name.
        self.per_image: dict[str, Tensor] = {}
        weights = data.median_frequency_weights() if class_weights else None
        self.register_buffer("class_weights", weights, persistent=False)
        scores: dict[str, nn.Module] = {}
        for split in ("val", "test"):
            scores[f"{split}_scores"] = SegmentationScores(len(self.classes), self.ignore_index)
            scores[f"{split}_counts"] = ClassCounts(len(self.classes), self.ignore_index)
            scores[f"{split}_boundary"] = BoundaryF1(len(self.classes), self.ignore_index)
            scores[f"{split}_bands"] = BoundaryIoU(len(self.classes), self.ignore_index)
            scores[f"{split}_loss"] = MeanMetric()
        self.scores = nn.ModuleDict(scores)

    @staticmethod
    def outputs(data: Any) -> int:
        """Channels that the net must give: a score for each class."""
        return data.num_classes

    def forward(self, images: Tensor) -> Tensor:
        """Logits, (B, classes, H, W), of normalised images."""
        return self.net(images.contiguous(memory_format=torch.channels_last))

    def loss(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Cross-entropy over the pixels that are not void; 0 where all of them are."""
        logits, known = logits.float(), mask != self.ignore_index
        if not known.any():
            return logits.sum() * 0
        return F.cross_entropy(logits, mask, self.class_weights, ignore_index=self.ignore_index)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One step; stops the run where the loss is no longer finite."""
        loss = self.loss(self(batch["image"]), batch["mask"])
        refuse_not_finite(loss, self)
        self.log("train/loss", loss.detach(), prog_bar=True)
        self.log("train/learning_rate", self.optimizers().param_groups[0]["lr"])
        return loss

    def on_validation_epoch_start(self) -> None:
        """Forget what an earlier or interrupted pass has counted."""
        self._reset("val")

    def on_test_epoch_start(self) -> None:
        """Forget what an earlier pass has counted."""
        self._reset("test")

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a batch to the validation scores."""
        self._score("val", batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a batch to the test scores."""
        self._score("test", batch)

    def on_validation_epoch_end(self) -> None:
        """Log the scores of the whole validation set."""
        self._log_scores("val")

    def on_test_epoch_end(self) -> None:
        """Log the scores of the whole test set."""
        self._log_scores("test")

    def _reset(self, split: str) -> None:
        for name in ("scores", "counts", "boundary", "bands", "loss"):
            self.scores[f"{split}_{name}"].reset()

    def _score(self, split: str, batch: Batch) -> None:
        logits = self(batch["image"])
        self.scores[f"{split}_loss"].update(self.loss(logits, batch["mask"]), weight=len(logits))
        prediction = logits.argmax(1)
        for name in ("scores", "counts", "boundary", "bands"):
            self.scores[f"{split}_{name}"].update(prediction, batch["mask"])

    def _log_scores(self, split: str) -> None:
        scores, boundary = self.scores[f"{split}_scores"], self.scores[f"{split}_boundary"]
        bands = self.scores[f"{split}_bands"].compute()
        values = {**scores.compute(), **boundary.compute(), **bands}
        for name, value in values.items():
            self.log(f"{split}/{name}", value, prog_bar=name in ("miou", "boundary_f1"))
        self.log(f"{split}/loss", self.scores[f"{split}_loss"].compute())
        iou = dict(zip(self.classes, scores.per_class_iou().tolist(), strict=True))
        f1 = dict(zip(self.classes, boundary.per_class_f1().tolist(), strict=True))
        self.log_dict({f"{split}_iou/{name}": value for name, value in iou.items()})
        self.results = {name: value.item() for name, value in values.items()}
        self.results |= {"per_class_iou": iou, "per_class_f1": f1}
        self.per_image = {
            **self.scores[f"{split}_counts"].compute(),
            "boundary_f1": boundary.per_image_f1(),
        }

    def configure_optimizers(self) -> tuple[list[Optimizer], list[dict[str, Any]]]:
        """As `Optimisation` says, over the whole training."""
        return self.optimisation.configure(self.net, self.trainer)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Let every checkpoint carry the config that rebuilds it."""
        checkpoint["card"] = self.card
