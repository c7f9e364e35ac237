"""Command lines as people type them: each works or is one line, before anything is written."""

import sys

import pytest
from omegaconf import OmegaConf

import evaluate
import train
from runs import arguments, console, ranges
from runs.types import declared, matches, words
from tests.conftest import SMALL, compose_config
from upzoo.upsampling import Carafe


def refused(script, *overrides, monkeypatch=None):
    """The one line that a script ends with."""
    run = train.train if script == "train" else evaluate.use
    with pytest.raises(Exception) as caught:  # noqa: PT011
        run(compose_config(script, list(overrides)))
    line = console.explain(caught.value)
    assert line is not None, caught.value
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("name=null", "name=null must be the name of a folder within logs"),
        ("name=../../x", "name=../../x must be the name of a folder within logs, without .."),
        ("logs=null", "logs=null must be a path"),
        ("seed=1.5", "seed=1.5 must be an integer from 0"),
        ("compile=maybe", "compile=maybe must be true or false"),
        ("average=1", "average=1 must be a decay from 0"),
        ("artifacts=null", "artifacts=null must be a whole number of at least 0"),
        ("artifacts=true", "artifacts=true must be a whole number of at least 0"),
        ("keep_checkpoints=3", "keep_checkpoints=3 must be true or false"),
        ("budgets=[0]", "budgets=[0] must be null or a list of steps from 1 on"),
        ("task.lr=abc", "task.lr=abc must be a number"),
        ("task.lr=.inf", "must be a number"),
        ("task.lr=null", "task.lr=null must be a number"),
        ("task.betas=abc", "task.betas=abc must be a list of number"),
        ("task._target_=abc", "task._target_=abc: no such class"),
        ("task._target_=null", "task._target_=null must be the name of a class"),
        ("data.batch_size=true", "data.batch_size=true must be a whole number"),
        ("data.size=64", "data.size=64 must be a list of whole numbers"),
        ("data.seed=abc", "data.seed=abc must be a whole number"),
        ("model.stride=[8]", "model.stride=[8] must be a whole number"),
        ("model.upsample=abc", "model.upsample=abc must be an operator's options"),
        ("model.upsample=null", "model.upsample=null must be an operator's options"),
        ("upsample.trainable=3", "model.upsample.trainable=3 must be true or false"),
        ("callbacks.panels.images=abc", "callbacks.panels.images=abc must be a whole number"),
        ("callbacks.panels=abc", "callbacks.panels=abc must be null"),
        ("trainer.max_epochs=null", "trainer.max_epochs=null"),
        ("trainer.accumulate_grad_batches=-1", "accumulate_grad_batches=-1 must be an integer"),
        ("trainer.limit_train_batches=0", "limit_train_batches=0 must be a number of batches"),
        ("trainer.log_every_n_steps=abc", "trainer.log_every_n_steps=abc must be a whole number"),
        ("+trainer.overfit_batches=1", "use data.overfit=IMAGES"),
    ],
)
def test_a_wrong_option_is_one_line_and_leaves_nothing(tmp_path, override, message):
    logs = tmp_path / "logs"
    line = refused("train", *SMALL, f"logs={logs}", override)
    assert message in line
    assert not logs.exists()


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("epochs=3", "trainer.max_epochs=…"),
        ("lr=0.1", "task.lr=…"),
        ("batch_size=8", "data.batch_size=…"),
        ("num_workers=2", "data.num_workers=…"),
    ],
)
def test_hands_go_first_to_short_names(monkeypatch, given, meant):
    monkeypatch.setattr(sys, "argv", ["train.py", given])
    with pytest.raises(Exception) as caught:  # noqa: PT011
        compose_config("train", [given])
    assert f"did you mean {meant}?" in console.explain(caught.value)


def test_flags_of_other_programs_are_one_line():
    with pytest.raises(ValueError, match=r"--epochs: options here have no dashes: give trainer"):
        arguments.prepared(["--epochs", "3"], "train")
    with pytest.raises(ValueError, match=r"give task\.lr=VALUE"):
        arguments.prepared(["--lr=0.1"], "train")
    line = ["-m", "--cfg", "job", "seed=0,1"]
    assert arguments.prepared(line, "train") == line


@pytest.mark.parametrize(
    "path",
    [
        "a (1).jpg",
        "lr=0.1,x[2]{3}.png",
        "Straße/grün.jpg",
        "~/photo.jpg",
        "it's.png",
        'say "x".png',
        "a: b #c.png",
        "back\\slash.png",
        "plain/path-1.png",
        "ends\\",
    ],
)
def test_paths_need_no_quoting_tricks(path):
    (argument,) = arguments.prepared([f"input={path}"], "evaluate")
    assert compose_config("evaluate", [argument]).input == path


def test_a_sweeps_flag_may_stand_anywhere():
    assert arguments.prepared(["-m", "init=a,b"], "train") == ["-m", "init=a,b"]
    between = ["model=unet", "-m", "seed=0,1"]
    assert arguments.prepared(between, "train") == ["-m", "model=unet", "seed=0,1"]


def test_numbers_given_for_texts_are_texts_and_tilde_is_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    cfg = OmegaConf.create({"name": 2024, "logs": "~/runs"})
    table = {name: ranges.TRAIN[name] for name in cfg}
    ranges.check_options(cfg, table)
    assert cfg == {"name": "2024", "logs": str(tmp_path / "runs")}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["ckpt=x", "output=y"], "output= does nothing here"),
        (["ckpt=x", "samples=4", "split=val"], "split= does nothing here"),
        (["pretrained=x", "input=y", "artifacts=3"], "artifacts= does nothing here"),
        (["list=true", "export=x.onnx"], "export= does nothing here"),
        (["ckpt=x", "interpolation=2", "split=val"], "split= does nothing here"),
        (["ckpt=x", "interpolation=0"], "interpolation=0 must be a whole number of at least 1"),
        (["ckpt=x", "samples=0"], "samples=0 must be a whole number of at least 1"),
        (["ckpt=x", "export=true"], "export=true must be a path or null"),
        (["ckpt=x", "equalise=1"], "equalise=1 must be true or false"),
        (["ckpt=x", "images=0"], "images=0 must be a whole number of at least 1"),
    ],
)
def test_what_evaluate_would_ignore_is_refused(overrides, message):
    assert message in refused("evaluate", *overrides)


def test_types_are_those_of_the_constructor():
    hints = declared(Carafe)
    assert matches(5, hints["kernel_up"])
    assert not matches(True, hints["kernel_up"])
    assert not matches("5", hints["kernel_up"])
    assert matches(None, hints["kernel_encoder"])
    assert words(hints["kernel_encoder"]) == "a whole number or null"
