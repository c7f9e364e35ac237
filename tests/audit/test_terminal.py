"""Nets by name, the command, and what is shown of an audit."""

import io
import json
import sys
import time
import types

import pytest
import torch
from rich.console import Console
from torch import nn

from panels.audit import audit_panel
from runs import audits
from tests.conftest import compose_config
from upzoo import checkpoint
from upzoo.audit import audit, command
from upzoo.audit.examples import candidates, natural_noise
from upzoo.audit.figure import draw
from upzoo.audit.targets import load_target
from upzoo.audit.terminal import progress, show, write


@pytest.fixture
def report():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ConvTranspose2d(4, 2, 3, 2, 1, 1)
    )
    with torch.no_grad():
        net[1].weight[:, 0], net[1].weight[:, 1] = 1, 0.5
    return audit(net, 1 + torch.rand(1, 3, 64, 64))


@pytest.fixture
def user_module(monkeypatch):
    module = types.ModuleType("their_nets")
    module.generator = lambda: nn.Sequential(nn.ConvTranspose2d(5, 3, 4))
    module.pair = lambda: (nn.Conv2d(1, 1, 1), torch.ones(1, 1, 4, 4))
    module.number = lambda: 3
    module.sized = lambda width: nn.Conv2d(width, 1, 1)
    module.flat = lambda: nn.Conv2d(3, 3, 3, padding=1)
    monkeypatch.setitem(sys.modules, "their_nets", module)


def test_the_terminal_says_it_in_order(report):
    file = io.StringIO()
    show(report, Console(width=80, file=file))
    lines = file.getvalue().splitlines()
    assert lines[0] == "Sequential, weights: the net's own: 1×3×64×64 -> 1×2×64×64"
    assert lines[1].startswith("Strong checkerboard at period 2: ")
    assert lines[2].strip().startswith("1 (transposed convolution 3×3 s2) makes 100% of period 2")
    assert any(line.strip().startswith("gradient: 0 (convolution 3×3 s2)") for line in lines)
    assert lines[-1].startswith("next: ")
    assert max(map(len, lines)) <= 80
    assert file.getvalue().strip() == str(report)


def test_tables_on_request(report):
    file = io.StringIO()
    show(report, Console(width=80, file=file), tables=True)
    text = file.getvalue()
    assert "Layers that enlarge" in text
    assert "Layers that thin out" in text
    assert "×4" in text
    assert max(map(len, text.splitlines())) <= 80


def test_layers_of_one_kind_are_grouped():
    torch.manual_seed(0)
    steps = [nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(4, 4, 3)) for _ in range(3)]
    net = nn.Sequential(nn.Conv2d(3, 4, 1), *steps)
    file = io.StringIO()
    show(audit(net, torch.rand(1, 3, 32, 32)), Console(width=80, file=file), tables=True)
    assert "1.0 … 3.0 (3)" in file.getvalue()


def test_json_is_strict(report, tmp_path):
    content = json.loads(write(report, tmp_path / "audit.json").read_text())
    assert content["verdict"] == "checkerboard"
    assert content["findings"][0]["causes"][0]["layer"] == "1"
    assert content["layers"][1]["ripple"] == report.layers[1].ripple
    assert "tile" not in content


def test_the_panel_shows_the_grid_and_flat_as_flat(report):
    torch.manual_seed(0)
    clean = audit(nn.Conv2d(3, 3, 3, padding=1), torch.rand(1, 3, 64, 64))
    picture = audit_panel(report)
    assert picture.dtype == torch.uint8
    red = (picture[0] > 180) & (picture[1] < 60) & (picture[2] < 60)
    assert red.sum() > 100, "the bar of the period that was found"
    shown = draw([report, clean]).axes
    before, after = (axes.images[0] for axes in shown if axes.images)
    assert before.get_clim() == after.get_clim()
    assert abs(after.get_array()).max() < 1e-4 * after.get_clim()[1]
    assert abs(before.get_array()).max() > 0.1 * before.get_clim()[1]


def test_progress_waits(capsys):
    with progress("quick", patience=5) as tell:
        tell("example")
    assert capsys.readouterr().err == ""
    with progress("slow", patience=0.01) as tell:
        time.sleep(0.1)
        tell("blame")
    assert capsys.readouterr().err == "auditing slow: building\nauditing slow: blame\n"


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
    def first(net, size=None):
        return next(iter(candidates(net, size))).args[0].shape

    assert first(nn.Conv2d(5, 1, 1), (8, 12)) == (1, 5, 8, 12)
    assert first(nn.Conv1d(80, 1, 1)) == (1, 80, 2048)
    assert first(nn.Conv3d(1, 1, 1), 16) == (1, 1, 16, 16, 16)
    assert first(nn.ConvTranspose2d(7, 1, 4)) == (4, 7, 1, 1)
    assert first(nn.Linear(6, 1)) == (4, 6)
    told = nn.Conv2d(3, 1, 1)
    told.default_cfg = {"input_size": (3, 224, 160)}
    assert first(told) == (1, 3, 224, 160)
    with pytest.raises(ValueError, match="Identity: no layer tells what input it takes"):
        next(iter(candidates(nn.Identity())))


def test_torchvision_by_name():
    target = load_target("torchvision:lraspp_mobilenet_v3_large")
    assert type(target.net).__name__ == "LRASPP"
    assert target.weights == "random"
    other = load_target("torchvision:lraspp_mobilenet_v3_large").net
    pairs = zip(target.net.parameters(), other.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs), "the seed is set before the net is built"


def test_timm_by_name():
    pytest.importorskip("timm")
    assert type(load_target("timm:resnet10t").net).__name__ == "ResNet"


def test_functions_of_users(user_module):
    target = load_target("their_nets:generator")
    assert isinstance(target.net, nn.Sequential)
    assert load_target("their_nets:pair").example.tolist() == [[[[1.0] * 4] * 4]]


def test_model_files(tmp_path):
    spec = {"_target_": "models.upsampling.TransposedConv", "in_channels": 2, "out_channels": 3}
    folder = checkpoint.save(tmp_path / "up", checkpoint.build(spec), {"model": spec})
    assert type(load_target(str(folder)).net).__name__ == "TransposedConv"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("torchvision:fcn_resnet5", "torchvision has no model 'fcn_resnet5': did you mean"),
        ("nowhere.nets:build", "nowhere.nets:build: there is no module 'nowhere' to import"),
        ("their_nets:generato", "their_nets has no function 'generato': did you mean 'generator'"),
        ("their_nets:number", "their_nets:number gave int: it must return a module"),
        ("their_nets:sized", "their_nets:sized needs width"),
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


def test_a_project_with_its_own_models(tmp_path, monkeypatch, capsys):
    """`upzoo audit` in somebody's folder: their `models`, their `metrics`."""
    for name in ("models", "metrics"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("MINE = 4\n")
    (tmp_path / "mynets.py").write_text(
        "import torch\nfrom metrics import MINE as M\nfrom models import MINE\n"
        "def build():\n    net = torch.nn.Sequential(torch.nn.Conv2d(3, MINE, 1),\n"
        "        torch.nn.ConvTranspose2d(M, 1, 3, 2, 1, 1))\n"
        "    torch.nn.init.ones_(net[1].weight)\n    return net\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("models", "metrics", "mynets"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    arguments = ["audit", "mynets:build", "--size", "48", "--json", "a.json", "--figure", "a.png"]
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 1
    said = capsys.readouterr().out
    assert "Strong checkerboard at period 2" in said
    assert json.loads((tmp_path / "a.json").read_text())["ok"] is False
    assert (tmp_path / "a.png").stat().st_size > 1000
    for name in ("models", "metrics", "mynets"):
        sys.modules.pop(name, None)


def test_the_command_ends_with_its_status(user_module, capsys):
    for arguments, status in (
        (["their_nets:flat", "--size", "48"], 0),
        (["their_nets:none"], 2),
        (["their_nets:flat", "--size", "large"], 2),
        (["their_nets:flat", "--args", "x=y"], 2),
    ):
        with pytest.raises(SystemExit) as ended:
            command.main(["audit", *arguments])
        assert ended.value.code == status, arguments
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3
    assert all(line.startswith("error: ") for line in errors)


def test_evaluate_audits(user_module, tmp_path, capsys):
    overrides = ["audit.net=their_nets:flat", "audit.size=48", "audit.tables=true"]
    cfg = compose_config("evaluate", [*overrides, f"logs={tmp_path}"])
    assert audits.named(cfg) == "their_nets:flat"
    assert audits.audit_command(cfg).ok
    assert "No checkerboard on a constant" in capsys.readouterr().out
    (panel,) = tmp_path.rglob("audit.png")
    assert panel.with_name("audit.json").exists()
