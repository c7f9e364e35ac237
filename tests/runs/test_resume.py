"""Which run is gone on with, what must be as it was, and what need not."""

import copy
import os
import shutil
import signal
import subprocess
import sys

import pytest
import torch
from omegaconf import OmegaConf

from runs import console, folders, records, resume, sweeps
from tasks.callbacks import BestCheckpoint, LastCheckpoint
from tests.conftest import SMALL, compose_config
from tests.test_train import StopAt, last, same, steps, weights


@pytest.fixture(scope="module")
def stopped(train_run, tmp_path_factory):
    """The folder of logs of a run that was stopped in its second epoch."""
    logs = tmp_path_factory.mktemp("stopped")
    with pytest.MonkeyPatch.context() as patch:
        StopAt(4, signal.SIGTERM)(patch)
        with pytest.raises(SystemExit):
            train_run(logs=logs)
    return logs


def run_of(logs):
    (run,) = logs.glob("*/*/seed0-*")
    return run


def metadata_of(run):
    return torch.load(run / folders.LAST, weights_only=True)["card"]


@pytest.mark.parametrize(
    "change",
    [
        {"data": {"num_workers": 7, "root": "/moved/to/", "eval_batch_size": 1}},
        {"logs": "elsewhere", "artifacts": 3, "keep_checkpoints": False, "compile": True},
        {"trainer": {"max_epochs": 9}, "callbacks": None, "logger": {}},
    ],
)
def test_what_changes_no_result_is_not_asked_for(stopped, change):
    run = run_of(stopped)
    new = metadata_of(run)
    new["config"] = OmegaConf.to_container(OmegaConf.merge(new["config"], change))
    resume.check_same(run / folders.LAST, new)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": {"batch_size": 2}}, r"data.batch_size was 4 and is now 2"),
        ({"task": {"lr": 1.0}}, r"task.lr was .* and is now 1.0"),
        ({"seed": 1}, r"seed was 0 and is now 1"),
        ({"average": 0.5}, r"average was 0 and is now 0.5"),
    ],
)
def test_what_changes_the_result_is_refused(stopped, change, message):
    run = run_of(stopped)
    new = metadata_of(run)
    new["config"] = OmegaConf.to_container(OmegaConf.merge(new["config"], change))
    with pytest.raises(ValueError, match=f"that run was another one: {message}"):
        resume.check_same(run / folders.LAST, new)


def test_other_data_of_the_same_name_are_refused(stopped):
    run = run_of(stopped)
    new = copy.deepcopy(metadata_of(run))
    new["data"]["fingerprint"] = "0" * 16
    with pytest.raises(ValueError, match=r"another one: its data had the fingerprint .* changed"):
        resume.check_same(run / folders.LAST, new)


def test_a_moved_run_ends_alike_where_it_is_now(train_run, trained, stopped, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(run_of(stopped), moved)
    state = torch.load(moved / folders.LAST, weights_only=True)["callbacks"]
    assert str(stopped) not in str(state)
    assert train_run(f"ckpt={moved / folders.LAST}", logs=tmp_path / "logs") == moved
    assert same(weights(moved), weights(trained))
    assert same(last(moved), last(trained))
    assert not (tmp_path / "logs").exists()
    assert steps(run_of(stopped)) == 5  # nothing was written where it came from


def test_a_damaged_last_checkpoint_offers_the_best(stopped, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(run_of(stopped), run)
    new = metadata_of(run)
    os.truncate(run / folders.LAST, 1000)
    best = run / "checkpoints" / "best.ckpt"
    with pytest.raises(
        ValueError, match=r"last.ckpt: not a checkpoint .*; best.ckpt beside it"
    ) as e:
        resume.check_same(run / folders.LAST, new)
    assert str(e.value).endswith(f"go on with ckpt={best}")
    assert "\n" not in str(e.value)
    os.truncate(best, 1000)
    with pytest.raises(ValueError, match=r"never executed\)$"):
        resume.check_same(run / folders.LAST, new)


def test_scores_and_files_of_a_best_checkpoint_move_with_their_run(tmp_path):
    callback = BestCheckpoint("val/miou", "max")
    callback.dirpath = str(tmp_path / "old")
    best = str(tmp_path / "old" / "best.ckpt")
    callback.best_model_path = callback.kth_best_model_path = best
    callback.best_model_score = callback.kth_value = torch.tensor(0.7)
    callback.best_k_models = {best: torch.tensor(0.7)}
    state = callback.state_dict()
    assert "old" not in str(state)
    again = BestCheckpoint("val/miou", "max")
    again.dirpath = str(tmp_path / "new")
    again.load_state_dict(state)
    assert again.best_model_path == str(tmp_path / "new" / "best.ckpt")
    assert again.best_k_models == {again.best_model_path: torch.tensor(0.7)}
    # and one that an earlier version wrote, with Lightning's class and whole paths
    earlier = {**state, "dirpath": "/gone", "best_model_path": "/gone/best.ckpt"}
    again.load_state_dict(earlier)
    assert again.best_model_path == str(tmp_path / "new" / "best.ckpt")
    assert again.state_key.startswith("ModelCheckpoint{'monitor': 'val/miou'")
    assert again.state_key != LastCheckpoint().state_key


def test_a_run_that_is_being_trained_is_left_alone(stopped, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    code = (
        "import sys; from pathlib import Path; from runs import folders\n"
        "folders.own(Path(sys.argv[1])); print('mine', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout.readline() == b"mine\n"
    assert folders.is_owned(run)
    with pytest.raises(ValueError, match="another process is training this run"):
        folders.own(run)
    other.kill()
    other.wait()
    other.stdin.close()
    other.stdout.close()
    assert not folders.is_owned(run)
    folders.own(run)
    assert folders.is_owned(run)
    folders.disown(run)
    assert not folders.is_owned(run)


def test_a_sweep_goes_on_with_a_job_that_was_stopped(stopped, monkeypatch):
    monkeypatch.setenv(sweeps.SWEEP, "again")
    sweeps._add(stopped / "default" / sweeps.FILE, {"jobs": 1})
    given = []
    cfg = compose_config("train", [*SMALL, f"logs={stopped}"])
    sweeps.run_job(cfg, lambda cfg: given.append(cfg.ckpt))
    assert given == [str(run_of(stopped) / folders.LAST)]
    other = compose_config("train", [*SMALL, f"logs={stopped}", "task.lr=0.5"])
    sweeps.run_job(other, lambda cfg: given.append(cfg.ckpt))
    assert given[1:] == [None]


def test_a_job_whose_checkpoint_is_damaged_begins_anew(stopped, tmp_path):
    shutil.copytree(stopped, tmp_path / "logs")
    config = records.read(run_of(tmp_path / "logs") / "record.json").config
    folder = tmp_path / "logs" / "default"
    assert resume.resumable(folder, config) == run_of(tmp_path / "logs") / folders.LAST
    os.truncate(run_of(tmp_path / "logs") / folders.LAST, 1000)
    assert resume.resumable(folder, config) is None


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("loops", None),
        ("loops", {"fit_loop": 3}),
        ("optimizer_states", []),
        ("optimizer_states", "text"),
        ("lr_schedulers", {"a": 1}),
        ("callbacks", 7),
        ("pytorch-lightning_version", None),
    ],
)
def test_a_checkpoint_damaged_inside_is_one_line(train_run, stopped, tmp_path, part, value):
    run = tmp_path / "run"
    shutil.copytree(run_of(stopped), run)
    state = torch.load(run / folders.LAST, weights_only=True)
    torch.save({**state, part: value}, run / folders.LAST)
    with pytest.raises(ValueError, match="damaged") as caught:
        train_run(f"ckpt={run / folders.LAST}", logs=tmp_path)
    line = console.explain(caught.value)
    assert line is not None
    assert line.startswith(f"ckpt={run / folders.LAST}: no training goes on from it")
    assert "\n" not in line
