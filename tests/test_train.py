"""Whole runs: what they leave, that they repeat, stop, resume and refuse."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from runs import board, records
from tests.conftest import ROOT, SMALL, compose_config
from upzoo.upsampling import OPERATORS


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model" / "model.safetensors")


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def last(run: Path) -> dict[str, torch.Tensor]:
    """The weights after the last step, which the best ones need not be."""
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def steps(run: Path) -> int:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]


class StopAt:
    """Sends this process a signal when the loss of a step has been computed."""

    def __init__(self, step: int, number: int):
        self.step, self.number = step, number

    def __call__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from tasks.segmentation import Segmentation

        plain = Segmentation.training_step

        def training_step(task, batch, batch_idx):
            if task.global_step == self.step:
                os.kill(os.getpid(), self.number)
            return plain(task, batch, batch_idx)

        monkeypatch.setattr(Segmentation, "training_step", training_step)


def test_a_run_leaves_record_model_checkpoints_and_events(trained):
    record = records.read(trained / "record.json")
    assert record.status == "finished"
    assert record.choices == {
        "model": "fcn8s",
        "upsample": "bilinear_init",
        "data": "shapes",
        "seed": 0,
        "name": "default",
    }
    assert set(record.metrics) == {"val", "test"}
    assert 0 <= record.metrics["test"]["miou"] <= 1
    assert next(iter(record.metrics["test"]["per_class_iou"])) == "background"
    assert record.cost["images_per_second"] > 0
    assert record.cost["parameters_upsampling"] == 0  # the bilinear kernels are fixed
    assert record.cost["image_size"] == [32, 32]
    assert record.checkpoint == "model"
    assert {p.name for p in (trained / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert steps(trained) == 6  # 12 images, batches of 4, 2 epochs

    events = EventAccumulator(str(trained)).Reload()
    scalars = set(events.Tags()["scalars"])
    logged = ["train/loss", "val/miou", "val/boundary_f1", "val_iou/disc", "test/miou"]
    logged += ["throughput/images_per_second", "artifacts/checkerboard_db", "test/checkerboard_db"]
    assert set(map(board.tag, logged)) <= scalars
    assert "epoch" not in scalars
    assert sorted(scalars)[0].startswith(board.TEST), "what the page opens on"
    assert [e.step for e in events.Images(board.tag("predictions/validation"))] == [3, 6]
    assert [e.step for e in events.Images("7_kernels/upsamples.0.weight")] == [0]  # fixed
    assert [e.step for e in events.Scalars("1_test/miou")] == [6]
    assert events.Scalars("1_test/miou")[-1].value == pytest.approx(record.metrics["test"]["miou"])


def test_learned_kernels_are_shown_as_they_change(train_run):
    events = EventAccumulator(str(train_run("upsample=transposed_conv"))).Reload()
    pictures = events.Images("7_kernels/upsamples.2.weight")
    assert [e.step for e in pictures] == [0, 3, 6]
    assert pictures[0].encoded_image_string != pictures[-1].encoded_image_string


def test_a_finished_run_keeps_what_it_is_used_for_and_no_more(train_run, trained):
    run = train_run("keep_checkpoints=false", "logger=none", "callbacks.throughput=null")
    assert {p.name for p in run.iterdir()} == {"config.yaml", "model", "record.json"}
    assert same(weights(run), weights(trained))
    record = records.read(run / "record.json")
    assert record.metrics == records.read(trained / "record.json").metrics
    assert record.cost["train_seconds"] is None
    with pytest.raises(FileNotFoundError, match="that run is finished and its checkpoints are rem"):
        train_run(f"ckpt={run / 'checkpoints' / 'last.ckpt'}")
    assert "None" not in str([v for v in flat(record.config) if isinstance(v, str)])


def flat(config):
    for value in config.values():
        yield from flat(value) if isinstance(value, dict) else [value]


def test_without_any_callback_the_last_weights_are_the_model(train_run, trained):
    more = [o for o in SMALL if not o.startswith("callbacks.")]
    run = train_run(*more, "callbacks=none", "average=0.9", small=False)
    assert records.read(run / "record.json").status == "finished"
    averaged = train_run("average=0.9", "callbacks.best=null")
    assert same(weights(run), weights(averaged))


def test_the_config_of_a_run_is_kept_resolved(trained):
    text = (trained / "config.yaml").read_text()
    assert "${" not in text
    assert f"run_dir: {trained}" in text


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_every_operator_trains_or_is_refused_in_one_line(train_run, tmp_path, name):
    cls = OPERATORS[name]
    if cls.needs_switches or cls.needs_guide:
        with pytest.raises(ValueError, match=r"FCN") as caught:
            train_run(f"upsample={name}", "trainer.max_epochs=1", logs=tmp_path)
        assert "\n" not in str(caught.value)
        assert not any(tmp_path.iterdir())
    else:
        run = train_run(f"upsample={name}", "trainer.max_epochs=1", logs=tmp_path)
        assert records.read(run / "record.json").status == "finished"


def test_same_seed_same_weights_another_seed_others(train_run, trained):
    assert same(weights(train_run()), weights(trained))
    assert not same(weights(train_run("seed=1")), weights(trained))


@pytest.mark.parametrize(
    "overrides", [["model=dcgan", "task=segmentation"], ["model=unet", "task=generation"]]
)
def test_a_generator_and_a_task_that_do_not_go_together_are_refused(overrides):
    from tasks import training

    class Data:
        num_classes, in_channels, size, scale = 9, 3, (96, 96), 1

    with pytest.raises(ValueError, match="cannot be trained by this task: generators"):
        training.build_net(compose_config("train", overrides), Data)


def test_operators_share_the_start_of_everything_else():
    from upzoo.checkpoint import build

    def start(name):
        from tasks import training

        class Data:
            num_classes, in_channels, size, scale = 9, 3, (96, 96), 1

        torch.manual_seed(0)
        net, _ = training.build_net(compose_config("train", [f"upsample={name}"]), Data)
        return {k: v for k, v in net.state_dict().items() if not k.startswith("upsamples")}

    assert build  # the same builder that evaluation uses
    assert same(start("transposed_conv"), start("pixel_shuffle"))


@pytest.mark.parametrize("step", [0, 1, 2, 4])
def test_sigterm_saves_and_the_resumed_run_ends_bit_for_bit_alike(
    train_run, trained, tmp_path, monkeypatch, step
):
    started = time.perf_counter()
    with monkeypatch.context() as patch:
        StopAt(step, signal.SIGTERM)(patch)
        with pytest.raises(SystemExit) as stopped:
            train_run(logs=tmp_path)
    assert stopped.value.code == 128 + signal.SIGTERM
    (run,) = tmp_path.glob("default/*/seed0-*")
    assert steps(run) == step + 1
    assert records.read(run / "record.json").status == "interrupted"

    assert train_run("ckpt=last", logs=tmp_path) == run
    assert steps(run) == 6
    record = records.read(run / "record.json")
    assert record.status == "finished"
    assert 0 < record.cost["train_seconds"] < time.perf_counter() - started
    assert same(weights(run), weights(trained))
    assert same(last(run), last(trained))


def test_ctrl_c_stops_with_130(train_run, tmp_path, monkeypatch):
    StopAt(1, signal.SIGINT)(monkeypatch)
    with pytest.raises(SystemExit) as stopped:
        train_run(logs=tmp_path)
    assert stopped.value.code == 130


def test_ctrl_c_while_it_is_scored_loses_nothing(train_run, trained, tmp_path, monkeypatch, capsys):
    def score(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tasks.scoring.score", score)
        with pytest.raises(SystemExit) as stopped:
            train_run(logs=tmp_path)
    assert stopped.value.code == 130
    assert "stopped at step 6; go on with: " in capsys.readouterr().out
    (run,) = tmp_path.glob("default/*/seed0-*")
    assert records.read(run / "record.json").status == "interrupted"

    assert train_run("ckpt=last", logs=tmp_path) == run
    assert records.read(run / "record.json").status == "finished"
    assert same(weights(run), weights(trained))


def test_killed_in_mid_epoch_and_resumed(train_run, trained, tmp_path):
    command = [sys.executable, "train.py", *SMALL, f"logs={tmp_path}"]
    # The child kills itself with SIGKILL in the middle of its second epoch.
    code = (
        "import os, signal, sys, tasks.segmentation as s\n"
        "plain = s.Segmentation.training_step\n"
        "def step(task, batch, batch_idx):\n"
        "    if task.global_step == 4: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return plain(task, batch, batch_idx)\n"
        "s.Segmentation.training_step = step\n"
        "sys.argv = sys.argv[1:]\n"
        "import runpy; runpy.run_path('train.py', run_name='__main__')\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", code, *command[1:]], cwd=ROOT, capture_output=True, text=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (run,) = tmp_path.glob("default/*/seed0-*")
    assert steps(run) == 3
    assert records.read(run / "record.json").status == "running"

    train_run("ckpt=last", logs=tmp_path)
    assert steps(run) == 6
    assert records.read(run / "record.json").status == "finished"
    assert same(weights(run), weights(trained))
    assert same(last(run), last(trained))


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(
    train_run, tmp_path, monkeypatch
):
    from tasks.segmentation import Segmentation

    plain = Segmentation.loss

    def loss(task, logits, mask):
        broken = task.training and task.global_step == 4
        return plain(task, logits, mask) * (float("nan") if broken else 1)

    monkeypatch.setattr(Segmentation, "loss", loss)
    with pytest.raises(ValueError, match=r"became nan at step 4, epoch 1: .*best\.ckpt"):
        train_run(logs=tmp_path)
    (run,) = tmp_path.glob("default/*/seed0-*")
    assert steps(run) == 3
    state = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert all(v.isfinite().all() for v in state.values() if v.is_floating_point())
    assert records.read(run / "record.json").status == "failed"


def test_weight_averaging_changes_what_is_kept(train_run, trained):
    averaged = weights(train_run("average=0.9"))
    assert averaged.keys() == weights(trained).keys()
    assert not same(averaged, weights(trained))


def test_median_frequency_weights_reach_the_loss(train_run, trained):
    run = train_run("task.class_weights=median_frequency")
    assert not same(weights(run), weights(trained))


def test_bf16_trains_in_channels_last(train_run):
    run = train_run("trainer.precision=bf16-mixed", "trainer.max_epochs=1")
    assert records.read(run / "record.json").status == "finished"
    assert all(v.dtype != torch.bfloat16 for v in weights(run).values())


def refused(train_run: Callable[..., Path], tmp_path: Path, *overrides: str) -> str:
    from runs import console

    with pytest.raises(Exception, match=r".") as caught:
        train_run(*overrides, logs=tmp_path)
    line = console.explain(caught.value)
    assert line is not None, caught.value
    assert "\n" not in line
    assert not any(tmp_path.rglob("record.json"))
    return line


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["seed=-1"], r"seed=-1 must be an integer from 0"),
        (["model.stride=7"], r"stride=7 .* 32, 16, 8"),
        (["model.backbone=compct", "model.width=null"], r"compct.*compact"),
        (["upsample=transposed_conv", "upsample.kernel=1"], r"kernel=1 must be .* at least 2"),
        (["upsample.border=mirror"], r"border='mirror' is not one of"),
        (["task.lr=-1"], r"task.lr=-1 must be a number above 0"),
        (["task.class_weights=inverse"], r"class_weights='inverse' must be null or"),
        (["data.batch_size=13"], r"batch_size=13 is larger than the 12 training images"),
        (["trainer.precision=fp7"], r"fp7"),
        (["trainer.max_epochs=0"], r"trainer.max_epochs=0 must be an integer of at least 1"),
        (["average=1"], r"average=1 must be a decay"),
        (["trainer.precision=64-true"], r"weights are kept and scored in float32: give auto, 32"),
        (["trainer.precision=bf16-true"], r"trainer.precision=bf16-true: weights are kept"),
        (["trainer.limit_train_batches=0"], r"limit_train_batches=0 must be a number of batches"),
        (["trainer.limit_val_batches=1.5"], r"limit_val_batches=1.5 must be a number of batches"),
        (["trainer.accumulate_grad_batches=-1"], r"=-1 must be an integer of at least 1"),
        (["+trainer.overfit_batches=1"], r"overfit_batches=1: use data.overfit=IMAGES"),
        (["ckpt=last"], r"ckpt=last: no unfinished run"),
        (["ckpt=nowhere/checkpoints/x.ckpt"], r"nowhere/checkpoints/x.ckpt: no such checkpoint"),
        (["+upsample.kernal=4"], "kernal: there is no such option; did you mean 'kernel'"),
    ],
)
def test_wrong_values_get_one_line(train_run, tmp_path, overrides, message):
    assert re.search(message, refused(train_run, tmp_path, *overrides))


def test_a_checkpoint_of_another_model_is_not_resumed(train_run, trained, tmp_path):
    ckpt = f"ckpt={trained / 'checkpoints' / 'last.ckpt'}"
    line = refused(train_run, tmp_path, ckpt, "model.stride=16")
    assert re.search(r"that run was another one: model.stride was 8 and is now 16", line)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["upsample=bilinear"], r"upsample=bilinear: there is no such upsample.*bilinear_init"),
        (["model=unett"], r"model=unett: there is no such model"),
        (["upsample.trainible=true"], r"upsample.trainible: .*did you mean 'trainable'"),
        (["sead=1"], r"sead: there is no such option; did you mean 'seed'"),
    ],
)
def test_what_hydra_refuses_gets_one_line_and_status_2(arguments, message):
    done = subprocess.run(
        [sys.executable, "train.py", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert re.search(message, line)


def test_overfit_recipe_fits_what_it_is_given(train_run):
    """A short version of debug=overfit: the loss falls to a small part of its start."""
    run = train_run("debug=overfit", "data.zoom=8", "trainer.max_epochs=60", "model.width=16",
                    "data.overfit=2",
                    "data.batch_size=2", "trainer.check_val_every_n_epoch=60")  # fmt: skip
    events = EventAccumulator(str(run)).Reload()
    losses = [e.value for e in events.Scalars(board.tag("train/loss"))]
    assert losses[-1] < 0.2 * losses[0]
