"""Training by two processes: the same samples, the same steps, the same scores as by one."""

import hashlib
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from hydra.utils import instantiate
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from runs import board, folders, records, sweeps
from tasks.optimisation import steps_done
from tests.conftest import ROOT, SMALL, compose_config


class Probe(pl.Callback):
    """Writes down which samples each process trains on, and which net it validates.

    Args:
        folder: for files of each process. `seen`: a line a step, a number for each of its images;
            `net`: a line a validation, the hash of the net's weights and statistics.
        freeze: take batch norm's statistics of the batch away.
        stop: the step at which the last process gets a SIGTERM.
    """

    def __init__(self, folder: str, freeze: bool = True, stop: int | None = None) -> None:
        self.folder, self.freeze, self.stop = Path(folder), freeze, stop

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        for module in pl_module.modules():
            if isinstance(module, nn.BatchNorm2d) and self.freeze:
                module.eval()
        with (self.folder / f"seen{trainer.global_rank}").open("a") as file:
            print(*batch["image"].double().sum(dim=(1, 2, 3)).tolist(), file=file)
        if steps_done(trainer) == self.stop and trainer.global_rank == trainer.world_size - 1:
            signal.raise_signal(signal.SIGTERM)

    def on_validation_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if trainer.state.fn == "fit" and batch_idx == 0:
            state = b"".join(v.numpy().tobytes() for v in pl_module.net.state_dict().values())
            with (self.folder / f"net{trainer.global_rank}").open("a") as file:
                print(hashlib.sha256(state).hexdigest(), file=file)


SEGMENTATION = (*SMALL, "model=unet", "task.optimiser=sgd", "task.lr=0.01", "data.val=5")
#: A generator whose scores are in features too; its discriminator pays the penalty twice.
GENERATION = (
    *(option for option in SMALL if not option.startswith("callbacks.panels")),
    *("model=dcgan", "model.latent=8", "model.width=2", "upsample=transposed_conv"),
    *("task.features=mnist_classifier", "task.generator_steps=2", "task.r1_gamma=1"),
    *("task.r1_every=3", "callbacks.artifacts=null", "artifacts=0", "average=0.9", "data.val=8"),
)


def options(folder: Path, kind: Sequence[str], *more: str) -> list[str]:
    probe = [f"+callbacks.probe._target_={__name__}.Probe", f"+callbacks.probe.folder={folder}"]
    own = ["data.eval_batch_size=2", "trainer.precision=32-true", "trainer.accelerator=cpu"]
    given = [*kind, f"logs={folder}", *own, *probe, *more]
    return list({option.partition("=")[0]: option for option in given}.values())


def train_by_two(
    folder: Path, *more: str, kind: Sequence[str] = SEGMENTATION
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "train.py", "trainer=ddp", *options(folder, kind, *more)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )


def seen(folder: Path) -> list[set[str]]:
    """The samples of each step, of all processes together."""
    files = [path.read_text().splitlines() for path in sorted(folder.glob("seen*"))]
    return [set(" ".join(lines).split()) for lines in zip(*files, strict=True)]


def test_two_processes_see_the_samples_and_reach_the_scores_of_one(train_run, tmp_path):
    alone, both = tmp_path / "alone", tmp_path / "both"
    alone.mkdir()
    both.mkdir()
    one = train_run(*options(alone, SEGMENTATION), small=False, logs=alone)
    done = train_by_two(both, "data.batch_size=2")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.count("TensorBoard") == 1
    (two,) = both.rglob("seed0-*")
    left = {path.relative_to(one) for path in one.rglob("*") if "events" not in path.name}
    assert {p.relative_to(two) for p in two.rglob("*") if "events" not in p.name} == left

    assert len(list(both.glob("seen*"))) == 2
    assert seen(both) == seen(alone)
    assert [len(step) for step in seen(alone)] == [4] * 6  # 12 images, 2 epochs

    first, second = (load_file(run / "model" / "model.safetensors") for run in (one, two))
    for name, weight in first.items():
        torch.testing.assert_close(second[name], weight, rtol=1e-4, atol=1e-6, msg=name)
    old, new = (records.read(run / folders.RECORD) for run in (one, two))
    assert new.status == "finished"
    assert set(new.metrics) == set(old.metrics)
    for split, scores in old.metrics.items():
        single = {name: score for name, score in scores.items() if isinstance(score, float)}
        assert single["boundary_f1"] > 0
        assert split != "test" or "response" in single  # checkerboards too
        found = {name: new.metrics[split][name] for name in single}
        # the response of kernels that make no grid is rounding alone
        assert found == pytest.approx(single, rel=1e-5, abs=1e-6)
    # and so are those that the two found together while they trained, 3 + 2 images
    assert_same_curves(one, two, "loss", "miou", "boundary_f1", "global_accuracy", rel=1e-5)


def assert_same_curves(one: Path, two: Path, *scores: str, rel: float) -> None:
    """Of both validations."""
    curves = [EventAccumulator(str(run)).Reload() for run in (one, two)]
    for tag in (board.tag(f"val/{score}") for score in scores):
        values = [[event.value for event in curve.Scalars(tag)] for curve in curves]
        assert len(values[0]) == 2
        assert values[1] == pytest.approx(values[0], rel=rel), tag


def test_two_processes_that_pool_batch_norm_train_a_generator_as_one_does(train_run, tmp_path):
    alone, both = tmp_path / "alone", tmp_path / "both"
    alone.mkdir()
    both.mkdir()
    live = "+callbacks.probe.freeze=false"
    whole = options(alone, GENERATION, "data.eval_batch_size=4", live)
    one = train_run(*whole, small=False, logs=alone)
    pooled = ("data.batch_size=2", "trainer.sync_batchnorm=true", live)
    done = train_by_two(both, *pooled, kind=GENERATION)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("TensorBoard") == 1
    (two,) = both.rglob("seed0-*")
    assert seen(both) == seen(alone)
    # both nets, the average of each and Adam's moments: each step's gradients were the same, and
    # running means and variances are those of all images
    first, second = (
        torch.load(run / folders.LAST, weights_only=True, map_location="cpu") for run in (one, two)
    )
    assert first["generation"] == second["generation"]
    for part in ("state_dict", "current_model_state", "optimizer_states"):
        torch.testing.assert_close(second[part], first[part], rtol=2e-3, atol=1e-5, msg=part)
    # distances of all images, whichever process drew and looked at them
    assert_same_curves(one, two, "fid", "precision", "recall", "diversity", rel=1e-3)
    assert_same_nets(both)


def assert_same_nets(folder: Path) -> None:
    """In each validation, on both processes."""
    first, second = (path.read_text().split() for path in sorted(folder.glob("net*")))
    assert len(first) == 2
    assert first == second


@pytest.mark.slow
def test_two_processes_stop_and_go_on_together(tmp_path):
    stopped = train_by_two(tmp_path, "data.batch_size=2", "+callbacks.probe.stop=1")
    assert stopped.returncode == 128 + signal.SIGTERM, stopped.stderr
    assert "stopped at step 2; go on with: python train.py trainer=ddp" in stopped.stdout
    (run,) = tmp_path.rglob("seed0-*")
    assert records.read(run / folders.RECORD).status == "interrupted"

    resumed = train_by_two(tmp_path, "data.batch_size=2", "ckpt=last")
    assert resumed.returncode == 0, resumed.stderr
    assert list(tmp_path.rglob("seed0-*")) == [run]
    assert records.read(run / folders.RECORD).status == "finished"
    assert [len(step) for step in seen(tmp_path)] == [4] * 6


@pytest.mark.slow
def test_a_generator_of_two_processes_goes_on_exactly(tmp_path):
    """Batch norm as it is: of each process's own batch."""
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    own = ("data.batch_size=2", "+callbacks.probe.freeze=false")
    for folder, stop, status in ((whole, "null", 0), (stopped, "4", 128 + signal.SIGTERM)):
        folder.mkdir()
        done = train_by_two(folder, *own, f"+callbacks.probe.stop={stop}", kind=GENERATION)
        assert done.returncode == status, done.stderr
    assert "stopped at step 5; go on with: python train.py trainer=ddp" in done.stdout
    resumed = train_by_two(stopped, *own, "ckpt=last", kind=GENERATION)
    assert resumed.returncode == 0, resumed.stderr
    assert seen(stopped) == seen(whole)
    first, second = (
        load_file(next(folder.rglob("model.safetensors"))) for folder in (whole, stopped)
    )
    assert all(torch.equal(second[name], weight) for name, weight in first.items())
    assert_same_nets(whole)
    assert_same_nets(stopped)


def refusal(*overrides: str) -> str:
    """What the first of two processes says before it starts the other."""
    from tasks import training

    task = SimpleNamespace(automatic_optimization=True)
    cfg = compose_config("train", [*SMALL, "trainer=ddp", "trainer.accelerator=cpu", *overrides])
    cfg.callbacks, cfg.logger, cfg.average, cfg.run_dir = {}, None, 0, "."
    with pytest.raises(ValueError, match=r"2 devices|on each device") as caught:
        training.check_fit(training.build_trainer(cfg), task, instantiate(cfg.data))
    return str(caught.value)


def test_what_two_processes_cannot_train_is_refused_in_one_line(monkeypatch):
    assert "use data.batch_size=6 or less" in refusal("data.batch_size=7")
    assert "the val split of shapes has 1 images, too few" in refusal("data.val=1")
    monkeypatch.setattr(sweeps, "is_job", lambda: True)
    assert refusal().startswith("2 devices: a run of a sweep trains on one")


def test_a_process_that_no_run_started_is_refused(monkeypatch):
    monkeypatch.delenv(folders.SHARED, raising=False)
    assert folders.shared() is None
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(ValueError, match=r"LOCAL_RANK=1: a run starts its other processes itself"):
        folders.shared()
    monkeypatch.setenv(folders.SHARED, "logs/run")
    assert folders.shared() == Path("logs/run")
