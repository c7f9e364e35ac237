"""Semantic segmentation: pixel-wise cross-entropy, scored over the whole data set."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from metrics.boundary import BoundaryF1
from metrics.segmentation import SegmentationScores

Batch = Mapping[str, Tensor]


class LossNotFiniteError(RuntimeError):
    """Training diverged: the loss is NaN or infinite."""


def warmup_cosine(step: int, steps: int, warmup: int) -> float:
    """Factor of the learning rate: linear from 0 to 1 in `warmup` steps, then half a cosine to 0.

    >>> [round(warmup_cosine(s, steps=10, warmup=2), 3) for s in (0, 1, 2, 6, 10)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


class Segmentation(pl.LightningModule):
    """Train and score a segmentation net.

    The loss is the cross-entropy averaged over pixels that are not void, in float32; AdamW decays
    weights of two or more dimensions only. Scores come from the confusion matrix of the whole
    data set, and the boundary F1 from each image (tolerance 0.75 % of its diagonal).

    Args:
        net: (B, C, H, W) images -> (B, classes, H, W) logits.
        data: the data to train on; its `classes`, `ignore_index` and class weights are used.
        lr: peak learning rate, above 0.
        weight_decay: decoupled decay, at least 0.
        betas: AdamW's two decay rates.
        warmup: share of all steps in which the learning rate rises, 0 to 1.
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
        class_weights: str | None = None,
        card: Mapping[str, Any] | None = None,
    ):
        super().__init__()
        for name, value, fits, want in (
            ("lr", lr, lambda v: v > 0, "a number above 0"),
            ("weight_decay", weight_decay, lambda v: v >= 0, "a number of at least 0"),
            ("warmup", warmup, lambda v: 0 <= v <= 1, "a share of the steps, 0 to 1"),
        ):
            _check(name, value, fits, want)
        if class_weights not in (None, "median_frequency"):
            raise ValueError(
                f"task.class_weights={class_weights!r} must be null or median_frequency"
            )
        self.net = net.to(memory_format=torch.channels_last)
        self.classes = tuple(data.classes)
        self.ignore_index = data.ignore_index
        self.lr = lr
        self.weight_decay = weight_decay
        self.betas = (betas[0], betas[1])
        self.warmup = warmup
        self.card = dict(card or {})
        #: Scores of the latest pass over a whole split, by name.
        self.results: dict[str, Any] = {}
        weights = data.median_frequency_weights() if class_weights else None
        self.register_buffer("class_weights", weights, persistent=False)
        scores: dict[str, nn.Module] = {}
        for split in ("val", "test"):
            scores[f"{split}_scores"] = SegmentationScores(len(self.classes), self.ignore_index)
            scores[f"{split}_boundary"] = BoundaryF1(len(self.classes), self.ignore_index)
        self.scores = nn.ModuleDict(scores)

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
        if not torch.isfinite(loss):
            raise LossNotFiniteError(
                f"the loss became {loss.item()} at step {self.global_step}, "
                f"epoch {self.current_epoch}"
            )
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
        for name in ("scores", "boundary"):
            self.scores[f"{split}_{name}"].reset()

    def _score(self, split: str, batch: Batch) -> None:
        logits = self(batch["image"])
        loss = self.loss(logits, batch["mask"])
        self.log(f"{split}/loss", loss, batch_size=len(logits), sync_dist=True)
        prediction = logits.argmax(1)
        for name in ("scores", "boundary"):
            self.scores[f"{split}_{name}"].update(prediction, batch["mask"])

    def _log_scores(self, split: str) -> None:
        scores, boundary = self.scores[f"{split}_scores"], self.scores[f"{split}_boundary"]
        values = {**scores.compute(), **boundary.compute()}
        for name, value in values.items():
            self.log(f"{split}/{name}", value, prog_bar=name in ("miou", "boundary_f1"))
        iou = dict(zip(self.classes, scores.per_class_iou().tolist(), strict=True))
        f1 = dict(zip(self.classes, boundary.per_class_f1().tolist(), strict=True))
        self.log_dict({f"{split}_iou/{name}": value for name, value in iou.items()})
        self.results = {name: value.item() for name, value in values.items()}
        self.results |= {"per_class_iou": iou, "per_class_f1": f1}

    def configure_optimizers(self) -> tuple[list[Optimizer], list[dict[str, Any]]]:
        """AdamW with linear warm-up and a cosine to zero, stepped at every batch."""
        params = [p for p in self.net.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in params if p.ndim > 1], "weight_decay": self.weight_decay},
            {"params": [p for p in params if p.ndim <= 1], "weight_decay": 0.0},
        ]
        steps = self._steps()
        warmup = round(self.warmup * steps)
        schedule: Callable[[int], float] = lambda step: warmup_cosine(step, steps, warmup)  # noqa: E731
        optimizer = AdamW(groups, lr=self.lr, betas=self.betas)
        return [optimizer], [{"scheduler": LambdaLR(optimizer, schedule), "interval": "step"}]

    def _steps(self) -> int:
        """Optimiser steps of the whole training.

        `trainer.estimated_stepping_batches` would load the data before a resumed run knows where it
        stands, and so repeat batches that it has seen.
        """
        trainer = self.trainer
        if trainer.datamodule is None or trainer.max_steps >= 0:
            return int(trainer.estimated_stepping_batches)
        batches = trainer.datamodule.train_batches
        return math.ceil(batches / trainer.accumulate_grad_batches) * (trainer.max_epochs or 1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Let every checkpoint carry the config that rebuilds it."""
        checkpoint["card"] = self.card


def _check(name: str, value: object, fits: Callable[[Any], bool], want: str) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not fits(value):
        raise ValueError(f"task.{name}={value!r} must be {want}")
