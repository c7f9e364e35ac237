"""Budgets of one training: the average by hand, equal to shorter trainings, killed and resumed."""

import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from runs import per_image, records
from tasks.averaging import ExponentialAverage, PowerAverage, recalibrate
from tasks.budgets import Budgets
from tests.test_train import StopAt, last, same, weights

BUDGETS = (
    "average_power=3",
    "budgets=[2,3,6]",
    "trainer.check_val_every_n_epoch=100",
    "callbacks.best=null",
    "task.schedule=constant",
    "task.warmup=2",
    "callbacks.panels=null",
    "callbacks.artifacts=null",
    "artifacts=0",
)


@pytest.mark.parametrize("power", [0, 1, 3])
def test_the_average_weighs_step_t_by_a_polynomial_of_its_power(power):
    values = torch.randn(20, dtype=torch.float64)
    average = values[0].clone()
    for updates, value in enumerate(values[1:], 1):
        PowerAverage(power).mix([average], [value], torch.tensor(updates))
    # unrolled, step t weighs (t + power − 1)! / (t − 1)!: 1, t, … t·(t+1)·(t+2)
    t = torch.arange(1.0, 21, dtype=torch.float64)
    weight = torch.stack([t + i for i in range(power)]).prod(0) if power else torch.ones(20)
    torch.testing.assert_close(average, (weight * values).sum() / weight.sum())


def test_karras_power_for_a_window_of_a_tenth():
    # relative deviation of the profile t^γ: √(γ+1) / ((γ+2)·√(γ+3)), 0.1 for γ = 6.94
    power, steps = 6.94, 2000
    average = torch.zeros(3, dtype=torch.float64)
    for updates in range(1, steps):
        now = torch.tensor([1, updates + 1, (updates + 1) ** 2], dtype=torch.float64)
        average = average if updates > 1 else now.clone()
        PowerAverage(power).mix([average], [now], updates)
    deviation = (average[2] - average[1] ** 2).sqrt() / steps
    assert deviation.item() == pytest.approx(0.1, abs=1e-3)


def test_an_exponential_average_forgets_by_its_decay():
    net = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3)).double()
    mix = ExponentialAverage(0.75).mix
    average = AveragedModel(net, multi_avg_fn=mix, use_buffers=True)
    values = torch.randn(4, dtype=torch.float64)
    for counter, value in enumerate(values, 1):
        for tensor in (*net.parameters(), net[1].running_mean):
            tensor.data.fill_(value)
        net[1].num_batches_tracked.fill_(10 * counter)
        average.update_parameters(net)
    # the first is copied, then a ← 0.75·a + 0.25·w
    a, b, c, d = values
    expected = 0.75**3 * a + 0.25 * (0.75**2 * b + 0.75 * c + d)
    for tensor in (*average.module.parameters(), average.module[1].running_mean):
        torch.testing.assert_close(tensor.data, expected.expand_as(tensor))
    assert average.module[1].num_batches_tracked.item() == 22  # 10, 12.5, 16.5, 22, rounded down


@pytest.mark.parametrize("power", [-1, float("nan"), float("inf"), "7", True])
def test_a_power_that_is_none_is_refused(power):
    with pytest.raises(ValueError, match=r"power=.* must be a number of at least 0"):
        PowerAverage(power)


def test_statistics_of_norms_are_those_of_the_batches():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.Dropout(0.9)).train()
    net[2].eval()
    batches = torch.randn(5, 4, 2, 6, 6)
    with torch.no_grad():
        seen = torch.stack([net[0](batch) for batch in batches])  # (5, 4, 3, 6, 6)
    assert recalibrate(net, batches) == 1
    torch.testing.assert_close(net[1].running_mean, seen.mean((0, 1, 3, 4)))
    torch.testing.assert_close(net[1].running_var, seen.var((1, 3, 4), keepdim=False).mean(0))
    assert [m.training for m in net.modules()] == [True, True, True, False]
    assert net[1].momentum == 0.1


def test_without_norms_no_batch_is_read():
    assert recalibrate(nn.Conv2d(1, 1, 1), iter(())) == 0


@pytest.fixture(scope="module")
def budgeted(train_run):
    return train_run(*BUDGETS)


def test_every_budget_is_the_result_of_a_shorter_training(train_run, budgeted):
    record = records.read(budgeted / "record.json")
    assert [entry["step"] for entry in record.budgets] == [2, 3, 6]
    seconds = [entry["seconds"] for entry in record.budgets]
    assert seconds == sorted(seconds)
    assert record.budgets[-1]["seconds"] == record.cost["train_seconds"]
    assert record.budgets[-1]["metrics"]["test"]["miou"] == record.metrics["test"]["miou"]

    short = train_run(*BUDGETS, "budgets=[3]", "trainer.max_epochs=1")
    alone = records.read(short / "record.json")
    for split in ("val", "test"):
        assert alone.metrics[split]["miou"] == record.budgets[1]["metrics"][split]["miou"]
        boundary = alone.metrics[split]["boundary_f1"]
        assert boundary == record.budgets[1]["metrics"][split]["boundary_f1"]


def test_scores_follow_from_the_figures_of_images(budgeted):
    record, arrays = (
        records.read(budgeted / "record.json"),
        per_image.read(budgeted / per_image.FILE),
    )
    assert arrays["steps"].tolist() == [2, 3, 6]
    assert arrays["test.images"].tolist() == ["0", "1", "2", "3"]
    hits, truth, predicted = (
        arrays[f"test.{name}"].sum(1).astype(float) for name in ("hits", "truth", "predicted")
    )
    with np.errstate(invalid="ignore"):
        miou = np.nanmean(hits / (truth + predicted - hits), axis=1)
    boundary = np.nanmean(arrays["test.boundary_f1"], axis=1)
    for at, entry in enumerate(record.budgets):
        assert entry["metrics"]["test"]["miou"] == pytest.approx(miou[at], rel=1e-5)
        assert entry["metrics"]["test"]["boundary_f1"] == pytest.approx(boundary[at], rel=1e-5)


def test_budgets_do_not_change_the_training(train_run, budgeted):
    plain = train_run(*BUDGETS, "budgets=[6]")
    assert same(weights(plain), weights(budgeted))


@pytest.mark.parametrize("step", [1, 2])
def test_stopped_and_resumed_it_ends_alike(train_run, budgeted, tmp_path, monkeypatch, step):
    with monkeypatch.context() as patch:
        StopAt(step, signal.SIGTERM)(patch)
        with pytest.raises(SystemExit):
            train_run(*BUDGETS, logs=tmp_path)
    run = train_run(*BUDGETS, "ckpt=last", logs=tmp_path)
    assert same(weights(run), weights(budgeted))
    assert same(last(run), last(budgeted))
    mine, whole = (records.read(r / "record.json") for r in (run, budgeted))
    assert [b["metrics"] for b in mine.budgets] == [b["metrics"] for b in whole.budgets]
    ours, theirs = (per_image.read(r / per_image.FILE) for r in (run, budgeted))
    for name, values in theirs.items():
        np.testing.assert_array_equal(ours[name], values)


def test_a_finished_training_is_made_longer(train_run, budgeted, tmp_path):
    short = train_run(*BUDGETS, "budgets=[2,3]", "trainer.max_epochs=1", logs=tmp_path)
    run = train_run(*BUDGETS, f"ckpt={short}/checkpoints/last.ckpt", logs=tmp_path)
    assert run == short
    assert same(weights(run), weights(budgeted))
    mine, whole = (records.read(r / "record.json") for r in (run, budgeted))
    assert [b["metrics"] for b in mine.budgets] == [b["metrics"] for b in whole.budgets]


def test_ctrl_c_while_the_end_is_scored_keeps_the_average(
    train_run, budgeted, tmp_path, monkeypatch
):
    def score(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tasks.scoring.score", score)
        with pytest.raises(SystemExit):
            train_run(*BUDGETS, logs=tmp_path)
    assert same(weights(train_run(*BUDGETS, "ckpt=last", logs=tmp_path)), weights(budgeted))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["budgets=[4,2]"], r"budgets=\[4, 2\] must be numbers of steps that increase"),
        (["budgets=[0,2]"], r"budgets=\[0, 2\] must be"),
        (["budgets=[2,8]"], r"budgets=\[2, 8\]: the training has 6 steps"),
        (["task.schedule=cosine"], "budgets need task.schedule=constant, not cosine"),
        (["average=0.9"], "average=0.9 and average_power=3 are two averages"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(train_run, tmp_path, overrides, message):
    with pytest.raises(ValueError, match=message) as error:
        train_run(*BUDGETS, *overrides, logs=tmp_path)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.rglob("seed*"))  # before anything is written


def test_several_devices_are_refused():
    with pytest.raises(ValueError, match="on one device, not on 2"):
        Budgets([2]).check(SimpleNamespace(), processes=2, steps=4)
