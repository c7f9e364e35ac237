"""Classification of whole images: cross-entropy on slightly moved images, scored by accuracy."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from tasks.base import Batch
from tasks.optimisation import Optimisation
from tasks.supervised import Supervised


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


class Classification(Supervised):
    """Train and score a classifier.

    Args:
        net: (B, C, H, W) normalised images -> (B, classes) logits.
        data: labelled images; its `classes` are used.
        rotation: training images are turned by up to so many degrees, 0 to 180.
        zoom: and scaled by up to this share, 0 to below 1.
        shift: and moved by up to this share of their side, 0 to 1.
        options: `card`, and options of `Optimisation` that differ from `defaults`.

    Raises:
        ValueError: for options out of their range, or data that has no label for each image.
    """

    makes_pictures = False
    defaults = Optimisation(lr=1e-2, warmup=0.1)
    shown = ("accuracy", "loss")

    def __init__(
        self,
        net: nn.Module,
        data: Any,
        *,
        rotation: float = 10.0,
        zoom: float = 0.1,
        shift: float = 0.07,
        **options: Any,
    ) -> None:
        super().__init__(net, **options)
        for name, value, fits, want in (
            ("rotation", rotation, 0 <= rotation <= 180, "0 to 180 degrees"),
            ("zoom", zoom, 0 <= zoom < 1, "a share from 0 to below 1"),
            ("shift", shift, 0 <= shift <= 1, "a share of the side, 0 to 1"),
        ):
            if not fits:
                raise ValueError(f"task.{name}={value!r} must be {want}")
        self.affine = {"rotation": rotation, "zoom": zoom, "shift": shift}
        classes = self.outputs(data)
        self.count_with(
            {
                split: {
                    "accuracy": MulticlassAccuracy(classes, average="micro"),
                    "loss": MeanMetric(),
                }
                for split in ("val", "test")
            }
        )

    @staticmethod
    def outputs(data: Any) -> int:
        """Channels that the net must give: a score for each class."""
        if not data.classes or data.masked:
            raise ValueError(
                f"data={data.name} has no label for each image, which task=classification needs: "
                "use data=mnist"
            )
        return len(data.classes)

    def augment(self, images: Tensor) -> Tensor:
        """Training images, slightly moved."""
        return random_affine(images, **self.affine) if any(self.affine.values()) else images

    def truth(self, batch: Batch) -> Tensor:
        """The class of each image, (B,)."""
        return batch["label"]

    def loss(self, prediction: Tensor, truth: Tensor) -> Tensor:
        """Cross-entropy of logits (B, classes)."""
        return F.cross_entropy(prediction.float(), truth)

    def count(self, counters: nn.ModuleDict, batch: Batch) -> None:
        """Add a batch to the counters of a split."""
        logits, label = self(batch["image"]).float(), self.truth(batch)
        counters["accuracy"].update(logits, label)
        counters["loss"].update(self.loss(logits, label), weight=len(label))
