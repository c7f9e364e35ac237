"""The bilinear kernel: exact at the start, borders included, fixed or learned."""

import pytest
import torch
import torch.nn.functional as F

from models.upsampling import BilinearInit


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 5, 8, 32])
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("extra", [0, 1, 2, 5])
def test_equals_interpolate_borders_included(scale, dense, extra):
    kernel = 2 * scale - scale % 2 + extra
    operator = BilinearInit(3, 3, scale, dense=dense, kernel=kernel).double()
    x = torch.randn(2, 3, 4, 3, dtype=torch.float64)
    expected = F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
    torch.testing.assert_close(operator(x), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("scale", "edge"), [(2, 0.75), (4, 0.625), (8, 0.5625)])
def test_zero_border_darkens_the_edges(scale, edge):
    y = BilinearInit(1, 1, scale, border="zero")(torch.ones(1, 1, 5, 5))[0, 0]
    assert y[0, 2 * scale].item() == pytest.approx(edge)
    assert y[-1, -1].item() == pytest.approx(edge**2)
    assert y[2 * scale, 2 * scale].item() == pytest.approx(1)


def test_does_not_mix_channels():
    x = torch.zeros(1, 3, 4, 4)
    x[:, 1] = 1
    for dense in (False, True):
        y = BilinearInit(3, 3, dense=dense, trainable=True)(x).detach()
        torch.testing.assert_close(y, x.repeat_interleave(2, -1).repeat_interleave(2, -2))


def test_is_fixed_unless_asked():
    assert not list(BilinearInit(3, 3).parameters())
    assert [key for key, _ in BilinearInit(3, 3, trainable=True).named_parameters()] == ["weight"]
    assert BilinearInit(3, 3).state_dict().keys() == {"weight"}


def test_refuses_a_kernel_smaller_than_the_filter():
    message = r"^BilinearInit: kernel=3 must be an integer of at least 4: bilinear at scale 2 has 4"
    with pytest.raises(ValueError, match=message):
        BilinearInit(2, 2, kernel=3)
