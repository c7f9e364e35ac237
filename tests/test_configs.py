"""Configs and code say the same: every option exists, every class can be built."""

import inspect
from pathlib import Path

import pytest
from hydra.utils import get_class
from omegaconf import OmegaConf

from tests.conftest import ROOT, compose_config
from upzoo.checkpoint import BUILDABLE

GROUPS = ("model", "task")
FILES = [p for g in GROUPS for p in sorted((ROOT / "configs" / g).glob("*.yaml"))]


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_options_and_defaults_are_those_of_the_constructor(path: Path):
    cfg = OmegaConf.load(path)
    parameters = inspect.signature(get_class(cfg._target_)).parameters
    given = {"net", "data", "card", "upsample", "num_classes", "in_channels", "defaults"}
    options = {k for k in cfg if not str(k).startswith("_")} - given
    assert options == set(parameters) - given


def test_every_model_config_can_be_rebuilt_from_a_checkpoint():
    for path in (ROOT / "configs" / "model").glob("*.yaml"):
        assert OmegaConf.load(path)._target_ in BUILDABLE


@pytest.mark.parametrize(
    "path", sorted((ROOT / "configs" / "experiment").glob("*.yaml")), ids=lambda p: p.stem
)
def test_experiments_compose_and_open_with_their_claim(path: Path):
    cfg = compose_config("train", [f"experiment={path.stem}"])
    assert cfg.name
    head = path.read_text().split("\ndefaults:")[0]
    assert f"python train.py experiment={path.stem}" in head
