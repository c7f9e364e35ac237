"""The periodic part of logits: found, taken off, and what that changes."""

import math

import pytest
import torch

from upzoo.metrics.periodic import PeriodicPart, without_grid


def smooth(size=(2, 3, 48, 64)) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(*size[:2], 4, 4, generator=generator)
    return torch.nn.functional.interpolate(coarse, size=size[-2:], mode="bicubic")


def pattern(period: int, size) -> torch.Tensor:
    """A pattern of a period with mean 0, tiled."""
    one = torch.randn(size[1], period, period, generator=torch.Generator().manual_seed(1))
    one = one - one.mean((1, 2), keepdim=True)
    return one.repeat(1, size[2] // period + 1, size[3] // period + 1)[:, : size[2], : size[3]]


@pytest.mark.parametrize("period", [2, 3, 8])
def test_an_added_pattern_is_taken_off(period):
    maps = smooth()
    added = pattern(period, maps.shape)
    torch.testing.assert_close(
        without_grid(maps + added, period), without_grid(maps, period), atol=2e-5, rtol=0
    )
    torch.testing.assert_close(
        without_grid(added[None], period), 0 * added[None], atol=2e-5, rtol=0
    )


def test_by_brute_force_under_the_window():
    maps, period = smooth((1, 1, 9, 10)), 3
    # w(t) = sin²(π·t / n)
    ramp = [(torch.arange(n, dtype=torch.float64) * math.pi / n).sin() ** 2 for n in (9, 10)]
    weights = torch.outer(*ramp)
    y, x = torch.meshgrid(torch.arange(9) % 3, torch.arange(10) % 3, indexing="ij")
    means = torch.zeros(3, 3, dtype=torch.float64)
    for i in range(3):
        for j in range(3):
            here = (y == i) & (x == j)
            means[i, j] = (weights[here] * maps[0, 0][here]).sum() / weights[here].sum()
    expected = maps[0, 0] - (means - means.mean())[y, x]
    found = without_grid(maps, period)[0, 0]
    torch.testing.assert_close(found, expected.float(), atol=1e-5, rtol=0)


def test_flips_and_change_by_hand():
    truth = torch.zeros(1, 12, 12, dtype=torch.long)
    truth[:, :, 6:] = 1
    margin = 2.0 * (truth * 2 - 1)  # certain everywhere
    margin = margin + 3 * pattern(2, (1, 1, 12, 12)).sign()[:1] * 1.0
    logits = torch.stack((0 * margin, margin), dim=1)
    score = PeriodicPart(num_classes=2, period=2)
    score.update(logits, truth)
    before = logits.argmax(1)
    wrong = before != truth
    assert 0 < wrong.float().mean() < 1
    found = score.compute()
    # without the pattern every label is right
    assert found["labels_flipped"].item() == pytest.approx(wrong.float().mean().item())
    iou = [
        ((before == c) & (truth == c)).sum() / ((before == c) | (truth == c)).sum() for c in (0, 1)
    ]
    assert found["miou_without_grid"].item() == pytest.approx(1 - sum(iou).item() / 2)


def test_void_is_no_part_of_the_score():
    logits = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    truth = torch.randint(3, (2, 16, 16), generator=torch.Generator().manual_seed(1))
    truth[:, :4] = 255
    score, rest = PeriodicPart(3, 4), PeriodicPart(3, 4)
    score.update(logits, truth)
    rest.update(logits[:1], truth[:1])
    rest.update(logits[1:], truth[1:])
    assert score.compute() == rest.compute()
    assert score.before.sum() == 2 * 12 * 16


@pytest.mark.parametrize("period", [0, 1, 17])
def test_a_period_that_is_none_is_refused(period):
    with pytest.raises(ValueError, match=f"period={period} is none"):
        without_grid(torch.zeros(1, 1, 16, 16), period)


def test_options_are_checked():
    with pytest.raises(ValueError, match="period=1 is none"):
        PeriodicPart(3, 1)
