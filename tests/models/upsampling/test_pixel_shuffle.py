"""Sub-pixel convolution."""

import pytest
import torch
import torch.nn.functional as F

from upzoo.upsampling import PixelShuffle


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_icnr_starts_as_a_convolution_then_nearest(scale, kernel):
    operator = PixelShuffle(3, 4, scale, kernel=kernel)
    x = torch.randn(2, 3, 5, 4)
    small = F.conv2d(x, operator.weight[:: scale**2], padding=kernel // 2)
    expected = F.interpolate(small, scale_factor=scale, mode="nearest")
    torch.testing.assert_close(operator(x), expected, rtol=1e-5, atol=1e-6)


def test_without_icnr_the_phases_differ():
    torch.manual_seed(0)
    y = PixelShuffle(3, 4, icnr=False)(torch.ones(1, 3, 6, 6)).detach()
    assert y[0, :, 4:6, 4:6].flatten(1).std(1).min() > 0.1


def test_phases_lie_where_depth_to_space_puts_them():
    operator = PixelShuffle(1, 1, kernel=1)
    operator.weight.data = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(4, 1, 1, 1)
    assert operator(torch.ones(1, 1, 1, 1))[0, 0].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("icnr", [False, True])
def test_white_input_keeps_its_variance_at_the_start(icnr):
    torch.manual_seed(0)
    y = PixelShuffle(64, 64, icnr=icnr)(torch.randn(2, 64, 24, 24)).detach()
    assert y[..., 2:-2, 2:-2].square().mean().item() == pytest.approx(1, rel=0.1)


def test_refuses_an_even_kernel():
    message = r"^PixelShuffle: kernel=2 must be an odd integer of at least 1: an even one has no"
    with pytest.raises(ValueError, match=message):
        PixelShuffle(2, 2, kernel=2)
