"""What the records of a setting say: scores by variant, seed and budget, nothing concluded yet."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from comparison import resampling
from comparison.statistics import estimate
from runs import folders, per_image, records
from runs.records import Record
from studies import pilots
from studies.archive import newest
from studies.pilots import Tried
from studies.plan import read_rates, study_jobs
from studies.setting import Setting
from studies.settings import SETTINGS

#: Draws of the bootstrap over seeds and images.
DRAWS = 2000


@dataclass(frozen=True)
class Trained:
    """One finished training.

    Attributes:
        seed: of all its random draws.
        lr: its learning rate.
        record: what it left.
        folder: of the record and of the figures of each image.
    """

    seed: int
    lr: float
    record: Record
    folder: Path

    @property
    def steps(self) -> list[int]:
        """The budgets that it was scored at; a training without budgets has its end alone."""
        return [budget["step"] for budget in self.record.budgets]

    def score(self, split: str, name: str, step: int | None = None) -> float | None:
        """A score at a budget, or at the end, where more has been measured."""
        metrics = self.record.metrics
        if step is not None and step != max(self.steps, default=step):
            metrics = next(b["metrics"] for b in self.record.budgets if b["step"] == step)
        value = metrics.get(split, {}).get(name)
        return None if value is None else float(value)

    @cached_property
    def images(self) -> dict[str, np.ndarray]:
        """The figures of each image."""
        return per_image.read(self.folder / per_image.FILE)


#: Variant → seed → training.
Trainings = Mapping[str, Mapping[int, Trained]]


@dataclass(frozen=True)
class Evidence:
    """The finished trainings of a setting.

    Attributes:
        name: key of `SETTINGS`.
        own: at each variant's own learning rate.
        common: at the common rate, of the variants that have another.
        checks: check → trainings.
        tried: what the pilots scored, of which the learning rates were chosen.
    """

    name: str
    own: Trainings
    common: Trainings = field(default_factory=dict)
    checks: Mapping[str, Trainings] = field(default_factory=dict)
    tried: Tried = field(default_factory=dict)

    @property
    def setting(self) -> Setting:
        """What was planned."""
        return SETTINGS[self.name]

    @cached_property
    def seeds(self) -> list[int]:
        """Those that every variant has; what is compared is of them alone."""
        return sorted(set.intersection(*(set(runs) for runs in self.own.values())))

    @cached_property
    def budgets(self) -> list[int]:
        """Steps at which every training was scored, in order; the last is the longest budget."""
        every = [set(run.steps) for runs in self.own.values() for run in runs.values()]
        return sorted(set.intersection(*every))

    def scores(
        self, step: int, name: str | None = None, split: str | None = None
    ) -> dict[str, dict[int, float]]:
        """Variant → seed → score at a budget; the primary score, on its split, by default.

        Seeds that not all variants have are left out, and variants without the score.
        """
        name, split = name or self.setting.primary, split or self.setting.split
        table = {
            variant: {seed: runs[seed].score(split, name, step) for seed in self.seeds}
            for variant, runs in self.own.items()
        }
        return {
            variant: {seed: float(value) for seed, value in values.items() if value is not None}
            for variant, values in table.items()
            if values and None not in values.values()
        }

    def figures(self, variant: str, step: int) -> dict[str, np.ndarray]:
        """The setting's figures of each image at a budget, name → (seeds, images, …)."""
        runs = [self.own[variant][seed] for seed in self.seeds]
        places = [run.images["steps"].tolist().index(step) for run in runs]
        return {
            name: np.stack(
                [
                    run.images[f"{self.setting.split}.{name}"][place].astype(float)
                    for run, place in zip(runs, places, strict=True)
                ]
            )
            for name in self.setting.figures
        }

    @cached_property
    def image_names(self) -> list[str]:
        """Of the setting's split, in the order of `figures`."""
        run = next(iter(next(iter(self.own.values())).values()))
        return [str(name) for name in run.images[f"{self.setting.split}.images"]]

    def draws(self, variant: str, step: int) -> np.ndarray:
        """The mean primary score in draws of seeds and images at once, (draws,).

        The draws are alike for all variants and budgets, so that differences are paired.
        """
        if (variant, step) not in self._drawn:
            figures = self.figures(variant, step)
            drawn, statistic = resampling.drawn_as(figures, self.setting.pooled)
            self._drawn[variant, step] = resampling.draw(drawn, statistic, DRAWS)
        return self._drawn[variant, step]

    @cached_property
    def _drawn(self) -> dict[tuple[str, int], np.ndarray]:
        return {}

    def difference(self, variant: str, other: str, step: int) -> tuple[float, float]:
        """The 95 % interval of a difference of two variants' primary scores, of two seeds or more.

        Over seeds and images at once; where a score is of all images together, the paired
        t-interval over seeds.
        """
        if self.setting.figures:
            return resampling.interval(self.draws(variant, step) - self.draws(other, step))
        scores = self.scores(step)
        gaps = estimate([scores[variant][seed] - scores[other][seed] for seed in self.seeds])
        if gaps.half is None:
            raise ValueError(f"{self.name}: one seed has no interval: train a second")
        return gaps.mean - gaps.half, gaps.mean + gaps.half

    @property
    def trainings(self) -> list[Trained]:
        """All of them."""
        parts: Iterable[Trainings] = [self.own, self.common, *self.checks.values()]
        return [run for part in parts for runs in part.values() for run in runs.values()]

    @property
    def hours(self) -> float:
        """Of training steps alone."""
        seconds = (run.record.cost.get("train_seconds") or 0.0 for run in self.trainings)
        return math.fsum(seconds) / 3600

    @property
    def finished(self) -> bool:
        """Whether all variants have all seeds."""
        return not self.missing and len(self.seeds) == len(self.setting.seeds)

    @property
    def missing(self) -> list[str]:
        """Variants of the plan without a finished training."""
        return [variant for variant in self.setting.variants if variant not in self.own]


def read(
    name: str, results: Path, rates: Mapping[str, Mapping[str, float]] | None = None
) -> Evidence:
    """The finished trainings of a setting below a folder of records.

    Args:
        name: key of `SETTINGS`.
        results: the folder that has study/SETTING/VARIANT below it.
        rates: setting → variant → its own rate; by default those that the study has chosen.

    Raises:
        ValueError: trainings of differing commits' data, or of another precision than float32.
    """
    parts: dict[str, dict[str, dict[int, Trained]]] = {}
    for job in study_jobs([name], read_rates() if rates is None else rates, None):
        run = newest(results / job.folder, job.seed)
        if run is None:
            continue
        record = records.read(run / folders.RECORD)
        if record.status == "finished":
            suffix = job.folder.rpartition("/")[2].removeprefix(job.variant).removeprefix("-")
            trained = Trained(job.seed, job.lr, record, run)
            parts.setdefault(suffix, {}).setdefault(job.variant, {})[job.seed] = trained
    own, common = parts.pop("", {}), parts.pop("common", {})
    evidence = Evidence(name, own, common, parts, pilots.read(name, results))
    check_alike(evidence)
    return evidence


def check_alike(evidence: Evidence) -> None:
    """Refuse trainings that were not of the same data and precision.

    Raises:
        ValueError: one line that names what differs.
    """
    for what, values in {
        "data": {run.record.data["fingerprint"] for run in evidence.trainings},
        "precision": {run.record.machine.get("precision") for run in evidence.trainings},
    }.items():
        if len(values) > 1:
            shown = ", ".join(sorted(map(str, values)))
            raise ValueError(
                f"{evidence.name}: trainings differ in {what} ({shown}): a setting has one"
            )
