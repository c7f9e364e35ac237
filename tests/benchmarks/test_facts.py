import pytest
import torch

from benchmarks.facts import build, extras, facts, flops, reach, ripple
from upzoo.upsampling import OPERATORS
from upzoo.upsampling.functional import phase_gains


@pytest.mark.parametrize(
    ("name", "macs"),
    [
        ("transposed_conv", 4 * 6 * 4),  # 2×2 of 4×4 taps meet a pixel
        ("pixel_shuffle", 4 * 6 * 9),
        ("interpolate", 4 * 6 / 4 + 6 * 4),  # the projection at the small size, four taps
        ("max_unpool", 4 * 6 / 4),
    ],
)
def test_flops_of_a_pixel(name, macs):
    operator, x = build(name, 4, 6, 2), torch.randn(1, 4, 8, 8)
    assert flops(operator, x, extras(operator, x)) == 2 * macs * 16 * 16


def test_dysample_counts_its_samples():
    operator, x = build("dysample", 8, 8, 2), torch.randn(1, 8, 4, 4)
    offsets = 8 * 2 * 4 * 4 * 16  # 8 channels to 2 · 4 groups · 4 phases, 16 pixels
    assert flops(operator, x, {}) == 2 * (offsets + 4 * 8 * 64)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("transposed_conv", {}, (4, 4)),
        ("transposed_conv", {"kernel": 3}, (1, 4)),
        ("transposed_conv", {"kernel": 5}, (4, 9)),
        ("interpolate", {"mode": "nearest"}, (1, 1)),
        ("interpolate", {"mode": "bicubic"}, (16, 16)),
        ("carafe", {}, (25, 25)),
        ("max_unpool", {}, (0, 1)),
    ],
)
def test_reach(name, options, expected):
    torch.manual_seed(0)
    assert reach(OPERATORS[name](3, 3, 2, **options)) == expected


def test_ripple_is_that_of_the_phase_gains():
    operator = build("transposed_conv", 3, 5, 2, seed=1)
    torch.manual_seed(2)
    found = ripple(operator)
    torch.manual_seed(2)
    mean_input = torch.randn(1, 3, 1, 1, dtype=torch.float64).flatten()
    gains = torch.einsum("i,ioyx->oyx", mean_input, phase_gains(operator.weight, 2)).flatten(1)
    mean = gains.mean(1, keepdim=True)
    expected = (gains - mean).square().sum(0).mean().sqrt() / mean.norm()
    assert found == pytest.approx(expected.item())


def test_ripple_is_nothing_where_a_constant_stays_one():
    for name, operator in OPERATORS.items():
        found = ripple(build(name, 4, 4, 2))
        if operator.needs_switches:
            assert found is None
        else:
            assert (found < 1e-6) == (operator.flat or operator.needs_guide), name


def test_facts_of_an_operator():
    found = facts("transposed_conv")
    assert found["parameters"] == 64 * 64 * 16
    assert found["flops_per_pixel"] == 2 * 64 * 64 * 4
    assert found["ripple"] == pytest.approx(3**0.5, rel=0.1)  # four independent phases
