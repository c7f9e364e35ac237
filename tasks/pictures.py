"""Pictures of what a net does with a few samples of one size."""

from typing import Any

import torch
from torch import Tensor

from panels.projection import page
from panels.segmentation import segmentation_panel
from tasks.base import Samples
from upzoo.bicubic import enlarge

#: Generated images in a row.
COLUMNS = 8


def prediction_panel(task: Any, samples: Samples, data: Any) -> Tensor:
    """Input, truth, prediction and errors of samples, (3, H, W) uint8."""
    images = torch.stack([sample["image"] for sample in samples])
    with torch.no_grad():  # one by one, to need no more memory than training does
        classes = [task(image[None].to(task.device))[0].argmax(0).cpu() for image in images]
    return segmentation_panel(
        images,
        torch.stack([sample["mask"] for sample in samples]),
        torch.stack(classes),
        classes=data.classes,
        palette=data.palette,
        mean=data.mean,
        std=data.std,
    )


@torch.no_grad()
def reconstruction_panel(task: Any, samples: Samples) -> Tensor:
    """One row per sample: input | reconstruction | error, (3, H, W) uint8.

    The error is the absolute difference of the colours, black where there is none.
    """
    images = torch.stack([s["image"] for s in samples]).to(task.device)
    # one by one, to need no more memory than training does
    found = torch.cat([task(image[None]) for image in images])
    truth, found = task.colours(images), task.colours(found)
    blocks = [block[:, None] for block in (truth, found, (truth - found).abs())]
    return page(blocks, ("input", "reconstruction", "error"), tile=256)


@torch.no_grad()
def super_resolution_panel(task: Any, samples: Samples) -> Tensor:
    """One row per sample, its middle: bicubic | the net | original | error, (3, H, W) uint8.

    The error is the absolute difference of net and original, black where there is none.
    """
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
def draw(task: Any, z: Tensor) -> Tensor:
    """Images of some noise in evaluation mode; the task's own mode stays."""
    training = task.training
    task.eval()
    images = task(z)
    task.train(training)
    return images
