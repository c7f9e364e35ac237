"""How a trained net answers to what should not matter: shifts of its input, its own grid.

These figures are of finished nets. They take several passes over a split and are measured once,
after training (`python -m studies.measure`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from tasks.base import Batch
from tasks.reconstruction import Reconstruction
from tasks.segmentation import Segmentation
from upzoo.bicubic import reduce
from upzoo.metrics.equivariance import ShiftConsistency, ShiftEquivariance, window
from upzoo.metrics.periodic import PeriodicPart
from upzoo.upsampling import Upsample

#: The largest shift, in pixels: a period of the coarsest features of most nets.
REACH = 32
#: What is cut off a picture at every side, in pixels of the low resolution: borders are padded.
MARGIN = 4


@torch.no_grad()
def of_labels(task: Segmentation, samples: Iterable[Batch], seed: int = 0) -> dict[str, Any]:
    """Shift consistency, and what the periodic part of the logits does to labels and mean IoU.

    Each image is seen through two windows that begin at random, up to 32 pixels apart along each
    axis. The periods are the largest scale of the net's operators, the product of all their scales,
    and either and one more, which no step of the net has: what changes there is chance.

    Args:
        task: with the net, in evaluation mode.
        samples: {"image": (C, H, W), "mask": (H, W)}.
        seed: of the shifts.

    Returns:
        shift_consistency, and `periodic`: period → labels_flipped and miou_without_grid.
    """
    consistency = ShiftConsistency()
    classes = len(task.classes)
    parts = {p: PeriodicPart(classes, p, task.ignore_index) for p in periods_and_controls(task.net)}
    generator = torch.Generator().manual_seed(seed)
    for sample in samples:
        image = sample["image"][None].to(task.device)
        logits = task(image).float().cpu()
        for part in parts.values():
            part.update(logits, sample["mask"][None])
        first, second = torch.randint(REACH + 1, (2, 2), generator=generator).tolist()
        seen = (task(window(image, shift, REACH)).float().cpu() for shift in (first, second))
        consistency.update(*seen, offset=offset(first, second))
    found: dict[str, Any] = _numbers(consistency.compute())
    return found | {"periodic": {str(p): _numbers(part.compute()) for p, part in parts.items()}}


@torch.no_grad()
def of_pictures(task: Reconstruction, samples: Iterable[Batch], seed: int = 0) -> dict[str, Any]:
    """Shift equivariance of colours in 0 … 1, in decibels.

    For super-resolution the original is shifted, by up to two pixels of the low resolution, and
    then reduced: shifts of whole pixels of the low resolution would show nothing, as every net of
    convolutions commutes with them. For reconstruction the image itself is shifted, by up to 32
    pixels and a quarter of its shorter side.

    Args:
        task: with the net, in evaluation mode.
        samples: {"image": (C, H, W)}, and "target" for super-resolution.
        seed: of the shifts.

    Returns:
        shift_equivariance.
    """
    scale = int(getattr(task, "scale", 1))
    margin = MARGIN * scale
    score = ShiftEquivariance()
    generator = torch.Generator().manual_seed(seed)
    for sample in samples:
        truth = task.truth(sample)[None].to(task.device)
        reach = 2 * scale if scale > 1 else min(REACH, min(truth.shape[-2:]) // 4)
        first, second = torch.randint(reach + 1, (2, 2), generator=generator).tolist()
        made = []
        for shift in (first, second):
            seen = window(truth, shift, reach)
            low = reduce(seen, scale) if scale > 1 else seen
            made.append(task.colours(task.predict(low)).cpu()[..., margin:-margin, margin:-margin])
        score.update(*made, offset=offset(first, second))
    return _numbers(score.compute())


def periods_and_controls(net: torch.nn.Module) -> list[int]:
    """Periods that a net's operators may leave, each with one more, which they cannot.

    The operators' scales are taken as those of one chain, from coarse to fine.
    """
    scales = [module.scale for module in net.modules() if isinstance(module, Upsample)]
    product = 1
    for scale in scales:
        product *= scale
    wanted = dict.fromkeys(p for p in (max(scales, default=1), product) if p > 1)
    return [period for p in wanted for period in (p, p + 1)]


def offset(first: Sequence[int], second: Sequence[int]) -> tuple[int, int]:
    """Where the second of two windows begins, seen from the first."""
    return second[0] - first[0], second[1] - first[1]


def _numbers(scores: dict[str, Tensor]) -> dict[str, float]:
    return {name: value.item() for name, value in scores.items()}
