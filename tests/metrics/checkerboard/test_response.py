"""Responses to constants and steps, against what the layers are known to do."""

from itertools import product

import pytest
import torch
from torch import nn

import upzoo
from upzoo.metrics.checkerboard import constant_response, dc_ripple, ripple, step_response
from upzoo.metrics.checkerboard.grid import periods, without_grid
from upzoo.metrics.checkerboard.response import main_map, reach
from upzoo.upsampling import OPERATORS


def loop_variance(y, period):
    """Variance over the phases mod `period` of a picture's means, in loops."""
    means = [y[a::period, b::period].mean() for a, b in product(range(period), range(period))]
    return torch.stack(means).var(correction=0)


@pytest.mark.parametrize(("scale", "margin"), [(2, 0), (3, 4), (4, 2), (6, 0), (8, 5)])
def test_parts_of_a_periodic_map(scale, margin):
    cell = torch.randn(1, 2, scale, scale, dtype=torch.float64)
    found = ripple(cell.repeat(1, 1, 8, 8), scale, margin)
    torch.testing.assert_close(found.mean, cell.mean((0, 2, 3)))
    assert found.rest.max() < 1e-7
    assert list(found.own) == periods(scale)
    for channel, period in product(range(2), periods(scale)):
        parts = sum(found.own[d][channel] ** 2 for d in periods(period))
        assert parts.item() == pytest.approx(loop_variance(cell[0, channel], period).item())
    total = cell.var((0, 2, 3), correction=0).sum().sqrt() / cell.mean((0, 2, 3)).norm()
    assert found.total == pytest.approx(total.item())


def test_a_period_is_told_from_its_multiples():
    n = torch.arange(64.0)
    line = 3 + 0.5 * (-1) ** n + 0.25 * torch.cos(torch.pi * n / 2)
    found = ripple(line.view(1, 1, -1), scale=8)
    assert found.relative[2] == pytest.approx(0.5 / 3)
    assert found.relative[4] == pytest.approx(0.25 / 2**0.5 / 3)
    assert found.relative[8] < 1e-7


def test_a_drift_is_no_grid():
    row = torch.arange(64, dtype=torch.float64)
    ramp = 5 + 0.1 * row[:, None] - 0.3 * row
    assert max(ripple(ramp[None, None], 8).amplitude.values()) < 1e-9
    checker = (-1.0) ** (row[:, None] + row)
    found = ripple((ramp + 0.01 * checker)[None, None], 8)
    assert found.amplitude[2] == pytest.approx(0.01)
    assert found.rest.item() < 1e-6


def test_the_grid_alone_is_taken_off():
    smooth = torch.linspace(0, 1, 48, dtype=torch.float64).expand(1, 1, 48, 48)
    cell = torch.randn(1, 1, 3, 3, dtype=torch.float64)
    cell -= cell.mean()
    y = without_grid(smooth + cell.repeat(1, 1, 16, 16), 3, margin=5)
    torch.testing.assert_close(y, smooth)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (4, 2), (5, 3), (7, 6)])
def test_one_layer_ripples_as_its_weights_say(kernel, stride):
    up = nn.ConvTranspose2d(3, 4, kernel, stride, bias=False).double()
    mean = torch.randn(3, dtype=torch.float64)
    found = constant_response(up, mean)
    assert found.total == pytest.approx(dc_ripple(up.weight, stride, mean), rel=1e-6)
    assert found.rest.max() < 1e-7, "the root of rounding errors"


def test_a_stack_ripples_at_each_scale():
    weights = [torch.randn(1, 1, width, dtype=torch.float64) for width in (3, 4)]
    ups = nn.Sequential(nn.ConvTranspose1d(1, 1, 3, 2), nn.ConvTranspose1d(1, 1, 4, 2)).double()
    for up, weight in zip(ups, weights, strict=True):
        up.weight.data.copy_(weight)
        up.bias.data.zero_()
    found = constant_response(ups, torch.ones(1, dtype=torch.float64), dims=1)
    # by hand: gains of the first layer, then the four phases of the second
    a, b, c = weights[0].flatten().tolist()
    p, q, r, s = weights[1].flatten().tolist()
    even, odd = a + c, b
    phases = torch.tensor([p * even + r * odd, q * even + s * odd, p * odd + r * even,
                           q * odd + s * even], dtype=torch.float64)  # fmt: skip
    mean = phases.mean()
    two = (phases[0] + phases[2] - phases[1] - phases[3]).abs() / 4
    assert found.relative[2] == pytest.approx((two / mean.abs()).item(), rel=1e-5)
    rest = (phases.var(correction=0) - two**2).sqrt()
    assert found.relative[4] == pytest.approx((rest / mean.abs()).item(), rel=1e-5)


@pytest.mark.parametrize("operator", upzoo.list_operators(switches=False, guide=False))
def test_operators_that_say_they_are_flat_are(operator):
    up = OPERATORS[operator](4, 3, 2)
    found = constant_response(up, torch.tensor([1.0, -0.5, 2.0, 0.3]), size=16, margin=8, scale=2)
    assert (found.total < 1e-5) == up.flat


@pytest.mark.parametrize("scale", [3, 6])
def test_odd_scales(scale):
    up = OPERATORS["transposed_conv"](2, 2, scale)
    found = constant_response(up, torch.ones(2))
    assert list(found.own) == periods(scale)
    assert found.total == pytest.approx(dc_ripple(up.weight, scale, torch.ones(2)), rel=1e-4)


def test_reach_is_the_receptive_field():
    net = nn.Sequential(nn.Conv2d(1, 4, 5, padding=2), nn.ReLU(), nn.Conv2d(4, 1, 7, padding=3))
    assert reach(net, torch.zeros(1)) in (6, 7)
    assert reach(lambda x: x * x.mean(), torch.ones(1)) is None, "it pools globally"


@pytest.mark.parametrize(
    ("mode", "overshoot"), [("nearest", 0), ("bilinear", 0), ("bicubic", 27 / 256)]
)
def test_steps_of_interpolation(mode, overshoot):
    # Keys 1981, a = −¾: the far pixel weighs a·(x³ − 5x² + 8x − 4) = −27/256 at x = 5/4
    found = step_response(
        OPERATORS["interpolate"](2, 2, 2, mode=mode), -torch.ones(2), torch.ones(2)
    )
    assert found.overshoot.tolist() == pytest.approx([overshoot] * 2, abs=1e-6)
    assert found.overshoot_total == pytest.approx(overshoot, abs=1e-6)
    assert found.low.total < 1e-6
    assert found.high.total < 1e-6


def test_a_rippled_step_does_not_overshoot():
    up = nn.ConvTranspose2d(1, 1, 3, stride=2, bias=False)
    nn.init.ones_(up.weight)
    found = step_response(up, torch.tensor([1.0]), torch.tensor([3.0]))
    assert found.overshoot.item() < 1e-6
    assert found.low.total == pytest.approx(19**0.5 / 9, rel=1e-5)
    assert found.high.total == pytest.approx(19**0.5 / 9, rel=1e-5)


def test_outputs_in_boxes():
    y = torch.ones(1)
    assert main_map({"aux": y + 1, "out": y}) is y
    assert main_map([(y, y + 1)]) is y
    with pytest.raises(ValueError, match="returned str, in which there is no tensor"):
        main_map("y")


def test_too_small_a_map_is_refused():
    with pytest.raises(ValueError, match="too small to see period 8: it needs 20 pixels"):
        ripple(torch.ones(1, 1, 12, 12), 8)
