"""`import upzoo`: what it offers, what it costs, what it refuses."""

import subprocess
import sys

import pytest
import torch

import upzoo
from tests.conftest import ROOT
from upzoo.architectures import ARCHITECTURES, BUILDABLE
from upzoo.upsampling import OPERATORS


def test_the_names_that_people_use():
    assert upzoo.list_operators() == list(OPERATORS)
    assert upzoo.list_architectures() == list(ARCHITECTURES)
    net = upzoo.create("unet", "dysample", num_classes=3, width=4, depth=2)
    assert net(torch.randn(1, 3, 9, 12)).shape == (1, 3, 9, 12)
    assert upzoo.upsampling.OPERATORS is OPERATORS
    assert upzoo.metrics.mean_iou is not None
    assert set(upzoo.__all__) <= set(dir(upzoo))
    assert all(hasattr(upzoo, name) for name in upzoo.__all__)


def test_lists_of_models():
    names = upzoo.list_models()
    camvid = upzoo.list_models("camvid")
    assert camvid == [name for name in names if name.endswith(".camvid")] != []
    assert upzoo.list_models("unet_*.camvid") == [n for n in camvid if n.startswith("unet_")]
    assert upzoo.list_models("nothing") == []


def test_load_takes_a_name_a_run_and_a_models_folder(trained):
    assert upzoo.load("unet_dysample.shapes").label == "unet"
    x = torch.randn(1, 3, 32, 32)
    run, model, file = (
        upzoo.load(path)
        for path in (trained, str(trained / "model"), trained / "checkpoints/best.ckpt")
    )
    assert torch.equal(run(x), model(x))
    assert torch.equal(run(x), file(x))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: upzoo.create("unnet", "dysample"), ValueError, "did you mean 'unet'"),
        (lambda: upzoo.create("unet", "dysampel"), ValueError, "did you mean 'dysample'"),
        (lambda: upzoo.create("unet"), ValueError, "unet needs num_classes: give num_classes=…"),
        (lambda: upzoo.create("unet", num_classes=2, dept=3), ValueError, "did you mean 'depth'"),
        (lambda: upzoo.load("unet_dysampel.shapes"), ValueError, "'unet_dysample.shapes'"),
        (lambda: upzoo.load("logs/none"), FileNotFoundError, "logs/none: no such checkpoint"),
        (lambda: upzoo.lod, AttributeError, "module 'upzoo' has no attribute 'lod'"),
    ],
)
def test_refusals_are_one_line(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_every_class_of_a_config_is_named_as_model_files_name_it():
    for target, cls in BUILDABLE.items():
        module = cls.__module__.replace("upzoo", "models", 1)
        assert target in (f"{module}.{cls.__name__}", f"models.upsampling.{cls.__name__}")


def test_the_audit_needs_no_torchmetrics():
    """It takes seconds to import."""
    code = (
        "import sys; sys.modules['torchmetrics'] = None; import upzoo; upzoo.audit; "
        "import upzoo.metrics.checkerboard as c; c.dc_ripple"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_importing_it_imports_nothing_of_weight():
    code = (
        "import sys; before = set(sys.modules); import upzoo; "
        "added = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "assert added <= {'upzoo'} | sys.stdlib_module_names, added; "
        "assert 'audit' in dir(upzoo) and 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
