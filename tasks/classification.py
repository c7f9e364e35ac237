"""Classification of whole images: cross-entropy on slightly moved images, scored by accuracy."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from tasks.optimisation import Optimisation, refuse_not_finite

Batch = Mapping[str, Tensor]


def random_affine(images: Tensor, rotation: float, zoom: float, shift: float) -> Tensor:
    """Turn, scale and move each image about its centre, each by its own draw; edges are extended.

    Args:
        images: (B, C, H, W).
        rotation: largest angle in degrees, either way.
        zoom: largest change of the size; 0.1 draws factors from 0.9 to 1.1.
        shift: largest move, as a share of the side.

    Returns:
        (B, C, H, W).
    """
    (count, _, height, width), aspect = images.shape, images.shape[2] / images.shape[3]
    angle, scale, right, down = (2 * torch.rand(4, count, device=images.device) - 1).unbind()
    angle, scale = angle * math.radians(rotation), 1 / (1 + scale * zoom)
    right, down = 2 * shift * right, 2 * shift * down  # sides are 2 long in grid coordinates
    cos, sin = scale * angle.cos(), scale * angle.sin()
    rows = (cos, -sin * aspect, right, sin / aspect, cos, down)
    theta = torch.stack(rows, dim=1).view(count, 2, 3)
    grid = F.affine_grid(theta, [count, 1, height, width], align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


class Classification(pl.LightningModule):
    """Train and score a classifier.

    Args:
        net: (B, C, H, W) normalised images -> (B, classes) logits.
        data: labelled images; its `classes` are used.
        lr: peak learning rate; this and the next three are explained in `Optimisation`.
        weight_decay: of weights of two or more dimensions.
        betas: AdamW's two decay rates.
        warmup: share of all steps in which the learning rate rises.
        rotation: training images are turned by up to so many degrees, 0 to 180.
        zoom: and scaled by up to this share, 0 to below 1.
        shift: and moved by up to this share of their side, 0 to 1.
        card: plain data to store in every checkpoint, so that it can be rebuilt from itself.

    Raises:
        ValueError: for options out of their range, or data that has no label for each image.
    """

    def __init__(
        self,
        net: nn.Module,
        data: Any,
        *,
        lr: float = 1e-2,
        weight_decay: float = 1e-2,
        betas: Sequence[float] = (0.9, 0.999),
        warmup: float = 0.1,
        rotation: float = 10.0,
        zoom: float = 0.1,
        shift: float = 0.07,
        card: Mapping[str, Any] | None = None,
    ):
        super().__init__()
        self.optimisation = Optimisation(lr, weight_decay, betas, warmup, "adamw", 0.9, "cosine")
        for name, value, fits, want in (
            ("rotation", rotation, 0 <= rotation <= 180, "0 to 180 degrees"),
            ("zoom", zoom, 0 <= zoom < 1, "a share from 0 to below 1"),
            ("shift", shift, 0 <= shift <= 1, "a share of the side, 0 to 1"),
        ):
            if not fits:
                raise ValueError(f"task.{name}={value!r} must be {want}")
        self.affine = {"rotation": rotation, "zoom": zoom, "shift": shift}
        self.net = net.to(memory_format=torch.channels_last)
        self.card = dict(card or {})
        #: Scores of the latest pass over a whole split, by name.
        self.results: dict[str, Any] = {}
        classes = self.outputs(data)
        self.scores = nn.ModuleDict(
            {
                "accuracy": MulticlassAccuracy(classes, average="micro"),
                "loss": MeanMetric(),
            }
        )

    @staticmethod
    def outputs(data: Any) -> int:
        """Channels that the net must give: a score for each class."""
        if not data.classes or hasattr(data, "ignore_index"):
            raise ValueError(
                f"data={data.name} has no label for each image, which task=classification needs: "
                "use data=mnist"
            )
        return len(data.classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits, (B, classes), of normalised images."""
        return self.net(images.contiguous(memory_format=torch.channels_last))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One step; stops the run where the loss is no longer finite."""
        images = batch["image"]
        if any(self.affine.values()):
            images = random_affine(images, **self.affine)
        loss = F.cross_entropy(self(images).float(), batch["label"])
        refuse_not_finite(loss, self)
        self.log("train/loss", loss.detach(), prog_bar=True)
        self.log("train/learning_rate", self.optimizers().param_groups[0]["lr"])
        return loss

    def on_validation_epoch_start(self) -> None:
        """Forget what an earlier or interrupted pass has counted."""
        self._reset()

    def on_test_epoch_start(self) -> None:
        """Forget what an earlier pass has counted."""
        self._reset()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a batch to the validation scores."""
        self._score(batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a batch to the test scores."""
        self._score(batch)

    def on_validation_epoch_end(self) -> None:
        """Log the scores of the whole validation set."""
        self._log_scores("val")

    def on_test_epoch_end(self) -> None:
        """Log the scores of the whole test set."""
        self._log_scores("test")

    def _reset(self) -> None:
        self.results = {}
        for metric in self.scores.values():
            metric.reset()

    def _score(self, batch: Batch) -> None:
        logits, label = self(batch["image"]).float(), batch["label"]
        self.scores["accuracy"].update(logits, label)
        self.scores["loss"].update(F.cross_entropy(logits, label), weight=len(label))

    def _log_scores(self, split: str) -> None:
        values = {name: metric.compute() for name, metric in self.scores.items()}
        for name, value in values.items():
            self.log(f"{split}/{name}", value, prog_bar=True)
        self.results = {name: value.item() for name, value in values.items()}

    def configure_optimizers(self) -> tuple[list[Optimizer], list[dict[str, Any]]]:
        """As `Optimisation` says, over the whole training."""
        return self.optimisation.configure(self.net, self.trainer)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Let every checkpoint carry the config that rebuilds it."""
        checkpoint["card"] = self.card
