"""Sweeps: many runs from one command, which go on after a failure and skip what is finished.

Every job adds a line to `logs/<name>/sweep.jsonl`, so that the count is right whichever launcher
runs the jobs: one after the other, in processes of this machine, or on a cluster.
"""

import json
import math
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from reporting import console, records, runs

FILE = "sweep.jsonl"
DONE = ("finished", "skipped", "failed")


def is_job() -> bool:
    """Whether this process runs one job of a sweep."""
    return HydraConfig.get().mode == RunMode.MULTIRUN


def run_job(cfg: DictConfig, train: Callable[[DictConfig], None]) -> None:
    """Train one run of a sweep, unless it is finished already; a failure does not end the sweep.

    Args:
        cfg: of the run.
        train: trains it.
    """
    folder, started = Path(cfg.logs, cfg.name), time.time()
    line: dict[str, Any] = {"overrides": list(HydraConfig.get().overrides.task)}
    earlier = finished_run(folder, OmegaConf.to_container(cfg, resolve=True))
    if earlier is not None:
        line |= {"status": "skipped", "run": str(earlier)}
    else:
        try:
            train(cfg)
            line["status"] = "finished"
        except Exception as error:
            line |= {"status": "failed", "error": console.explain(error) or _last_line(error)}
            if console.explain(error) is None:
                traceback.print_exc()
    line["seconds"] = time.time() - started
    _add(folder / FILE, line)
    print(progress(_lines(folder / FILE)), flush=True)


def finished_run(folder: Path, config: Any) -> Path | None:
    """The run in a sweep's folder that was trained by this config to its end, if there is one."""
    for path in folder.glob(f"*/seed{config['seed']}-*/{runs.RECORD}"):
        try:
            record = records.read(path)
        except ValueError:
            continue  # a broken record is no finished run
        if record.status == "finished" and not runs.first_difference(record.config, config):
            return path.parent
    return None


def progress(lines: list[Mapping[str, Any]]) -> str:
    """How far a sweep is: "sweep: 7 of 45 done, 1 of them failed, about 12 min left".

    Args:
        lines: of its file; the first tells how many jobs there are and when it began.
    """
    start, *jobs = lines
    failed = sum(job["status"] == "failed" for job in jobs)
    trained = [job for job in jobs if job["status"] != "skipped"]
    said = f"sweep: {len(jobs)} of {start['jobs']} done"
    if failed:
        said += f", {failed} of them failed"
    remaining = start["jobs"] - len(jobs)
    if remaining and trained:
        # wall-clock time by job, which counts jobs that ran beside each other once
        each = (jobs[-1]["time"] - start["time"]) / len(trained)
        said += f", about {_duration(each * remaining)} left"
    return said


class Sweep(Callback):
    """Counts the jobs of a sweep when it starts, and lists its failures when it ends."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Begin the sweep's file."""
        path = Path(config.logs, config.name) / FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        _add(path, {"jobs": count_jobs(config), "command": sys.argv[1:]})

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Say what failed, and end with status 1 if anything did."""
        _, *jobs = _lines(Path(config.logs, config.name) / FILE)
        counts = {status: sum(j["status"] == status for j in jobs) for status in DONE}
        print("sweep ended: " + ", ".join(f"{n} {status}" for status, n in counts.items() if n))
        failed = [job for job in jobs if job["status"] == "failed"]
        for job in failed:
            print(f"failed: {' '.join(job['overrides'])}: {job['error']}", file=sys.stderr)
        if failed:
            sys.exit(1)


def count_jobs(config: DictConfig) -> int:
    """How many runs the overrides of a sweep stand for: the product of their choices."""
    loader = GlobalHydra.instance().config_loader()  # lists what a glob stands for
    parser = OverridesParser.create(config_loader=loader)
    parsed = parser.parse_overrides(list(config.hydra.overrides.task))
    return math.prod(
        sum(1 for _ in override.sweep_string_iterator())
        for override in parsed
        if override.is_sweep_override()
    )


def _add(path: Path, line: Mapping[str, Any]) -> None:
    with path.open("a") as file:  # one write of less than a page, which no other job interrupts
        file.write(json.dumps({"time": time.time(), **line}) + "\n")


def _lines(path: Path) -> list[Mapping[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _last_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[-1] if text else 'no message'}"


def _duration(seconds: float) -> str:
    """Time in the unit that fits.

    >>> _duration(40), _duration(700), _duration(9000)
    ('40 s', '12 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
