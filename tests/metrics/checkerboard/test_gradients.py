"""Phases of input gradients, against loops and the theory of strided convolutions."""

import pytest
import torch
from torch import nn

from upzoo.metrics.checkerboard import (
    gradient_phases,
    input_gradient,
    overlap_counts,
    phase_energies,
    tap_energies,
    unevenness,
)


def strided(kernel, width=256):
    conv = nn.Conv2d(32, width, kernel, stride=2, bias=False)
    nn.init.normal_(conv.weight, std=0.02)
    return conv


def test_the_gradient_is_that_of_the_signs():
    weight = torch.randn(5, 12)
    x = torch.randn(2, 3, 2, 2)
    g = input_gradient(lambda x: {"out": x.flatten(1) @ weight.T}, x, seed=3)
    signs = torch.randint(0, 2, (2, 5), generator=torch.Generator().manual_seed(3)) * 2.0 - 1
    torch.testing.assert_close(g, (signs @ weight).view_as(x))


def test_energies_of_phases_in_loops():
    g = torch.randn(2, 3, 6, 9)
    found = phase_energies(g, 3)
    for a in range(3):
        for b in range(3):
            expected = g[..., a::3, b::3].double().square().mean()
            assert found[a, b].item() == pytest.approx(expected.item())


@pytest.mark.parametrize(("kernel", "ratio"), [(2, 1), (3, 4), (4, 1), (5, 2.25), (6, 1)])
def test_strided_convolutions(kernel, ratio):
    conv = strided(kernel)
    g = input_gradient(conv, torch.randn(2, 32, 66, 66))[..., 8:-10, 8:-10]
    energies = phase_energies(g, 2)
    # E (Σ w v)² = Σ w² for random signs: the energy of the taps that land on the phase
    expected = tap_energies(conv.weight.detach(), 2) / 32
    torch.testing.assert_close(energies, expected, rtol=0.04, atol=0)
    found = gradient_phases(conv, torch.randn(2, 32, 66, 66), margin=8)[2]
    assert found.energy_ratio == pytest.approx(ratio, rel=0.1)
    assert unevenness(overlap_counts(kernel, 2)) == ratio


def test_pooling_and_gaps():
    x = torch.randn(4, 3, 64, 64)
    assert gradient_phases(nn.AvgPool2d(2), x)[2].energy_ratio == pytest.approx(1)
    gaps = gradient_phases(nn.Conv2d(3, 8, 1, stride=2), x)[2]
    assert gaps.energy_ratio == float("inf")


def test_the_mean_of_a_phase():
    def net(x):  # Σ v·x·(1 + 2 on even columns), v cancelled by its own sign
        return Signless.apply(x) * torch.tensor([3.0, 1.0]).repeat(8)

    found = gradient_phases(net, torch.zeros(1, 1, 16, 16))[2]
    # columns 3 and 1: phase means differ by ±1 and there is nothing else
    assert found.mean == pytest.approx(1)
    assert found.energy_ratio == pytest.approx(9)


class Signless(torch.autograd.Function):
    """The identity, whose gradient forgets the sign."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return g.abs()


def test_parameters_get_no_gradient_and_inputs_stay():
    conv = strided(3)
    x = torch.randn(1, 32, 16, 16)
    with torch.no_grad():
        gradient_phases(conv, x)
    assert conv.weight.grad is None
    assert not x.requires_grad


def test_a_period_that_does_not_fit():
    with pytest.raises(ValueError, match="period=32 must lie between 2 and the 12 pixels"):
        gradient_phases(nn.Conv2d(3, 4, 3), torch.randn(1, 3, 16, 16), [32], margin=2)
