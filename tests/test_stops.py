"""Runs that are stopped or killed anywhere: what they leave, and that they go on exactly."""

import functools
import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch

from runs import folders, records, sweeps
from tests.commands import Commands, Ended
from tests.conftest import SMALL, compose_config
from tests.test_train import StopAt, last, same, weights

#: The defaults of a training, at a size of about a second; weights are averaged.
DEFAULT = ("average=0.9", "callbacks.artifacts=null", "callbacks.panels=null", "artifacts=0")

Strike = Callable[[], None]


def in_step(number: int, strike: Strike, times: int = 1) -> None:
    from tasks.segmentation import Segmentation

    plain = Segmentation.training_step

    def training_step(task, batch, batch_idx):
        if task.global_step == number:
            for _ in range(times):
                strike()
        return plain(task, batch, batch_idx)

    Segmentation.training_step = training_step


def in_checkpoint(strike: Strike) -> None:
    """Half of a checkpoint's file is written."""
    from upzoo import atomic

    plain = atomic._sync

    def sync(path):
        if path.name.startswith(".last.ckpt"):
            content = path.read_bytes()
            os.truncate(path, 1000)
            strike()
            path.write_bytes(content)
        plain(path)

    atomic._sync = sync


def in_scoring(strike: Strike) -> None:
    from tasks.callbacks import Divergence

    plain = Divergence.on_test_start

    def on_test_start(callback, trainer, task):
        strike()
        plain(callback, trainer, task)

    Divergence.on_test_start = on_test_start


def in_model(strike: Strike) -> None:
    """The scored model is being written."""
    from upzoo import checkpoint

    plain = checkpoint.to_bytes

    def to_bytes(tensors):
        strike()
        return plain(tensors)

    checkpoint.to_bytes = to_bytes


def train_in_child(arguments: list[str], place: Callable[[Strike], None], number: int) -> None:
    """What a process of its own does: train.py, struck at a place."""
    import train
    from runs import console

    logs = Path(next(a for a in arguments if a.startswith("logs=")).partition("=")[2])
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(logs / name, os.O_CREAT | os.O_WRONLY), descriptor)
    torch.set_num_threads(1)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup ignores, and we with it
    place(lambda: os.kill(os.getpid(), number))
    with console.user_errors():
        train.train(compose_config("train", arguments))
    sys.stdout.flush()


@pytest.fixture(scope="module")
def struck():
    """Trains in a child that has imported all beforehand; gives its exit status."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.test_stops", "train", "tasks.training"])

    def run(logs: Path, place: Callable[[Strike], None], number: int, *more: str) -> int:
        arguments = [*SMALL, *DEFAULT, f"logs={logs}", *more]
        child = context.Process(target=train_in_child, args=(arguments, place, int(number)))
        child.start()
        child.join()
        return child.exitcode

    return run


@pytest.fixture(scope="module")
def whole(train_run):
    """A run at the defaults that nothing disturbs."""
    return train_run(*DEFAULT)


def elsewhere(place: Callable[[Strike], None], strike: Strike) -> None:
    """Temporary files lie on another device than the logs."""
    tempfile.tempdir = str(MEMORY)
    place(strike)


MEMORY = Path("/dev/shm")


def gone(logs: Path, strike: Strike) -> None:
    """The run's folder is removed in mid-epoch."""
    in_step(4, lambda: shutil.rmtree(run_of(logs)))


def run_of(logs: Path) -> Path:
    (run,) = logs.glob("*/*/seed0-*")
    return run


def metrics(run: Path) -> dict:
    return records.read(run / "record.json").metrics


@pytest.mark.parametrize(
    ("step", "number"), [(1, signal.SIGTERM), (3, signal.SIGINT), (4, signal.SIGHUP)]
)
def test_a_stop_in_mid_epoch_keeps_the_average(
    train_run, whole, tmp_path, monkeypatch, step, number
):
    hung_up = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup ignores, and we with it
    with monkeypatch.context() as patch:
        StopAt(step, number)(patch)
        with pytest.raises(SystemExit) as stopped:
            train_run(*DEFAULT, logs=tmp_path)
    assert signal.signal(signal.SIGHUP, hung_up) == signal.SIG_DFL  # given back
    assert stopped.value.code == 128 + number
    run = run_of(tmp_path)
    assert records.read(run / "record.json").status == "interrupted"
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["global_step"] == step + 1
    assert state["averaging_state"]["n_averaged"] == step + 1  # that step's average is in it
    assert str(tmp_path) not in str(state["callbacks"])  # no path

    train_run(*DEFAULT, "ckpt=last", logs=tmp_path)
    assert same(weights(run), weights(whole))
    assert same(last(run), last(whole))
    assert metrics(run) == metrics(whole)


def test_what_is_to_be_requeued_saves_first(train_run, whole, tmp_path, monkeypatch):
    """SIGUSR2 in a job of submitit, whose handler requeues and ends the process."""
    saved = []

    def requeue(number, frame):
        state = torch.load(run_of(tmp_path) / folders.LAST, weights_only=True)
        saved.append(state["global_step"])
        sys.exit(-1)

    before = signal.signal(signal.SIGUSR2, requeue)
    with monkeypatch.context() as patch:
        StopAt(3, signal.SIGUSR2)(patch)
        with pytest.raises(SystemExit) as stopped:
            train_run(*DEFAULT, logs=tmp_path)
    assert signal.signal(signal.SIGUSR2, before) is requeue  # given back
    assert (stopped.value.code, saved) == (-1, [4])
    run = run_of(tmp_path)
    assert records.read(run / folders.RECORD).status == "interrupted"
    train_run(*DEFAULT, "ckpt=last", logs=tmp_path)
    assert same(weights(run), weights(whole))
    assert metrics(run) == metrics(whole)


NO_MEMORY = pytest.mark.skipif(not MEMORY.is_dir(), reason="no second device")
KILL, TERM, INT, HUP = signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "number"),
    [
        *[(functools.partial(in_step, step), KILL) for step in (1, 3, 4, 5)],
        *[(functools.partial(in_step, step), TERM) for step in (0, 2, 3, 5)],
        *[(functools.partial(in_step, step), INT) for step in (1, 4)],
        *[(functools.partial(in_step, step), HUP) for step in (0, 2)],
        *[(functools.partial(in_step, 4, times=2), number) for number in (INT, TERM)],
        *[(in_checkpoint, number) for number in (KILL, TERM, INT)],
        *[(in_scoring, number) for number in (KILL, TERM, INT, HUP)],
        *[(in_model, number) for number in (KILL, TERM)],
        *[
            pytest.param(functools.partial(elsewhere, place), number, marks=NO_MEMORY)
            for place in (in_checkpoint, functools.partial(in_step, 4), in_model)
            for number in (KILL, TERM)
        ],
    ],
)
def test_killed_or_stopped_anywhere_it_goes_on_exactly(
    train_run, struck, whole, tmp_path, place, number
):
    status = struck(tmp_path, place, number)
    assert status == (-number if number == KILL else 128 + number), (tmp_path / "err").read_text()
    assert (tmp_path / "err").read_text() == ""
    run = run_of(tmp_path)
    left = "running" if number == KILL else "interrupted"
    assert records.read(run / "record.json").status == left
    assert number == KILL or not list(run.rglob(".*"))

    resumed = ["ckpt=last"] if (run / folders.LAST).exists() else []
    again = train_run(*DEFAULT, *resumed, logs=tmp_path)
    assert again == run or not resumed
    assert not list(again.rglob(".*"))
    assert records.read(again / "record.json").status == "finished"
    assert same(weights(again), weights(whole))
    assert same(last(again), last(whole))
    assert metrics(again) == metrics(whole)


def without_room(limit: int, strike: Strike) -> None:
    """No file may grow beyond so many bytes: the disk says the same as a full one."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


@pytest.mark.slow
def test_without_room_for_a_checkpoint_it_ends_with_one_line(struck, train_run, whole, tmp_path):
    assert struck(tmp_path, functools.partial(without_room, 100_000), 0) == 2
    (line,) = (tmp_path / "err").read_text().splitlines()
    run = run_of(tmp_path)
    assert line.startswith(f"error: {run / 'checkpoints'}")
    assert "not written: File too large; the run stopped at step 3: make room" in line
    assert records.read(run / "record.json").status == "failed"
    assert not list(run.rglob("*.ckpt"))
    assert not list(run.rglob(".*"))


@pytest.mark.slow
def test_killed_with_workers_that_outlive_it_it_goes_on_at_once(train_run, struck, tmp_path):
    place = functools.partial(in_step, 4)
    assert struck(tmp_path, place, KILL, "data.num_workers=1") == -KILL
    run = train_run(*DEFAULT, "ckpt=last", logs=tmp_path)
    assert records.read(run / "record.json").status == "finished"


@pytest.mark.slow
def test_a_folder_that_vanishes_is_one_line_and_does_not_come_back(struck, tmp_path):
    assert struck(tmp_path, functools.partial(gone, tmp_path), 0) == 2
    (line,) = (tmp_path / "err").read_text().splitlines()
    assert "the run's folder is gone; the run stopped at step" in line
    assert not list(tmp_path.glob("*/*/seed0-*"))


class Once(pl.Callback):
    """Strikes the process in the middle of a sweep, once: at a step of the job of a seed.

    Args:
        mark: a file that is there once it has struck.
        number: the signal.
        seed: of this job; seed 1 is struck.
    """

    def __init__(self, mark: str, number: int, seed: int) -> None:
        self.mark, self.number, self.strikes = Path(mark), number, seed == 1

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        if self.strikes and trainer.global_step == 4 and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), self.number)


@pytest.mark.slow
def test_a_sweep_that_was_killed_goes_on_where_it_was(tmp_path):
    """Of three jobs the second one is struck in its second epoch; the same command goes on."""
    command = Commands()

    def sweep(place: str, number: int) -> Ended:
        once = [f"+callbacks.once._target_={__name__}.Once", "+callbacks.once.seed=${seed}"]
        once += [
            f"+callbacks.once.mark={tmp_path / place}.mark",
            f"+callbacks.once.number={number}",
        ]
        line = ["train.py", "-m", "seed=0,1,2", *SMALL, *DEFAULT, f"logs={tmp_path / place}", *once]
        return command(tmp_path, line)

    def found(place: str) -> list[Path]:
        return sorted((tmp_path / place).glob("*/*/seed*"))

    (tmp_path / "whole.mark").touch()  # nothing strikes
    assert sweep("whole", 0).status == 0
    for place, number in (("terminated", TERM), ("killed", KILL)):
        struck = sweep(place, number)
        assert struck.status == (128 + number if number == TERM else -number), struck.err
        first, second = found(place)  # the third was not begun
        left = [records.read(run / folders.RECORD).status for run in (first, second)]
        assert left == ["finished", "interrupted" if number == TERM else "running"]
        before = (first / folders.RECORD).stat().st_mtime_ns

        again = sweep(place, number)
        assert again.status == 0, again.err
        assert "sweep ended: 2 finished, 1 skipped" in again.out
        assert found(place)[:2] == [first, second]
        assert (first / folders.RECORD).stat().st_mtime_ns == before
        lines = (tmp_path / place / "default" / sweeps.FILE).read_text().splitlines()
        assert [json.loads(line).get("status") for line in lines][-3:] == [
            "skipped",
            "finished",
            "finished",
        ]
        for ours, undisturbed in zip(found(place), found("whole"), strict=True):
            assert same(weights(ours), weights(undisturbed))
            assert same(last(ours), last(undisturbed))
            assert metrics(ours) == metrics(undisturbed)
