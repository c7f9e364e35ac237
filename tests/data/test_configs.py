"""Every YAML of configs/data lists each option of its class, with the class's own default."""

import dataclasses
import importlib
import inspect
from pathlib import Path

import pytest
import yaml

from data.segmentation import SegmentationData

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "data").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_lists_every_option(path):
    config = yaml.safe_load(path.read_text())
    module, name = config.pop("_target_").rsplit(".", 1)
    assert config.pop("_convert_") == "all"
    assert config.pop("seed") == "${seed}"
    cls = getattr(importlib.import_module(module), name)
    if issubclass(cls, SegmentationData):
        assert set(config.pop("augment")) == {"scale", "flip", "colour"}
    assert cls.name == path.stem
    parameters = inspect.signature(cls).parameters
    defaults = {
        key: "???" if p.default is inspect.Parameter.empty else p.default
        for key, p in parameters.items()
        if key != "loading"
    }
    defaults |= {
        f.name: getattr(cls.defaults, f.name)
        for f in dataclasses.fields(cls.defaults)
        if f.init and f.name not in ("seed", "augment")
    }
    assert config == {k: list(v) if isinstance(v, tuple) else v for k, v in defaults.items()}
