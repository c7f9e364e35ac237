"""Configs and code say the same: every option exists, every class can be built."""

import inspect
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.utils import get_class
from omegaconf import OmegaConf

from tasks.optimisation import Optimisation
from tasks.supervised import Supervised
from tests.conftest import ROOT, compose_config
from upzoo.checkpoint import BUILDABLE

GROUPS = ("model", "task")
FILES = [p for g in GROUPS for p in sorted((ROOT / "configs" / g).glob("*.yaml"))]


def options_of(cls: type) -> tuple[set[str], set[str]]:
    """Names of a constructor's own options, and of all: with those handed on to its base."""
    parameters = inspect.signature(cls.__init__).parameters.values()
    own = {p.name for p in parameters if p.kind is not p.VAR_KEYWORD} - {"self"}
    if len(own) == len(parameters) - 1:
        return own, own
    if cls is Supervised:  # it hands them on to the optimisation
        return own, own | {f.name for f in fields(Optimisation)}
    base = next(c for c in cls.__mro__[1:] if "__init__" in vars(c))
    return own, own | options_of(base)[1]


def node(path: Path) -> Any:
    """The group of a file; one that sets other groups too has it below its name."""
    cfg = OmegaConf.load(path)
    return cfg if "_target_" in cfg else cfg[path.parent.name]


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_options_are_those_of_the_constructor(path: Path):
    cfg = node(path)
    own, known = options_of(get_class(cfg._target_))
    given = {"net", "data", "card", "upsample", "num_classes", "in_channels", "defaults"}
    options = {k for k in cfg if not str(k).startswith("_")} - given
    assert own - given <= options <= known


def test_every_model_config_can_be_rebuilt_from_a_checkpoint():
    for path in (ROOT / "configs" / "model").glob("*.yaml"):
        assert node(path)._target_ in BUILDABLE


EXPERIMENTS = ROOT / "configs" / "experiment"
NAMES = sorted(p.relative_to(EXPERIMENTS).with_suffix("") for p in EXPERIMENTS.rglob("*.yaml"))


@pytest.mark.parametrize("name", NAMES, ids=str)
def test_experiments_compose_and_open_with_their_command(name: Path):
    cfg = compose_config("train", [f"experiment={name}"])
    assert OmegaConf.to_container(cfg, resolve=True)["name"]
    head = (EXPERIMENTS / f"{name}.yaml").read_text().split("\ndefaults:")[0]
    assert re.search(rf"python train\.py (-m )?experiment={name}\b", head)


@pytest.mark.parametrize("name", NAMES, ids=str)
def test_a_debugging_run_of_an_experiment_is_too_short_for_its_budgets(name):
    assert compose_config("train", [f"experiment={name}", "debug=fast"]).budgets is None


#: Choices of the groups that stand beside a model, with what they need.
CHOICES = {
    f"{group}={path.stem}": with_
    for group, with_ in (
        ("data", []),
        ("task", []),
        ("trainer", []),
        ("logger", []),
        ("debug", []),
        ("recipe", ["model=dcgan"]),
    )
    for path in sorted((ROOT / "configs" / group).glob("*.yaml"))
}


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_composes(choice: str):
    cfg = compose_config("train", [choice, *CHOICES[choice]])
    assert OmegaConf.to_container(cfg, resolve=True)["task"]["_target_"]


def test_the_public_ci_runs_the_same_command_on_every_python():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    linux, macos = workflow["jobs"]["linux"], workflow["jobs"]["macos"]
    assert linux["steps"][-1]["run"] == ".ci/run"
    assert macos["steps"][-1]["run"] == ".ci/smoke"
    versions = linux["strategy"]["matrix"]["python"]
    least = re.search(r'requires-python = ">=(.+?)"', (ROOT / "pyproject.toml").read_text())
    assert least[1] == versions[0]
    assert versions == [f"3.{minor}" for minor in range(10, 14)]
