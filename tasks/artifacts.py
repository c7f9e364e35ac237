"""Checkerboards of a task's net: in its weights, its response, its pictures and its gradients."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from tasks.base import Batch, Samples, Task
from upzoo.audit import AuditReport
from upzoo.metrics.checkerboard.power import MIN_PERIODS
from upzoo.metrics.checkerboard.scores import CheckerboardScores, describe

#: Inputs whose mean activations the audit weighs the kernels by.
EXAMPLES = 2
#: Samples that a pass of its own makes pictures of together.
BATCH = 16
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
        pictures: "made", and "real" where there is such a thing, (B, C, H, W) each; none where
            they were measured as the net was scored.
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


class Pictures:
    """What a net makes, measured batch by batch: a few kB of each picture are kept.

    Args:
        periods: of the grids to look for, in pixels; those too large for the pictures are left out.
        count: of the pictures to look at, the first ones; None is all.
        keep: the first pictures too, on the CPU, in `kept`: "made", and "real" where there is such.
    """

    def __init__(
        self, periods: Sequence[int], count: int | None = None, *, keep: bool = False
    ) -> None:
        self.wanted, self.count, self.keep = tuple(periods), count, keep
        self.seen = 0
        self.periods: tuple[int, ...] = ()
        self.kept: dict[str, list[Tensor]] = {}
        self._shape: torch.Size | None = None
        self._scores: CheckerboardScores | None = None

    def add(self, made: Tensor, real: Tensor | None) -> None:
        """Measure a batch (B, C, H, W) of what was made, and of real pictures to compare it with.

        Pictures of another size than the first are counted, and not looked at.
        """
        left = len(made) if self.count is None else max(0, self.count - self.seen)
        self.seen += len(made[:left])
        if self._shape is None:
            self._shape = made.shape[1:]
            self.periods = tuple(p for p in self.wanted if min(made.shape[2:]) >= MIN_PERIODS * p)
            if self.periods:
                # one process measures, while those that train with it wait elsewhere
                self._scores = CheckerboardScores(
                    self.periods, compared=real is not None, sync_on_compute=False
                )
        if not left or made.shape[1:] != self._shape:
            return
        for name, pictures in (("made", made), ("real", real)):
            if pictures is None:
                continue
            pictures = pictures[:left].detach().float().contiguous()
            if self._scores is not None:
                self._scores.update(pictures, real=name == "real")
            held = sum(each.nbytes for each in self.kept.get(name, []))
            if self.keep and held < KEPT_BYTES:
                self.kept.setdefault(name, []).append(pictures.cpu())

    def compute(self) -> dict[str, float]:
        """The figures of `CheckerboardScores`; none of pictures too small for any period."""
        return {} if self._scores is None else self._scores.compute()


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
    pictures = Pictures(periods or task.periods, keep=True)
    look(task, samples, pictures)
    return assess(task, samples, pictures)


@torch.no_grad()
def look(task: Task, samples: Iterable[Batch], pictures: Pictures) -> None:
    """Let the net of a task make pictures of samples, all of one size, in evaluation mode."""
    training = task.training
    task.eval()
    iterator = iter(samples)
    with torch.compiler.set_stance("force_eager"):
        while part := list(islice(iterator, BATCH)):
            names = [name for name in ("image", "target") if name in part[0]]
            batch = {name: torch.stack([s[name] for s in part]).to(task.device) for name in names}
            pictures.add(*task.made(batch))
    task.train(training)


@torch.no_grad()
def assess(task: Task, samples: Samples, pictures: Pictures) -> Artifacts:
    """Audit the net of a task on a few samples, and put that beside what its pictures show.

    Args:
        task: as it is; its mode and state stay.
        samples: of one size, of which the first two are taken.
        pictures: that have been measured.
    """
    training = task.training
    task.eval()
    examples = torch.stack([s["image"] for s in samples[:EXAMPLES]]).to(task.device)
    with torch.compiler.set_stance("force_eager"):  # hooks do not see into a compiled net
        report, gradient = task.examine(examples)
    task.train(training)
    values = pictures.compute()
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
        pictures={name: torch.cat(kept) for name, kept in pictures.kept.items()},
        periods=pictures.periods,
    )


def _responses(report: AuditReport) -> dict[int, float]:
    """What a constant shows, at the periods that the layers could make and at those found."""
    could = {layer.period for layer in report.layers if layer.up and layer.period}
    found = {finding.period for finding in report.findings}
    return {
        p: v for p, v in report.contrast.items() if p in found or any(c % p == 0 for c in could)
    }


def _sentence(values: Mapping[str, float], report: AuditReport) -> str:
    """What pictures show, what a constant becomes, and which layer is to blame."""
    shown = f"pictures: {describe(values)}" if values else "pictures: too small to show a grid"
    said = f"{shown}. Constant: {report.finding()}"
    cause = next((layer for layer in report.layers if layer.name == report.cause), None)
    if cause is not None and cause.ripple is not None and math.isfinite(cause.ripple):
        said += f", whose DC gains differ by {cause.ripple:.0%}"
    return said
