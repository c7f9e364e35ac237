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

from data.transforms import denormalise
from tasks.optimisation import Optimisation, check_choice, refuse_not_finite

Batch = Mapping[str, Tensor]


def charbonnier(found: Tensor, truth: Tensor) -> Tensor:
    """Mean of √(d² + 10⁻⁶): the absolute difference, smooth at zero (Lai et al. 2017)."""
    return torch.sqrt((found - truth) ** 2 + 1e-6).mean()


DISTANCES = {"l1": F.l1_loss, "l2": F.mse_loss, "charbonnier": charbonnier}
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
        distance: "l1", the absolute difference, "l2", the squared one, or "charbonnier", a smooth
            absolute one.
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
        self.check(net, data)
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
        self.scores = nn.ModuleDict(
            {split: nn.ModuleDict(self.counters()) for split in ("val", "test")}
        )

    @staticmethod
    def check(net: nn.Module, data: Any) -> None:
        """Refuse a net or data that this task cannot train, before anything is built."""
        if min(data.size) < SMALLEST:
            raise ValueError(
                f"size={list(data.size)} is too small to score a reconstruction: SSIM needs at "
                f"least {SMALLEST} pixels each way"
            )

    @staticmethod
    def outputs(data: Any) -> int:
        """Channels that the net must give: those of the image."""
        return data.in_channels

    def forward(self, images: Tensor) -> Tensor:
        """Reconstructions of normalised images, normalised too, (B, C, H, W)."""
        return self.net(images.contiguous(memory_format=torch.channels_last))

    @staticmethod
    def counters() -> dict[str, Metric]:
        """Fresh counters of one split's scores."""
        return {
            "psnr": PeakSignalNoiseRatio(data_range=1.0),
            "ssim": StructuralSimilarityIndexMeasure(data_range=1.0),
            "loss": MeanMetric(),
        }

    def truth(self, batch: Batch) -> Tensor:
        """What the net has to give: its input."""
        return batch["image"]

    def predict(self, images: Tensor) -> Tensor:
        """What is scored and shown."""
        return self(images)

    def scored(self, images: Tensor) -> Tensor:
        """What PSNR and SSIM compare of normalised images: their colours."""
        return self.colours(images)

    def loss(self, found: Tensor, images: Tensor) -> Tensor:
        """Mean distance of normalised values."""
        return self.distance(found.float(), images.float())

    def colours(self, images: Tensor) -> Tensor:
        """Normalised images as colours in 0 … 1, clipped."""
        return denormalise(images, self.mean, self.std).clamp(0, 1)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One step; stops the run where the loss is no longer finite."""
        loss = self.loss(self(batch["image"]), self.truth(batch))
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
        self.results = {}
        for score in self.scores[split].values():
            score.reset()

    def _score(self, split: str, batch: Batch) -> None:
        found, truth = self.predict(batch["image"]), self.truth(batch)
        scores = self.scores[split]
        scores["loss"].update(self.loss(found, truth), weight=truth.numel())
        with torch.autocast(truth.device.type, enabled=False):  # SSIM's variances cancel in bf16
            for name in ("psnr", "ssim"):
                scores[name].update(self.scored(found), self.scored(truth))

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
