"""Windows of an image and what nets make of them."""

import math

import pytest
import torch
import torch.nn.functional as F

from upzoo.metrics.equivariance import ShiftConsistency, ShiftEquivariance, overlap, window

SHIFTS = [((0, 0), (3, 1)), ((2, 3), (0, 0)), ((1, 0), (0, 3)), ((2, 2), (2, 2))]


def offset(first, second):
    return second[0] - first[0], second[1] - first[1]


@pytest.mark.parametrize(("first", "second"), SHIFTS)
def test_windows_overlap_where_they_show_the_same(first, second):
    image = torch.arange(9 * 11).view(1, 9, 11)
    one, two = (window(image, shift, 3) for shift in (first, second))
    assert one.shape == two.shape == (1, 6, 8)
    a, b = overlap(one, two, offset(first, second))
    assert torch.equal(a, b)
    dy, dx = offset(first, second)
    assert a.shape == (1, 6 - abs(dy), 8 - abs(dx))


def test_what_shares_nothing_is_refused():
    maps = torch.zeros(1, 4, 4)
    with pytest.raises(ValueError, match=r"4×4 pixels, \(0, 4\) apart, share nothing"):
        overlap(maps, maps, (0, 4))
    with pytest.raises(ValueError, match=r"cannot begin at \(3, 0\) with a reach of 2"):
        window(maps, (3, 0), 2)
    with pytest.raises(ValueError, match="cannot begin"):
        window(maps, (0, 0), 4)


def test_pointwise_nets_are_consistent_and_strided_ones_are_not():
    torch.manual_seed(0)
    images = torch.randn(2, 3, 20, 24)
    pointwise, strided, by_hand = ShiftConsistency(), ShiftConsistency(), []
    for first, second in SHIFTS:
        one, two = (window(images, shift, 3) for shift in (first, second))
        pointwise.update(one, two, offset(first, second))

        def net(x):  # every second pixel, repeated
            return F.interpolate(x[..., ::2, ::2], size=x.shape[-2:])

        strided.update(net(one), net(two), offset(first, second))
        a, b = overlap(net(one).argmax(1), net(two).argmax(1), offset(first, second))
        by_hand.append((a == b).flatten())
    assert pointwise.compute()["shift_consistency"] == 1
    share = torch.cat(by_hand).float().mean()
    torch.testing.assert_close(strided.compute()["shift_consistency"], share)
    assert share < 0.9


def test_an_even_shift_of_a_stride_of_two_is_exact():
    images = torch.randn(1, 1, 12, 12)
    score = ShiftEquivariance()
    one, two = (window(images, shift, 4)[..., ::2, ::2] for shift in ((0, 2), (4, 0)))
    score.update(one, two, (2, -1))
    assert score.compute()["shift_equivariance"] == math.inf


def test_decibels_by_hand():
    score = ShiftEquivariance(peak=2.0)
    first, second = torch.zeros(2, 1, 1, 4, 4)
    second[..., 0, 0] = 0.4  # seen by the second window alone
    second[..., 1, 2] = 0.3
    score.update(first, second, (-1, 0))
    # 12 values are shared, one of which differs by .3
    expected = 10 * math.log10(4 / (0.09 / 12))
    assert score.compute()["shift_equivariance"].item() == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="peak=0 is no range"):
        ShiftEquivariance(peak=0)
