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


def test_what_is_timed_in_half_precision_runs_in_it():
    x, weight = torch.randn(1, 2, 4, 4), torch.randn(3, 2, 3, 3, requires_grad=True)
    seen = []

    def convolve(*given):
        seen.append(F.conv2d(*given))
        return seen[-1]

    with step.mixed(torch.bfloat16):
        run = step.replay([(convolve, (x, weight), {})])
    step.in_precision(run, torch.bfloat16)()
    assert [y.dtype for y in seen] == [torch.bfloat16] * 2
    assert not torch.is_autocast_enabled("cpu")


def test_the_record_names_the_step_and_its_parts():
    records = list((ROOT / "benchmarks" / "results").glob("step_*.json"))
    nets = [json.loads(path.read_text())["nets"] for path in records]
    assert all(found.keys() <= step.NETS.keys() for found in nets)
    for found in (found for each in nets for found in each.values()):
        over = found["over_convolutions"]
        assert over["convolutions"]["median"] == 1.0
        (optimizer,) = {"Adam", "AdamW"} & over.keys()
        assert over["step"]["median"] > over[optimizer]["median"] > 0


def test_operators_of_a_step_are_timed_by_name_slowest_first():
    x, weight = torch.randn(4, 16, 64, 64), torch.randn(16, 16, 3, 3, requires_grad=True)

    def work():
        F.relu(F.conv2d(x, weight, padding=1)).sum().backward()

    found = step.in_step(work)
    assert {"convolution", "convolution_backward", "relu", "threshold_backward"} <= found.keys()
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_a_gans_step_steps_both_nets_and_leaves_the_discriminator_trainable():
    training = step.Adversarial((4, 3, 32, 32), **step.NETS["DCGAN of the recipe"][1])
    with step.Recorder() as recorder:
        training.step()
    discriminator, generator = training.parts
    # noise to a coarse map, then the operators; real images, drawn ones, those for the generator
    enlarging = 1 + len(generator.upsamples)
    halving = sum(isinstance(module, nn.Conv2d) for module in discriminator.modules())
    assert len(recorder.calls["convolutions"]) == enlarging + 3 * halving
    for net in training.parts:
        assert all(p.requires_grad and p.grad is not None for p in net.parameters())


def test_the_page_says_of_compiled_steps_what_the_record_does():
    nets = json.loads((ROOT / "benchmarks/results/step_avx512_bf16.json").read_text())["nets"]
    speeds = [net["compiled_speed"]["median"] for net in nets.values()]
    longest = max(net["first_compiled_step_seconds"] for net in nets.values())
    page = " ".join((ROOT / "docs/training.md").read_text().split())
    assert f"runs at {min(speeds):.2f} to {max(speeds):.2f} times the speed of the eager" in page
    assert f"takes up to {longest:.0f} seconds" in page
