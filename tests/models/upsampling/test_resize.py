"""Interpolation, bilinear-additive enlargement, and interpolation with a convolution."""

import pytest
import torch
import torch.nn.functional as F

from models.upsampling import BilinearAdditive, Interpolate, ResizeConv
from models.upsampling.interpolation import group_channels


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("operator", [Interpolate, BilinearAdditive])
def test_a_ramp_stays_a_ramp(operator, scale):
    # Pixel centres: output r lies over input (r + ½) / scale − ½.
    x = torch.arange(9.0).view(1, 1, 1, 9).expand(1, 1, 9, 9)
    expected = (torch.arange(9.0 * scale) + 0.5) / scale - 0.5
    inner = slice(scale, -scale)
    for turned in (x, x.mT):
        y = operator(1, 1, scale)(turned)[0, 0]
        y = y if turned is x else y.mT
        torch.testing.assert_close(y[inner, inner], expected[inner].expand(7 * scale, -1))


def test_nearest_repeats():
    x = torch.tensor([[[[1.0, 2.0]]]])
    assert Interpolate(1, 1, 3, mode="nearest")(x)[0, 0, 2].tolist() == [1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("channels", range(1, 12))
def test_groups_are_consecutive_complete_and_even(channels):
    x = 2.0 ** torch.arange(7, dtype=torch.float64).view(1, 7, 1, 1)  # a sum tells its terms
    groups = [int(value) for value in group_channels(x, channels).flatten()]
    if channels <= 7:
        assert sum(groups) == 2**7 - 1  # every channel once
        counts = [group.bit_count() for group in groups]
        assert max(counts) - min(counts) <= 1
        assert groups == sorted(groups)
    else:
        assert set(groups) == {2**i for i in range(7)}  # every channel, alone
        repeats = [groups.count(2**i) for i in range(7)]
        assert max(repeats) - min(repeats) <= 1
        assert groups == sorted(groups)


@pytest.mark.parametrize(("channels", "out"), [(12, 3), (7, 3), (2, 4), (3, 5), (4, 4)])
@pytest.mark.parametrize("scale", [2, 3])
def test_bilinear_additive_enlarges_then_sums(channels, out, scale):
    x = torch.randn(2, channels, 4, 5)
    large = F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
    expected = torch.zeros(2, out, 4 * scale, 5 * scale)
    if channels >= out:
        for i in range(channels):
            expected[:, i * out // channels] += large[:, i]
    else:
        for o in range(out):
            expected[:, o] = large[:, o * channels // out]
    torch.testing.assert_close(BilinearAdditive(channels, out, scale)(x), expected)


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_resize_conv_is_its_two_steps(mode, kernel):
    operator = ResizeConv(3, 4, 2, mode=mode, kernel=kernel)
    x = torch.randn(2, 3, 5, 4)
    corners = {} if mode == "nearest" else {"align_corners": False}
    large = F.interpolate(x, scale_factor=2, mode=mode, **corners)
    expected = F.conv2d(large, operator.weight, padding=kernel // 2)
    torch.testing.assert_close(operator(x), expected, rtol=1e-4, atol=1e-5)


def test_resize_conv_refuses_an_even_kernel():
    message = r"^ResizeConv: kernel=4 must be an odd integer of at least 1: .* no centre to align$"
    with pytest.raises(ValueError, match=message):
        ResizeConv(2, 2, kernel=4)
