"""Train what the study's plan names; what is finished is skipped, what was stopped goes on.

python -m studies.train DATA --pilots             # trainings that choose the learning rates
python -m studies.train DATA --choose             # write the chosen rates into studies/rates.yaml
python -m studies.train DATA --jobs 2             # the study
python -m studies.train DATA --epochs 32          # go on to twice as many, finished runs too

DATA holds a folder for each data set. Every training is a process with one thread. Its output goes
to a file in its folder, its record to results/ once it is finished; what has its record there is
finished, though its run be gone.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from runs import console, folders, records
from studies import archive, arguments
from studies.archive import newest, newest_of
from studies.pilots import choose_rates
from studies.plan import RATES, Job, pilot_jobs, read_rates, study_jobs
from studies.settings import SETTINGS

#: The option of a training that is scored at its end only.
NO_BUDGETS = "budgets=null"


class Runner:
    """Runs jobs as processes, a few at a time.

    Args:
        data: folder of the data sets.
        logs: where runs are kept.
        results: where records of finished runs are copied.
        epochs: length of every training, where it is not the experiment's own.
    """

    def __init__(self, data: Path, logs: Path, results: Path, epochs: int | None = None) -> None:
        self.data, self.logs, self.results, self.epochs = data, logs, results, epochs
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, jobs: Sequence[Job], at_once: int) -> list[Job]:
        """Run all jobs; returns those that failed. SIGTERM and Ctrl-C stop them; each saves."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        with ThreadPoolExecutor(at_once) as pool:
            done = list(pool.map(self._run_one, jobs))
        return [job for job, ended_well in zip(jobs, done, strict=True) if not ended_well]

    def command(self, job: Job) -> list[str] | None:
        """What trains a job from where it stands; None if it is finished."""
        where = [f"data.root={self.data / SETTINGS[job.setting].data}", f"logs={self.logs}"]
        command = [sys.executable, "train.py", *job.overrides, *where]
        if self.epochs is not None:
            command += lengthened(job, self.epochs)
        last = newest_of(job, self.logs, self.results)
        if last is None:
            return command
        record = records.read(last / folders.RECORD)
        finished = record.status == "finished"
        if finished and not self._too_short(job, record):
            return None
        # what has no budgets, but a rate that falls to zero, cannot be made longer: it starts anew
        go_on = (last / folders.LAST).exists() and not (finished and NO_BUDGETS in job.overrides)
        return [*command, f"ckpt={last / folders.LAST}"] if go_on else command

    def _too_short(self, job: Job, record: records.Record) -> bool:
        wanted = self.epochs or epochs_of(job)
        return wanted is not None and record.config["trainer"]["max_epochs"] < wanted

    def _run_one(self, job: Job) -> bool:
        name = f"{job.folder} seed {job.seed}"
        command = self.command(job)
        if command is None:
            self._archive(job)
            return True
        started = time.time()
        output = self.logs / job.folder / f"seed{job.seed}.log"
        output.parent.mkdir(parents=True, exist_ok=True)
        with output.open("ab") as file:
            with self._lock:
                if self._stopped:
                    return True
                print(f"{time.strftime('%H:%M')}  {name} begins", flush=True)
                environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
                process = subprocess.Popen(
                    command,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    cwd=console.ROOT,
                    env=environment,
                    start_new_session=True,  # a Ctrl-C reaches it once, through us
                )
                self._running.add(process)
            status = process.wait()
            with self._lock:
                self._running.discard(process)
        minutes = (time.time() - started) / 60
        if status == 0:
            end = "done" if self._archive(job) else "stopped, to go on from there"
            print(f"{time.strftime('%H:%M')}  {name}: {minutes:.0f} min, {end}", flush=True)
            return True
        if not self._stopped:
            print(f"{name} ended with status {status}: see {output}", file=sys.stderr, flush=True)
        return self._stopped

    def _archive(self, job: Job) -> bool:
        """Keep the record of a job's run; of one that is not finished, False."""
        run = newest(self.logs / job.folder, job.seed)
        if run is None or records.read(run / folders.RECORD).status != "finished":
            return False
        archive.keep_run(run, self.results / run.relative_to(self.logs))
        return True

    def _stop(self, number: int, frame: object) -> None:
        self._stopped = True
        for process in tuple(self._running):
            process.send_signal(signal.SIGTERM)


def epochs_of(job: Job) -> int | None:
    """The length that a job's own options ask for; None for its experiment's."""
    given = [option for option in job.overrides if option.startswith("trainer.max_epochs=")]
    return int(given[-1].partition("=")[2]) if given else None


def lengthened(job: Job, epochs: int) -> list[str]:
    """Options that lengthen a training, its budgets doubled up to the new length."""
    if NO_BUDGETS in job.overrides:
        return [f"trainer.max_epochs={epochs}"]
    path = console.ROOT / "configs" / "experiment" / "study"
    path /= f"{SETTINGS[job.setting].experiment}.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    steps, own = list(config["budgets"]), config["trainer"]["max_epochs"]
    if epochs % own or (epochs // own).bit_count() != 1:
        raise ValueError(
            f"epochs={epochs}: budgets double, so give {own} times a power of two: {2 * own}"
        )
    for _ in range((epochs // own).bit_length() - 1):
        steps.append(2 * steps[-1])
    return [f"trainer.max_epochs={epochs}", f"budgets=[{','.join(map(str, steps))}]"]


def main() -> None:
    """Train what the command line names."""
    parser = arguments.parser("train", __doc__)
    parser.add_argument("--seeds", help="only these, such as 0,1")
    parser.add_argument("--variants", help="only these, such as transposed,dysample")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at once")
    parser.add_argument("--epochs", type=int, help="train longer: a power of two times the plan's")
    parser.add_argument("--pilots", action="store_true", help="the pilots in place of the study")
    parser.add_argument("--choose", action="store_true", help="choose rates from finished pilots")
    parser.add_argument("--dry-run", action="store_true", help="print the commands only")
    given = parser.parse_args()
    settings = arguments.settings(given.settings)
    logs, results = given.logs.resolve(), given.results.resolve()
    names = None if given.variants is None else arguments.variants(given.variants, settings)
    if given.choose:
        rates = read_rates()
        for setting, chosen in choose_rates(settings, logs, results, variants=names).items():
            rates[setting] = rates.get(setting, {}) | chosen
        RATES.write_text(yaml.safe_dump(rates), encoding="utf-8")
        return
    seeds = None if given.seeds is None else arguments.seeds(given.seeds)
    jobs = list(pilot_jobs(settings) if given.pilots else study_jobs(settings, read_rates(), seeds))
    jobs = [job for job in jobs if names is None or job.variant in names]
    data = arguments.folder(given.data, "the data sets")
    runner = Runner(data, logs, results, given.epochs)
    if given.dry_run:
        for job in jobs:
            command = runner.command(job)
            print(
                f"finished: {job.folder} seed {job.seed}"
                if command is None
                else shlex.join(command)
            )
        return
    failed = runner.run(jobs, given.jobs)
    for job in failed:
        print(f"failed: {job.folder} seed {job.seed}", file=sys.stderr)
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    with console.user_errors():
        main()
