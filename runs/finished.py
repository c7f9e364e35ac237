"""Which jobs of a sweep are finished, told without putting their configs together.

Hydra takes an eighth of a second for the config of a job. But the same overrides of the same files
in `configs/` are the same config: where a line of `sweep.jsonl` says that they were trained, and in
which run, and that run is there, nothing else need be known. Any doubt leaves the job to
`runs.sweeps.run_job`, which composes its config and compares all of it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from runs import folders, records
from runs.console import ROOT

Job = Sequence[str]
#: Overrides whose config depends on more than `configs/`: on a run, on a variable, on other files.
DEPENDING = ("init=", "${", "hydra.searchpath")
#: Overrides that say where the runs are kept, which is where the lines are.
PLACE = ("logs=", "name=")


def digest() -> str:
    """Of all that decides what overrides become: the files in `configs/`, and Hydra's version."""
    whole = hashlib.sha256(f"{version('hydra-core')} {version('omegaconf')}".encode())
    for path in sorted((ROOT / "configs").rglob("*.yaml")):
        whole.update(f"\0{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return whole.hexdigest()


def note(folder: Path, run: str | Path, configs: str) -> dict[str, str]:
    """What a sweep's line says of a finished job, besides its overrides.

    Args:
        folder: of the sweep, with which its runs may be moved.
        run: the job's.
        configs: the `digest` when its config was composed.
    """
    return {"run": os.path.relpath(run, folder), "configs": configs}


def split(
    jobs: Sequence[Job], folder: Path, lines: Iterable[Mapping[str, Any]]
) -> tuple[list[Job], dict[tuple[str, ...], Path]]:
    """Jobs that may have to be trained, and the runs of those that are finished.

    Args:
        jobs: the overrides of each.
        folder: of the sweep.
        lines: of all sweeps that filled it.
    """
    configs, left, done = digest(), [], {}
    known = {
        _deciding(line["overrides"]): line["run"]
        for line in lines
        if line.get("configs") == configs and {"overrides", "run"} <= line.keys()
    }
    for job in jobs:
        run = known.get(_deciding(job))
        if run is not None and not _depends(job) and _is_finished(folder / run):
            done[tuple(job)] = folder / run
        else:
            left.append(job)
    return left, done


def leave_out(skip: Callable[[Sequence[Job]], Sequence[Job]]) -> None:
    """Let Hydra's sweeper compose and launch no other jobs of its next batch than `skip` leaves.

    Hydra takes sweepers from its own packages alone, and loads their modules anew as it starts.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    batch_of = BasicSweeper.get_job_batch

    def unfinished(sweeper: BasicSweeper) -> Sequence[Job]:
        BasicSweeper.get_job_batch = batch_of  # type: ignore[method-assign]
        return skip(batch_of(sweeper))

    BasicSweeper.get_job_batch = unfinished  # type: ignore[method-assign, assignment]


def _deciding(job: Job) -> tuple[str, ...]:
    return tuple(override for override in job if not override.startswith(PLACE))


def _depends(job: Job) -> bool:
    return any(part in override for override in job for part in DEPENDING)


def _is_finished(run: Path) -> bool:
    try:
        return records.read(run / folders.RECORD).status == "finished"
    except (OSError, ValueError):  # it is gone, or broken
        return False
