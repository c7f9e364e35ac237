"""Sweeps: many runs from one command, which go on after a failure and skip what is finished.

Every job adds a line to `logs/<name>/sweep.jsonl`, so that the count is right whichever launcher
runs the jobs: one after the other, in processes of this machine, or on a cluster. Lines say of
which sweep they are, since several may fill one folder at the same time.
"""

import contextlib
import fcntl
import json
import math
import os
import shlex
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from runs import console, finished, folders, records, resume
from runs.options import options_of

FILE = "sweep.jsonl"
#: Environment variable by which a job knows its sweep.
SWEEP = "UPZOO_SWEEP"
DONE = ("finished", "skipped", "failed")
#: What runs the jobs of a sweep, and the extra that it takes.
LAUNCHERS = {
    "basic": None,
    "joblib": "joblib",
    "submitit_local": "submitit",
    "submitit_slurm": "submitit",
}


def check_launcher(arguments: Sequence[str]) -> None:
    """Refuse, before Hydra looks for it, a launcher that is not there.

    Args:
        arguments: of the command line.

    Raises:
        ValueError: one that does not exist, is not installed or finds no cluster.
    """
    for name in (a.partition("=")[2] for a in arguments if a.startswith("hydra/launcher=")):
        if name not in LAUNCHERS:
            known = ", ".join(LAUNCHERS)
            raise ValueError(
                f"hydra/launcher={name}: there is no such launcher (there are: {known})"
            )
        extra = LAUNCHERS[name]
        if extra and not _installed(f"hydra_plugins.hydra_{extra}_launcher"):
            raise ValueError(
                f"hydra/launcher={name} needs the package hydra-{extra}-launcher, which is not "
                f'installed: pip install ".[{extra}]"'
            )
        if name == "submitit_slurm" and shutil.which("srun") is None:
            raise ValueError(
                f"hydra/launcher={name}: there is no srun on this machine: start the sweep on a "
                "node of the cluster, or use joblib"
            )


def is_job() -> bool:
    """Whether this process runs one job of a sweep."""
    return HydraConfig.get().mode == RunMode.MULTIRUN


def has_terminal() -> bool:
    """Whether a run may draw on the terminal: no other job writes there beside it."""
    alone = not is_job() or HydraConfig.get().launcher._target_.endswith(".BasicLauncher")
    return alone and sys.stdout.isatty()


def announce(cfg: DictConfig) -> None:
    """Say at once what is to be trained: the libraries take seconds to import."""
    chosen = HydraConfig.get().runtime.choices
    if not is_job() and os.environ.get("LOCAL_RANK", "0") == "0":
        what = f"model={chosen['model']} upsample={chosen['upsample']} data={chosen['data']}"
        print(f"training {what} seed={cfg.seed} …", flush=True)


def command() -> str:
    """The command that repeats this run alone, whatever started it."""
    return shlex.join(["python", "train.py", *HydraConfig.get().overrides.task])


def run_job(cfg: DictConfig, train: Callable[[DictConfig], str | None]) -> None:
    """Train one run of a sweep, unless it is finished already; a failure does not end the sweep.

    A run that was stopped or killed goes on from its last checkpoint.

    Args:
        cfg: of the run.
        train: trains it, and tells in a line what came of it.
    """
    folder, started, said = Path(cfg.logs, cfg.name), time.time(), None
    configs = finished.digest()  # as they are now that Hydra has read them
    line: dict[str, Any] = {"overrides": list(HydraConfig.get().overrides.task)}
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    earlier = finished_run(folder, config)
    if earlier is not None:
        line |= {"status": "skipped", **finished.note(folder, earlier, configs)}
    else:
        unfinished = resume.resumable(folder, config)
        if unfinished is not None and cfg.ckpt is None:
            cfg.ckpt = str(unfinished)
        try:
            said = train(cfg)
            line["status"] = "finished"
            if cfg.run_dir is not None:
                line |= finished.note(folder, cfg.run_dir, configs)
        except Exception as error:
            line |= {"status": "failed", "error": console.explain(error) or _last_line(error)}
            if console.explain(error) is None:
                traceback.print_exc()
    line["seconds"] = time.time() - started
    _add(folder / FILE, line)
    told = said or f"{line['status']}: {' '.join(line['overrides'])}"
    print(f"{told}; {progress(_lines(folder / FILE))}", flush=True)


def finished_run(folder: Path, config: Any) -> Path | None:
    """The run in a sweep's folder of this seed and these options, trained to its end, if any."""
    for path in folder.glob(f"*/seed{config['seed']}-*/{folders.RECORD}"):
        try:
            record = records.read(path)
        except ValueError:
            continue  # a broken record is no finished run
        if record.status == "finished" and options_of(record.config) == options_of(config):
            return path.parent
    return None


def progress(lines: list[Mapping[str, Any]]) -> str:
    """How far a sweep is: "sweep: 7 of 45 done, 1 of them failed, about 12 min left".

    Args:
        lines: its own; the first tells how many jobs there are and when it began.
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
        """Begin the sweep's lines."""
        path = Path(config.logs, config.name) / FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        os.environ[SWEEP] = f"{time.time_ns()}-{os.getpid()}"
        jobs = count_jobs(config)
        _add(path, {"jobs": jobs, "command": sys.argv[1:]})
        print(f"sweep of {jobs} runs: {path.parent}", flush=True)
        launcher = config.hydra.launcher
        if not any(a.startswith("-") and a not in ("-m", "--multirun") for a in sys.argv[1:]):
            finished.leave_out(lambda batch: skip_finished(batch, path, launcher))
        if "submitit" not in launcher._target_:
            return
        print(f"what the jobs print: {launcher.submitit_folder.replace('%j', '*')}", flush=True)
        threading.Thread(target=_follow, args=(path,), daemon=True).start()
        if launcher._target_.endswith(".LocalLauncher"):  # which starts all jobs at once
            threads = max(1, (os.cpu_count() or 1) // max(1, jobs))
            os.environ.setdefault("OMP_NUM_THREADS", str(threads))

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


def skip_finished(
    batch: Sequence[finished.Job], path: Path, launcher: DictConfig
) -> Sequence[finished.Job]:
    """The jobs that may have to be trained; of the others, lines that they are skipped.

    Args:
        batch: of jobs, the overrides of each.
        path: of the sweep's lines.
        launcher: its config; submitit takes one job or more.
    """
    left, done = finished.split(batch, path.parent, _all_lines(path))
    if not left and "submitit" in launcher._target_:
        left = [batch[-1]]
        del done[tuple(batch[-1])]
    for overrides in done:  # a line that tells of the run is there
        _add(path, {"overrides": overrides, "status": "skipped", "seconds": 0.0})
    if done:
        print(f"skipped what is finished; {progress(_lines(path))}", flush=True)
    return left


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


def _follow(path: Path) -> None:
    """Print how far a sweep is whenever one of its jobs, which print elsewhere, has ended."""
    said, lines = 1, _lines(path)
    while len(lines) <= lines[0]["jobs"]:
        if len(lines) > said:
            print(progress(lines), flush=True)
            said = len(lines)
        time.sleep(1)
        lines = _lines(path)


def _add(path: Path, line: Mapping[str, Any]) -> None:
    """Append a line as a whole, whoever else does so at the same time."""
    text = json.dumps({"time": time.time(), "sweep": os.environ.get(SWEEP), **line}) + "\n"
    with path.open("ab", buffering=0) as file:
        with contextlib.suppress(OSError):  # not every network's file system can lock
            fcntl.flock(file, fcntl.LOCK_EX)
        file.write(text.encode())


def _lines(path: Path) -> list[Mapping[str, Any]]:
    """This sweep's lines of the file, without one that is still being written."""
    own = os.environ.get(SWEEP)
    return [line for line in _all_lines(path) if line.get("sweep") == own]


def _all_lines(path: Path) -> list[Mapping[str, Any]]:
    """The lines of all sweeps that filled the folder."""
    whole, _, _ = path.read_text(errors="replace").rpartition("\n")
    lines = []
    for text in whole.splitlines():
        with contextlib.suppress(ValueError):  # a line that a crash has cut off
            lines.append(json.loads(text))
    return [line for line in lines if isinstance(line, dict)]


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # nor is the package around it
        return False


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
