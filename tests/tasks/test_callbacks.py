"""Pictures for loggers, outputs that are no numbers, callbacks and loggers that are turned off."""

from types import SimpleNamespace

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger, MLFlowLogger, TensorBoardLogger, WandbLogger
from omegaconf import OmegaConf
from torch import nn
from torch.utils.data import DataLoader

from tasks import training
from tasks.callbacks import Divergence, GracefulStop, Throughput
from tasks.callbacks.pictures import log_picture, wanted
from tasks.optimisation import LossNotFiniteError


def fake(kind, **attributes):
    """A logger of a kind that is not installed here, or that would talk to a server."""
    logger = kind.__new__(kind)
    logger.__dict__.update(attributes)
    return logger


@pytest.fixture
def calls():
    return []


@pytest.fixture
def loggers(calls, monkeypatch):
    note = lambda kind: lambda *args, **named: calls.append((kind, args, named))  # noqa: E731
    monkeypatch.setattr(WandbLogger, "log_image", lambda self, *args: calls.append(("wandb", args)))
    writer = SimpleNamespace(add_image=note("tensorboard"))
    client = SimpleNamespace(log_image=note("mlflow"))
    monkeypatch.setattr(TensorBoardLogger, "experiment", writer)
    monkeypatch.setattr(MLFlowLogger, "experiment", client)
    return [
        fake(TensorBoardLogger),
        fake(CSVLogger),
        fake(WandbLogger),
        fake(MLFlowLogger, _run_id="run", _initialized=True),
    ]


def test_each_logger_that_shows_pictures_gets_them(loggers, calls, monkeypatch):
    monkeypatch.setattr(MLFlowLogger, "run_id", "run")
    picture = torch.arange(2 * 3 * 4, dtype=torch.uint8).view(2, 3, 4)[:1].expand(3, 3, 4)
    trainer = SimpleNamespace(loggers=loggers, is_global_zero=True)
    assert wanted(trainer)
    log_picture(trainer, "predictions/validation", picture, 7)
    tensorboard, wandb, mlflow = calls
    assert tensorboard[1][0] == "3_pictures/predictions_validation"
    assert torch.equal(tensorboard[1][1], picture)
    assert tensorboard[1][2] == 7
    tag, (image,), step = wandb[1]
    assert (tag, step) == ("predictions/validation", 7)
    pixels = picture.permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(np.asarray(image), pixels)
    assert mlflow[1][0] == "run"
    np.testing.assert_array_equal(np.asarray(mlflow[1][1]), pixels)
    assert mlflow[2] == {"key": "predictions/validation", "step": 7}


def test_no_picture_is_drawn_for_nobody(loggers):
    assert not wanted(SimpleNamespace(loggers=loggers[1:2], is_global_zero=True))
    assert not wanted(SimpleNamespace(loggers=[], is_global_zero=True))
    assert not wanted(SimpleNamespace(loggers=loggers, is_global_zero=False))


def test_what_is_null_or_left_over_of_what_is_null_is_no_callback():
    group = OmegaConf.create(
        {
            "throughput": None,
            "panels": {"images": 2},  # of a debug config, its class turned off
            "stop": {"_target_": "tasks.callbacks.GracefulStop"},
        }
    )
    (stop,) = training.instances(group)
    assert isinstance(stop, GracefulStop)
    assert training.instances(None) == []


def test_options_of_a_node_come_before_those_of_all():
    node = {"_target_": "types.SimpleNamespace"}
    group = OmegaConf.create({"a": node, "b": {**node, "save_dir": "mine"}})
    assert [each.save_dir for each in training.instances(group, save_dir="run")] == ["run", "mine"]


def test_the_clock_may_be_missing():
    trainer = SimpleNamespace(callbacks=[])
    found = training.time_and_memory(trainer)
    assert found["train_seconds"] is None
    assert found["images_per_second"] is None
    clock = Throughput()
    clock.images, clock.seconds = 30, 2.0
    assert training.time_and_memory(SimpleNamespace(callbacks=[clock]))["images_per_second"] == 15


class Task(pl.LightningModule):
    def __init__(self, value):
        super().__init__()
        self.net = nn.Linear(1, 2, bias=False)
        nn.init.constant_(self.net.weight, value)

    def steps_done(self, trainer):
        return trainer.global_step

    def validation_step(self, batch, batch_idx):
        self.net(batch)


@pytest.mark.parametrize(("value", "found"), [(float("nan"), "nan"), (float("inf"), "infinite")])
def test_a_net_without_numbers_is_not_scored(value, found):
    trainer = pl.Trainer(
        logger=False,
        barebones=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Divergence()],
    )
    task, loader = Task(1.0), DataLoader(torch.ones(2, 1))
    trainer.validate(task, loader, verbose=False)
    assert not task.net._forward_hooks
    nn.init.constant_(task.net.weight, value)
    with pytest.raises(LossNotFiniteError, match=f"the net's output is {found}: its training has"):
        trainer.validate(task, loader, verbose=False)
    assert not task.net._forward_hooks
