"""Reconstruction: rebuild the image from what a net kept of it."""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MeanMetric, Metric
from torchmetrics.image import PeakSignalNoiseRatio, StructuralSimilarityIndexMeasure

from data.pixels import denormalise
from tasks.base import Batch, Made, Samples
from tasks.optimisation import Optimisation, check_choice
from tasks.pictures import reconstruction_panel
from tasks.supervised import Supervised
from upzoo.metrics.restoration import image_psnr


def charbonnier(found: Tensor, truth: Tensor) -> Tensor:
    """Mean of √(d² + 10⁻⁶): the absolute difference, smooth at zero (Lai et al. 2017)."""
    return torch.sqrt((found - truth) ** 2 + 1e-6).mean()


DISTANCES = {"l1": F.l1_loss, "l2": F.mse_loss, "charbonnier": charbonnier}
#: SSIM compares Gaussian windows of 11×11 pixels (Wang et al. 2004), mirrored at the border.
SMALLEST = 6


class Reconstruction(Supervised):
    """Train a net to give its input back, and score how well it does.

    The loss is the mean distance of normalised values, in float32. The scores compare colours in
    0 … 1, clipped there: PSNR = −10·log₁₀ of the mean squared error over all pixels of the split in
    decibels, and the mean over its images of their structural similarity (Wang et al. 2004).

    Args:
        net: (B, C, H, W) images -> (B, C, H, W).
        data: the data to train on; its `mean`, `std` and `size` are used.
        distance: "l1", the absolute difference, "l2", the squared one, or "charbonnier", a smooth
            absolute one.
        options: `card`, and options of `Optimisation` that differ from `defaults`.

    Raises:
        ValueError: for options out of their range, or images too small for SSIM.
    """

    mean: Tensor
    std: Tensor

    defaults = Optimisation(weight_decay=1e-4)
    shown = ("psnr", "ssim")
    #: Range of the values that PSNR and SSIM compare.
    peak: ClassVar[float] = 1.0
    pooled = True

    def __init__(self, net: nn.Module, data: Any, *, distance: str = "l1", **options: Any) -> None:
        check_choice("distance", distance, tuple(DISTANCES))
        self.check(net, data)
        super().__init__(net, **options)
        self.distance = DISTANCES[distance]
        self.register_buffer("mean", torch.tensor(data.mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(data.std).view(-1, 1, 1), persistent=False)
        self._psnr: list[Tensor] = []
        self.count_with({split: self.fresh_counters() for split in ("val", "test")})

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

    @staticmethod
    def fresh_counters() -> dict[str, Metric]:
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

    def loss(self, prediction: Tensor, truth: Tensor) -> Tensor:
        """Mean distance of normalised values."""
        return self.distance(prediction.float(), truth.float())

    def colours(self, images: Tensor) -> Tensor:
        """Normalised images as colours in 0 … 1, clipped."""
        return denormalise(images, self.mean, self.std).clamp(0, 1)

    def count(self, counters: nn.ModuleDict, batch: Batch) -> Made:
        """Add a batch to the counters of a split."""
        found, truth = self.predict(batch["image"]), self.truth(batch)
        counters["loss"].update(self.loss(found, truth), weight=truth.numel())
        with torch.autocast(truth.device.type, enabled=False):  # SSIM's variances cancel in bf16
            pair = self.scored(found), self.scored(truth)
            for name in ("psnr", "ssim"):
                counters[name].update(*pair)
        self._psnr.append(image_psnr(*pair, self.peak).cpu())
        return pair if self.shares_pass else None

    def log_scores(self, split: str) -> None:
        """Log and keep the scores of a split, and each of its images' PSNR."""
        super().log_scores(split)
        self.per_image = {"psnr": torch.cat(self._psnr)} if self._psnr else {}

    def _reset(self, split: str) -> None:
        super()._reset(split)
        self._psnr = []

    def made(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Colours that the net makes, and those that it has to."""
        return self.colours(self(batch["image"])), self.colours(self.truth(batch))

    def picture(self, samples: Samples, data: Any) -> Tensor:
        """Input, reconstruction and error of samples."""
        return reconstruction_panel(self, self.alike(samples))
