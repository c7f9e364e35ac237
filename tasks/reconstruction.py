"""Reconstruction: rebuild the image from what a net kept of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import MeanMetric, Metric
from torchmetrics.image import PeakSignalNoiseRatio, StructuralSimilarityIndexMeasure

from tasks.optimisation import Optimisation, check_choice, refuse_not_finite

Batch = Mapping[str, Tensor]

DISTANCES = {"l1": F.l1_loss, "l2": F.mse_loss}
#: SSIM compares Gaussian windows of 11×11 pixels (Wang et al. 2004), mirrored at the border.
SMALLEST = 6


class Reconstruction(pl.LightningModule):
    """Train a net to give its input back, and score how well it does.

    The loss is the mean distance of normalised values, in float32. The scores compare colours in
    0 … 1, clipped there: PSNR = −10·log₁₀ of the mean squared error over all pixels of the split in
    decibels, and the mean over its images of their structural similarity (Wang et al. 2004).

    Args:
        net: (B, C, H, W) images -> (B, C, H, W).
        data: the data to train on; its `mean`, `std` and `size` are used.
        distance: "l1", the absolute difference, or "l2", the squared one.
        lr: peak learning rate; this and what follows is explained in `Optimisation`.
        weight_decay: of weights of two or more dimensions.
        betas: AdamW's two decay rates.
        warmup: share of all steps in which the learning rate rises.
        optimiser: "adamw" or "sgd".
        momentum: SGD's.
        schedule: "cosine" or "constant".
        decay_to_start: interpolating kernels decay to their start, not to zero.
        card: plain data to store in every checkpoint, so that it can be rebuilt from itself.

    Raises:
        ValueError: for options out of their range, or images too small for SSIM.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        net: nn.Module,
        data: Any,
        *,
        distance: str = "l1",
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
        betas: Sequence[float] = (0.9, 0.999),
        warmup: float = 0.05,
        optimiser: str = "adamw",
        momentum: float = 0.9,
        schedule: str = "cosine",
        decay_to_start: bool = True,
        card: Mapping[str, Any] | None = None,
    ):
        super().__init__()
        check_choice("distance", distance, tuple(DISTANCES))
        if min(data.size) < SMALLEST:
            raise ValueError(
                f"size={list(data.size)} is too small to score a reconstruction: SSIM needs at "
                f"least {SMALLEST} pixels each way"
            )
        self.optimisation = Optimisation(
            lr, weight_decay, betas, warmup, optimiser, momentum, schedule, decay_to_start
        )
        self.net = net.to(memory_format=torch.channels_last)
        self.distance = DISTANCES[distance]
        self.card = dict(card or {})
        #: Scores of the latest pass over a whole split, by name.
        self.results: dict[str, Any] = {}
        self.register_buffer("mean", torch.tensor(data.mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(data.std).view(-1, 1, 1), persistent=False)
        self.scores = nn.ModuleDict({split: nn.ModuleDict(_scores()) for split in ("val", "test")})

    @staticmethod
    def outputs(data: Any) -> int:
        """Channels that the net must give: those of the image."""
        return data.in_channels

    def forward(self, images: Tensor) -> Tensor:
        """Reconstructions of normalised images, normalised too, (B, C, H, W)."""
        return self.net(images.contiguous(memory_format=torch.channels_last))

    def loss(self, found: Tensor, images: Tensor) -> Tensor:
        """Mean distance of normalised values."""
        return self.distance(found.float(), images.float())

    def colours(self, images: Tensor) -> Tensor:
        """Normalised images as colours in 0 … 1, clipped."""
        return (images.float() * self.std + self.mean).clamp(0, 1)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One step; stops the run where the loss is no longer finite."""
        loss = self.loss(self(batch["image"]), batch["image"])
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
        self._score("val", batch["image"])

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a batch to the test scores."""
        self._score("test", batch["image"])

    def on_validation_epoch_end(self) -> None:
        """Log the scores of the whole validation set."""
        self._log_scores("val")

    def on_test_epoch_end(self) -> None:
        """Log the scores of the whole test set."""
        self._log_scores("test")

    def _reset(self, split: str) -> None:
        self.results = {}
        for score in self.scores[split].values():
            score.reset()

    def _score(self, split: str, images: Tensor) -> None:
        found = self(images)
        scores = self.scores[split]
        scores["loss"].update(self.loss(found, images), weight=images.numel())
        with torch.autocast(images.device.type, enabled=False):  # SSIM's variances cancel in bf16
            for name in ("psnr", "ssim"):
                scores[name].update(self.colours(found), self.colours(images))

    def _log_scores(self, split: str) -> None:
        self.results = {name: score.compute().item() for name, score in self.scores[split].items()}
        for name, value in self.results.items():
            self.log(f"{split}/{name}", value, prog_bar=name in ("psnr", "ssim"))

    def configure_optimizers(self) -> tuple[list[Optimizer], list[dict[str, Any]]]:
        """As `Optimisation` says, over the whole training."""
        return self.optimisation.configure(self.net, self.trainer)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Let every checkpoint carry the config that rebuilds it."""
        checkpoint["card"] = self.card


def _scores() -> dict[str, Metric]:
    """Fresh counters of one split."""
    return {
        "psnr": PeakSignalNoiseRatio(data_range=1.0),
        "ssim": StructuralSimilarityIndexMeasure(data_range=1.0),
        "loss": MeanMetric(),
    }
