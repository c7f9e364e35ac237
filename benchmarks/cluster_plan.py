"""How long the study takes on more machines: `python -m benchmarks.cluster_plan`.

Simulated from what its trainings took. Each is a process of one thread; whichever worker is free
takes the next one of the plan's order, as a SLURM array does, and the pilots end before the study
begins, whose learning rates they choose. A training's seconds are those of its steps in its
committed record (`results/`), or the mean over its variant's other seeds there. What has no such
record is named and left out, and so are trainings on a GPU, whose seconds are no core's. Starting
and scoring are not in it: the page says what they add.

Writes the table of docs/cluster.md.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import statistics
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from runs import folders, records
from runs.console import ROOT
from studies.plan import SETTINGS, Job, pilot_jobs, read_rates, study_jobs

PAGE = ROOT / "docs" / "cluster.md"
BEGIN, END = "<!-- cluster_plan: begin -->", "<!-- cluster_plan: end -->"
WORKERS = (2, 8, 64, 512)
#: Trainings at once when the records were made: a machine of two cores.
RECORDED_WITH = 2


class Schedule(NamedTuple):
    """What so many workers make of a list of jobs.

    Attributes:
        makespan: seconds from the first start to the last end.
        idle: share of the workers' time until then in which they have nothing to do.
    """

    makespan: float
    idle: float


def schedule(phases: Sequence[Sequence[float]], workers: int) -> Schedule:
    """List scheduling (Graham 1969): a free worker takes the next job; phases wait for each other.

    >>> schedule([[3, 1, 2]], workers=2)
    Schedule(makespan=3, idle=0.0)
    >>> schedule([[1], [1, 1]], workers=2)
    Schedule(makespan=2, idle=0.25)
    """
    now: float = 0
    for seconds in phases:
        free = [now] * workers
        for each in seconds:
            heapq.heapreplace(free, free[0] + each)
        now = max(free)
    busy = sum(sum(seconds) for seconds in phases)
    return Schedule(now, 1 - busy / (workers * now) if now else 0.0)


class Measured(NamedTuple):
    """A finished training: when its run began, in seconds, and what its steps took.

    One that was made longer (`studies.train --epochs`) took its later steps at another time.
    """

    began: float
    seconds: float
    lengthened: bool = False


def measured(results: Path) -> dict[tuple[str, int], Measured]:
    """The trainings that a CPU finished among the records: (folder of the job, seed) → times."""
    found = {}
    for path in sorted(results.glob(f"**/seed*/{folders.RECORD}")):
        record = records.read(path)
        timed = record.cost["train_seconds"] is not None and not record.machine["gpu"]
        if record.status == "finished" and timed:
            folder = path.parent.parent.parent.relative_to(results).as_posix()
            began = datetime.fromisoformat(record.created).timestamp()
            key = folder, record.choices["seed"]
            lengthened = folder.startswith("study/") and "trainer.max_epochs=" in record.command
            found[key] = Measured(began, record.cost["train_seconds"], lengthened)
    return found


def durations(
    jobs: Iterable[Job], found: Mapping[tuple[str, int], Measured]
) -> list[tuple[Job, float | None]]:
    """Each job with its seconds: its own, its folder's mean, or None where none is on record."""
    by_folder: dict[str, list[float]] = {}
    for (folder, _), each in found.items():
        by_folder.setdefault(folder, []).append(each.seconds)
    means = {folder: statistics.mean(seconds) for folder, seconds in by_folder.items()}
    timed = []
    for job in jobs:
        own = found.get((job.folder, job.seed))
        timed.append((job, means.get(job.folder) if own is None else own.seconds))
    return timed


def beside_the_steps(found: Mapping[tuple[str, int], Measured], setting: str) -> float | None:
    """How much longer the study's trainings of a setting held their workers than their steps took.

    Their starts tell, of the longest stretch without a pause, one of twice the longest training:
    between its first and its last, `RECORDED_WITH` workers did all but the last few. None where it
    has fewer than 20 trainings, or any was made longer.
    """
    own = sorted(m for (folder, _), m in found.items() if folder.startswith(f"study/{setting}/"))
    if not own or any(each.lengthened for each in own):
        return None
    pause = 2 * max(each.seconds for each in own)
    stretches = [own[:1]]
    for before, each in itertools.pairwise(own):
        if each.began - before.began > pause:
            stretches.append([])
        stretches[-1].append(each)
    stretch = max(stretches, key=len)
    if len(stretch) < 20:
        return None
    whole = stretch[: len(stretch) - RECORDED_WITH]
    held = RECORDED_WITH * (stretch[-1].began - stretch[0].began)
    return held / sum(each.seconds for each in whole) - 1


def table(results: Path) -> list[str]:
    """The lines of the page."""
    found = measured(results)
    parts = {
        "pilots": durations(pilot_jobs(list(SETTINGS)), found),
        "study": durations(study_jobs(list(SETTINGS), read_rates(), None), found),
    }
    known = {name: [s for _, s in jobs if s is not None] for name, jobs in parts.items()}
    jobs, total = sum(map(len, known.values())), sum(map(sum, known.values()))
    planned = sum(map(len, parts.values()))
    lines = [
        f"{jobs} of the plan's {planned} trainings have their seconds on record, "
        f"{total / 3600:.1f} h of steps on one core; the longest takes "
        f"{max(map(max, known.values())) / 60:.1f} min.",
        "",
        "| workers | time until all are trained | times as fast as 2 | workers idle |",
        "|--:|--:|--:|--:|",
    ]
    slowest = schedule(list(known.values()), WORKERS[0]).makespan
    for workers in WORKERS:
        makespan, idle = schedule(list(known.values()), workers)
        lines.append(
            f"| {workers} | {span(makespan)} | {slowest / makespan:.1f} | {100 * idle:.0f} % |"
        )
    left_out = [
        f"{name} of {SETTINGS[setting].title}: {missing} of {len(own)}"
        for name, timed in parts.items()
        for setting in SETTINGS
        if (own := [seconds for job, seconds in timed if job.setting == setting])
        and (missing := own.count(None))
    ]
    if left_out:
        lines += ["", f"Not on record, and left out: {'; '.join(left_out)}."]
    extra = {name: beside_the_steps(found, name) for name in SETTINGS}
    said = [f"{100 * share:.0f} % ({SETTINGS[n].title})" for n, share in extra.items() if share]
    if said:
        lines += [
            "",
            "Starting, validating and scoring held the workers longer than the steps alone by "
            f"{', '.join(said)}, by the times at which the records' trainings began, "
            f"{RECORDED_WITH} at once, in the longest stretch without a pause.",
        ]
    return lines


def span(seconds: float) -> str:
    """A time in the unit that fits.

    >>> span(95), span(5400)
    ('1.6 min', '1.5 h')
    """
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def main() -> None:
    """Print the table and put it into the page."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    lines = table(ROOT / "results")
    print("\n".join(lines))
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    text = f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}"
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
