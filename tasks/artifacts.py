"""Checkerboards of a task's net: in its weights, its response, its pictures and its gradients."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tasks.base import Samples, Task
from upzoo.audit import AuditReport
from upzoo.metrics.checkerboard.power import MIN_PERIODS
from upzoo.metrics.checkerboard.scores import CheckerboardScores, describe

#: Inputs whose mean activations the audit weighs the kernels by.
EXAMPLES = 2
#: Pictures are kept to be shown until they take as much memory as this.
KEPT_BYTES = 2**26


@dataclass(frozen=True)
class Artifacts:
    """What was found.

    Attributes:
        headlines: one figure for each kind, of which lower is better: `ripple` of the weights,
            `response` to a constant, `checkerboard_db` of the pictures, `gradient_ratio`; and
            `sharpness_db`, 0 for real images. A figure that does not apply is left out.
        details: all figures by name.
        words: a sentence.
        report: the audit of the net.
        pictures: the first: "made", and "real" where there is such a thing, (B, C, H, W) each.
        periods: of the grids that were looked for in them.
    """

    headlines: dict[str, float]
    details: dict[str, float]
    words: str
    report: AuditReport
    pictures: dict[str, Tensor]
    periods: tuple[int, ...]

    def record(self) -> dict[str, Any]:
        """As a record holds it."""
        return {**self.headlines, "artifacts": self.details, "artifacts_in_words": self.words}


@torch.no_grad()
def examine(task: Task, samples: Samples, periods: Sequence[int] | None = None) -> Artifacts | None:
    """Measure the net of a task on samples; its mode and state stay.

    Args:
        task: of segmentation, reconstruction, super-resolution or generation.
        samples: of a data module's `prepared(split)`; those count that are `alike`.
        periods: of the grids to look for in pictures, in pixels; by default the task's own.

    Returns:
        None for a net that makes no pictures.
    """
    if not task.makes_pictures:
        return None
    samples = task.alike(samples)
    images = [s["image"] for s in samples]
    training = task.training
    task.eval()
    with torch.compiler.set_stance("force_eager"):  # hooks do not see into a compiled net
        report, gradient = task.examine(torch.stack(images[:EXAMPLES]).to(task.device))
        found, fit, values = _pictures(task, samples, periods or task.periods)
    task.train(training)

    responses = _responses(report)
    weighed = [layer for layer in report.layers if layer.up and task.weighs_kernels]
    ripples = {layer.name: layer.ripple for layer in weighed}
    finite = {k: v for k, v in ripples.items() if v is not None and math.isfinite(v)}
    headlines = {
        "ripple": max(finite.values(), default=None),
        "response": max(responses.values(), default=None),
        "checkerboard_db": values.get("checkerboard_db"),
        "gradient_ratio": max((g["energy_ratio"] for g in gradient.values()), default=None),
        "sharpness_db": values.get("sharpness_db"),
    }
    details = {f"ripple/{name}": value for name, value in finite.items()}
    details |= {f"response/period{p}": v for p, v in responses.items()}
    details |= {f"gradient/period{p}_{k}": v for p, g in gradient.items() for k, v in g.items()}
    details |= {f"pictures/{name}": value for name, value in values.items()}
    return Artifacts(
        headlines={k: v for k, v in headlines.items() if v is not None and math.isfinite(v)},
        details={k: v for k, v in details.items() if math.isfinite(v)},
        words=_sentence(values, report),
        report=report,
        pictures=found,
        periods=fit,
    )


def _responses(report: AuditReport) -> dict[int, float]:
    """What a constant shows, at the periods that the layers could make and at those found."""
    could = {layer.period for layer in report.layers if layer.up and layer.period}
    found = {finding.period for finding in report.findings}
    return {
        p: v for p, v in report.contrast.items() if p in found or any(c % p == 0 for c in could)
    }


def _pictures(
    task: Task, samples: Samples, periods: Sequence[int]
) -> tuple[dict[str, Tensor], tuple[int, ...], dict[str, float]]:
    """What the net makes of images and the real ones, the periods that fit in, and the scores.

    Of all images the first are kept, on the CPU: logits of a large image take tens of megabytes.
    """
    sides: dict[str, list[Tensor]] = {"made": [], "real": []}
    names = [name for name in ("image", "target") if name in samples[0]]
    fit: tuple[int, ...] | None = None
    scores, kept = None, 0
    for start in range(0, len(samples), 16):
        part = samples[start : start + 16]
        batch = {name: torch.stack([s[name] for s in part]).to(task.device) for name in names}
        made = {k: v for k, v in zip(sides, task.made(batch), strict=True) if v is not None}
        if fit is None:
            fit = tuple(p for p in periods if min(made["made"].shape[2:]) >= MIN_PERIODS * p)
            # one process measures, while those that train with it wait elsewhere
            scores = CheckerboardScores(fit, sync_on_compute=False) if fit else None
        for name, images in made.items():
            if scores is not None:
                scores.update(images.cpu(), real=name == "real")
            if kept <= KEPT_BYTES:
                sides[name].append(images.cpu())
        kept += sum(images.numel() * images.element_size() for images in made.values())
    found = {name: torch.cat(side) for name, side in sides.items() if side}
    return found, fit or (), {} if scores is None else scores.compute()


def _sentence(values: Mapping[str, float], report: AuditReport) -> str:
    """What pictures show, what a constant becomes, and which layer is to blame."""
    shown = f"pictures: {describe(values)}" if values else "pictures: too small to show a grid"
    said = f"{shown}. Constant: {report.finding()}"
    cause = next((layer for layer in report.layers if layer.name == report.cause), None)
    if cause is not None and cause.ripple is not None and math.isfinite(cause.ripple):
        said += f", whose DC gains differ by {cause.ripple:.0%}"
    return said
