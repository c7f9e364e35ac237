"""The picture of what a net does with a few samples, for each kind of task."""

from collections.abc import Mapping, Sequence
from functools import singledispatch
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from panels.projection import page
from panels.samples import sample_grid
from panels.segmentation import segmentation_panel
from tasks.generation import Generation
from tasks.reconstruction import Reconstruction
from tasks.segmentation import Segmentation
from tasks.super_resolution import SuperResolution, same_size
from upzoo.bicubic import enlarge

Samples = Sequence[Mapping[str, Tensor]]
#: Generated images in a row.
COLUMNS = 8


@singledispatch
def picture(task: pl.LightningModule, samples: Samples, data: Any) -> Tensor | None:
    """What the task's net makes of samples, (3, h, w) uint8; None where nothing is to be seen."""
    return None


@picture.register
def _(task: Segmentation, samples: Samples, data: Any) -> Tensor:
    return prediction_panel(task, samples, data)


@picture.register
def _(task: Reconstruction, samples: Samples, data: Any) -> Tensor:
    return reconstruction_panel(task, samples)


@picture.register
def _(task: SuperResolution, samples: Samples, data: Any) -> Tensor:
    return super_resolution_panel(task, samples)


@picture.register
def _(task: Generation, samples: Samples, data: Any) -> Tensor:
    return sample_grid(draw(task, task.fixed_z), COLUMNS)


def alike(samples: Samples) -> Samples:
    """Those of the first one's size, which fit into one picture."""
    return [s for s in samples if s["image"].shape == samples[0]["image"].shape]


def prediction_panel(task: pl.LightningModule, samples: Samples, data: Any) -> Tensor:
    """Input, truth, prediction and errors of samples of the first one's size, (3, H, W) uint8."""
    samples = alike(samples)
    images = torch.stack([sample["image"] for sample in samples])
    with torch.no_grad():  # one by one, to need no more memory than training does
        logits = [task(image[None].to(task.device))[0] for image in images]
    return segmentation_panel(
        images,
        torch.stack([sample["mask"] for sample in samples]),
        torch.stack([scores.argmax(0).cpu() for scores in logits]),
        classes=data.classes,
        palette=data.palette,
        mean=data.mean,
        std=data.std,
    )


@torch.no_grad()
def reconstruction_panel(task: Reconstruction, samples: Samples) -> Tensor:
    """One row per sample: input | reconstruction | error, (3, H, W) uint8.

    The error is the absolute difference of the colours, black where there is none.
    """
    images = torch.stack([s["image"] for s in alike(samples)]).to(task.device)
    # one by one, to need no more memory than training does
    found = torch.cat([task(image[None]) for image in images])
    truth, found = task.colours(images), task.colours(found)
    blocks = [block[:, None] for block in (truth, found, (truth - found).abs())]
    return page(blocks, ("input", "reconstruction", "error"), tile=256)


@torch.no_grad()
def super_resolution_panel(task: SuperResolution, samples: Samples) -> Tensor:
    """One row per sample, its middle: bicubic | the net | original | error, (3, H, W) uint8.

    The error is the absolute difference of net and original, black where there is none.
    """
    samples = same_size(samples)
    images, truth = (
        torch.stack([sample[name] for sample in samples]).to(task.device)
        for name in ("image", "target")
    )
    # one by one, to need no more memory than training does
    found = torch.cat([task.predict(image[None]) for image in images])
    bicubic, found, truth = map(task.colours, (enlarge(images, task.scale), found, truth))
    blocks = [block[:, None] for block in (bicubic, found, truth, (truth - found).abs())]
    return page(blocks, ("bicubic", task.net.label, "original", "error"), tile=256)


@torch.no_grad()
def draw(task: pl.LightningModule, z: Tensor) -> Tensor:
    """Images of some noise in evaluation mode; the task's own mode stays."""
    training = task.training
    task.eval()
    images = task(z)
    task.train(training)
    return images
