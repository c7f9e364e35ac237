"""What is timed beside a step is what the step does."""

import json

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks import step
from tests.conftest import ROOT


def test_calls_are_kept_by_kind_with_their_inputs():
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(inplace=True))
    net.append(nn.ConvTranspose2d(3, 2, 2, 2))
    x = torch.randn(1, 2, 6, 6)
    with step.Recorder() as recorder:
        y = net(x)
    counts = {kind: len(calls) for kind, calls in recorder.calls.items() if calls}
    assert counts == {"convolutions": 2, "batch norm": 1, "activations": 1}
    func, args, kwargs = recorder.calls["convolutions"][0]
    torch.testing.assert_close(func(*args, **kwargs), net[0](x))
    func, args, kwargs = recorder.calls["convolutions"][1]
    torch.testing.assert_close(func(*args, **kwargs), y)
    _, (before, *_), options = recorder.calls["activations"][0]
    assert before.min() < 0  # as it was before the rectifier overwrote it
    assert not options.get("inplace")


def test_replaying_runs_the_backward_pass_too(monkeypatch):
    seen = []
    gradient = torch.autograd.grad
    monkeypatch.setattr(
        torch.autograd, "grad", lambda *args: seen.append(len(args[1])) or gradient(*args)
    )
    x, weight = torch.randn(1, 2, 4, 4), torch.randn(3, 2, 3, 3, requires_grad=True)
    step.replay([(F.conv2d, (x, weight), {}), (F.relu, (x,), {})])()
    assert seen == [1]  # of the weight; nothing of the rectifier asks for one


def test_the_record_names_the_step_and_its_parts():
    (path,) = (ROOT / "benchmarks" / "results").glob("step_*.json")
    nets = json.loads(path.read_text())["nets"]
    assert nets.keys() <= step.NETS.keys()
    for found in nets.values():
        over = found["over_convolutions"]
        assert over["convolutions"]["median"] == 1.0
        assert over["step"]["median"] > over["AdamW"]["median"] > 0
