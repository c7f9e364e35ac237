"""Nets by name, and what is shown of an audit."""

import io
import json
import sys
import types

import pytest
import torch
from rich.console import Console
from torch import nn

from panels.audit import audit_panel
from upzoo import checkpoint
from upzoo.audit import audit
from upzoo.audit.targets import default_example, load_target, natural_noise
from upzoo.audit.terminal import show, write


@pytest.fixture
def report():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ConvTranspose2d(4, 2, 3, 2, 1, 1)
    )
    return audit(net, 1 + torch.randn(1, 3, 64, 64))


@pytest.fixture
def user_module(monkeypatch):
    module = types.ModuleType("their_nets")
    module.generator = lambda: nn.Sequential(nn.ConvTranspose2d(5, 3, 4))
    module.pair = lambda: (nn.Conv2d(1, 1, 1), torch.ones(1, 1, 4, 4))
    module.number = lambda: 3
    monkeypatch.setitem(sys.modules, "their_nets", module)


def test_the_terminal_names_the_layer(report):
    console = Console(width=120, record=True, file=io.StringIO())
    show(report, console)
    text = console.export_text()
    assert "grid at period 2" in text
    assert "made by 1" in text
    assert "transposed convolution" in text
    assert "×4" in text
    assert "gradients: 0 (3×3 s2)" in text


def test_json_is_strict(report, tmp_path):
    content = json.loads(write(report, tmp_path / "audit.json").read_text())
    assert content["cause"] == "1"
    assert content["layers"][1]["ripple"] == report.layers[1].ripple
    assert content["gradient"]["2"]["energy_ratio"] == report.gradient[2]["energy_ratio"]
    assert "tile" not in content


def test_the_panel_shows_the_grid(report):
    picture = audit_panel(report)
    assert picture.dtype == torch.uint8
    assert picture.shape[2] == 1000
    red = (picture[0] > 180) & (picture[1] < 60) & (picture[2] < 60)
    assert red.sum() > 500, "the bar of the strongest period"
    report.tile, report.layers, report.response, report.contrast = None, [], {}, {}
    report.period = None
    assert audit_panel(report).shape[2] == 1000, "nothing found is drawn too"


def test_noise_like_photographs():
    noise = natural_noise(2, (64, 96), torch.Generator().manual_seed(0))
    assert noise.shape == (1, 2, 64, 96)
    assert noise.mean().item() == pytest.approx(0.5, abs=1e-5)
    assert noise.std().item() == pytest.approx(1, abs=1e-5)
    power = torch.fft.rfft2(noise - 0.5).abs().square().mean((0, 1))
    # amplitude 1/f: an octave up has a quarter of the power
    low, high = power[4, 4:8].mean(), power[8, 8:16].mean()
    assert 2 < low / high < 8


def test_examples_suit_the_first_layer():
    assert default_example(nn.Conv2d(5, 1, 1), (8, 12))[0].shape == (1, 5, 8, 12)
    assert default_example(nn.ConvTranspose2d(7, 1, 4))[0].shape == (4, 7, 1, 1)
    assert default_example(nn.Linear(6, 1))[0].shape == (4, 6)
    with pytest.raises(ValueError, match="Identity: no layer tells what input it takes"):
        default_example(nn.Identity())


def test_torchvision_by_name():
    net, (x,) = load_target("torchvision:lraspp_mobilenet_v3_large")
    assert type(net).__name__ == "LRASPP"
    assert x.shape == (1, 3, 256, 256)


def test_timm_by_name():
    pytest.importorskip("timm")
    net, _ = load_target("timm:resnet10t")
    assert type(net).__name__ == "ResNet"


def test_functions_of_users(user_module):
    net, (x,) = load_target("their_nets:generator")
    assert isinstance(net, nn.Sequential)
    assert x.shape == (4, 5, 1, 1)
    assert load_target("their_nets:pair")[1][0].tolist() == [[[[1.0] * 4] * 4]]


def test_model_files(tmp_path):
    spec = {"_target_": "models.upsampling.TransposedConv", "in_channels": 2, "out_channels": 3}
    folder = checkpoint.save(tmp_path / "up", checkpoint.build(spec), {"model": spec})
    with pytest.raises(ValueError, match="no layer tells"):
        load_target(str(folder))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("torchvision:fcn_resnet5", "torchvision has no model 'fcn_resnet5': did you mean"),
        ("nowhere.nets:build", "nowhere.nets:build: there is no module 'nowhere' to import"),
        ("models.nowhere:build", "there is no module 'models.nowhere' to import"),
        ("their_nets:generato", "their_nets has no function 'generato': did you mean 'generator'"),
        ("their_nets:number", "their_nets:number gave int: it must return a module"),
    ],
)
def test_names_that_are_not_there(spec, message, user_module):
    with pytest.raises(ValueError, match=message):
        load_target(spec)


def test_paths_that_are_not_there():
    with pytest.raises(
        FileNotFoundError,
        match="logs/none: neither a path, nor a name of the zoo, nor one of torchvision",
    ):
        load_target("logs/none")
