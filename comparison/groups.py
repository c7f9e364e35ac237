"""Many runs' records → groups of variants that may be compared: one model and one data set each.

Nothing is averaged in that is not a finished training run of this schema; whatever is left out is
named with its reason.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from runs import records
from runs.escape import file_name, printable
from runs.folders import RECORD
from runs.options import Options, labels, options_of
from runs.records import Record
from upzoo.metrics.catalogue import SCORES

#: What `folders.new_folder` calls a run's folder.
RUN_FOLDER = re.compile(r"seed\d+-\d{8}-\d{6}")
COSTS = tuple(name for name, score in SCORES.items() if score.kind == "cost")


@dataclass(frozen=True)
class Run:
    """One record, with all its scores on the split that it reports, and its costs, by name."""

    path: Path
    record: Record
    values: Mapping[str, float]

    @property
    def seed(self) -> int:
        """Of the run."""
        return self.record.choices["seed"]

    @property
    def subject(self) -> tuple[str, str]:
        """The model and the data of the run."""
        return self.record.choices["model"], self.record.choices["data"]

    @property
    def folder(self) -> Path:
        """Where its model file and TensorBoard events are, too."""
        return self.path.parent


@dataclass(frozen=True)
class Variant:
    """An operator with its options: what seeds are averaged over."""

    label: str
    operator: str
    options: Options
    runs: Mapping[int, Run]

    def values(self, metric: str) -> dict[int, float]:
        """Seed → value, of the runs that have it."""
        return {seed: r.values[metric] for seed, r in self.runs.items() if metric in r.values}


@dataclass(frozen=True)
class Group:
    """Variants of one model on one split of one data set."""

    model: str
    data: str
    split: str
    variants: list[Variant]
    notes: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """For people."""
        return printable(f"{self.model} on {self.data}, {self.split}")

    @property
    def name(self) -> str:
        """For files."""
        return file_name(f"{self.model}-{self.data}", safe="=,+")


@dataclass(frozen=True)
class LeftOut:
    """What is not used, and why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return printable(f"{self.path}: {self.reason}")


@dataclass(frozen=True)
class Study:
    """All that lies under some folders."""

    groups: list[Group]
    left_out: list[LeftOut]


def collect(folders: Iterable[str | os.PathLike[str]]) -> Study:
    """Read every record below some folders and sort the runs into groups of variants.

    Raises:
        FileNotFoundError: for a folder that does not exist.
        ValueError: where no finished run is found.
    """
    folders = list(folders)
    if not folders:
        raise ValueError("no folder is given: python compare.py logs/study")
    paths, left_out = find(folders)
    read = [_read(path) for path in paths]
    runs = [each for each in read if isinstance(each, Run)]
    left_out += [each for each in read if isinstance(each, LeftOut)]
    groups = []
    for model, data in sorted({run.subject for run in runs}):
        mine = [run for run in runs if run.subject == (model, data)]
        groups.append(_group(model, data, mine, left_out))
    if not groups:
        why = f", {left_out[0].path}: {left_out[0].reason}" if left_out else ""
        raise ValueError(
            f"{', '.join(map(str, folders))}: no record of a finished run{why}; "
            "python train.py -m … name=study writes them into logs/study"
        )
    return Study(groups, sorted(left_out, key=lambda each: str(each.path)))


def find(folders: Iterable[str | os.PathLike[str]]) -> tuple[list[Path], list[LeftOut]]:
    """All record files below some folders, each once; and the run folders that have none."""
    by_place: dict[Path, Path] = {}
    missing = []
    for folder in map(Path, folders):
        if folder.is_file():
            by_place.setdefault(folder.resolve(), folder)
        elif not folder.is_dir():
            raise FileNotFoundError(
                f"{folder}: no such folder; give the folder of a sweep, such as logs/study"
            )
        for here, _, files in os.walk(folder):
            if RECORD in files:
                path = Path(here, RECORD)
                by_place.setdefault(path.resolve(), path)
            elif RUN_FOLDER.match(Path(here).name):
                missing.append(LeftOut(Path(here), f"has no {RECORD}"))
    return sorted(by_place.values()), missing


def _read(path: Path) -> Run | LeftOut:
    try:
        record = records.read(path)
    except (ValueError, OSError) as error:
        reason = str(error).removeprefix(f"{path}: ")
        return LeftOut(path, f"broken: {reason}")
    if record.status != "finished":
        return LeftOut(path, f"its status is {record.status!r}")
    if "evaluate.py" in record.command.split()[:2]:
        return LeftOut(path, "scores of an evaluation, not a run of its own")
    choices = record.choices
    seed = choices["seed"]
    named = all(isinstance(choices[key], str) for key in ("model", "upsample", "data"))
    if not named or not isinstance(seed, int) or isinstance(seed, bool):
        return LeftOut(path, f"broken: choices={choices!r} name no model, operator, data and seed")
    scores = record.metrics.get(str(record.data["split"]), {})
    values = flatten(scores) | flatten({name: record.cost[name] for name in COSTS})
    if not flatten(scores):
        return LeftOut(path, f"has no scores on {record.data['split']!r}")
    return Run(path, record, values)


def flatten(scores: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The finite numbers of nested mappings, by names joined with slashes.

    >>> flatten({"miou": 0.5, "per_class_iou": {"sky": 0.9, "car": None}, "words": "-"})
    {'miou': 0.5, 'per_class_iou/sky': 0.9}
    """
    flat: dict[str, float] = {}
    for name, value in scores.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
            flat[prefix + name] = float(value)
    return flat


def _group(model: str, data: str, runs: list[Run], left_out: list[LeftOut]) -> Group:
    """Sort the runs of one model and data set into variants, those of other data left out."""
    tests = Counter((r.record.data["fingerprint"], r.record.data["split"]) for r in runs)
    fingerprint, split = tests.most_common(1)[0][0]
    variants: dict[tuple[str, frozenset[tuple[str, str]]], dict[int, Run]] = {}
    for run in sorted(runs, key=lambda r: (r.record.created, str(r.path)), reverse=True):
        source = run.record.data
        if (source["fingerprint"], source["split"]) != (fingerprint, split):
            other = f"{source['split']} of data {source['fingerprint']}"
            reason = f"scored on {other}; the others on {split} of data {fingerprint}"
            left_out.append(LeftOut(run.path, reason))
            continue
        options = options_of(run.record.config)
        key = (run.record.choices["upsample"], frozenset(options.items()))
        variant = variants.setdefault(key, {})
        if run.seed in variant:
            newer = variant[run.seed].folder.name
            reason = f"seed {run.seed} was run again later: {newer} counts"
            left_out.append(LeftOut(run.path, reason))
        else:
            variant[run.seed] = run
    named = [printable(label) for label in labels(list(variants))]
    built = [
        Variant(label, operator, dict(options), dict(sorted(variants[operator, options].items())))
        for label, (operator, options) in zip(named, variants, strict=True)
    ]
    built.sort(key=lambda variant: variant.label)
    return Group(model, data, split, built, _notes(built))


def _notes(variants: list[Variant]) -> list[str]:
    """What a reader should know of how alike the runs are."""
    notes = []
    seeds = sorted({seed for variant in variants for seed in variant.runs})
    for variant in variants:
        lacking = [str(seed) for seed in seeds if seed not in variant.runs]
        if lacking:
            notes.append(f"{variant.label} lacks seed {', '.join(lacking)}.")
    runs = [run.record for variant in variants for run in variant.runs.values()]
    machines = {
        str(r.machine.get("gpu") or r.machine.get("cpu")) + f", {r.machine.get('cores')} cores"
        for r in runs
    }
    if len(machines) > 1:
        notes.append(f"Times are of different machines: {'; '.join(sorted(machines))}.")
    commits = {str(r.commit.get("sha"))[:12] for r in runs if r.commit}
    if len(commits) > 1:
        notes.append(f"The runs are of {len(commits)} commits: {', '.join(sorted(commits))}.")
    return notes
