"""Pixel transposed convolution against its definition, pixel by pixel."""

import pytest
import torch
import torch.nn.functional as F

from upzoo.upsampling import PixelTransposed


def conv(x, weight):
    return F.conv2d(x, weight, padding=weight.shape[-1] // 2)


@pytest.mark.parametrize("kernel", [3, 5])
def test_every_pixel_of_pixel_tcl(kernel):
    operator = PixelTransposed(3, 2, kernel=kernel).double()
    x = torch.randn(1, 3, 4, 3, dtype=torch.float64)
    step = operator.steps[0]
    f1 = conv(x, step.first)
    f2 = conv(f1, step.second)
    reach = kernel // 2

    def known(r, c):
        """F1 on even rows and columns, F2 on odd ones, zero beyond the border."""
        if not (0 <= r < 8 and 0 <= c < 6):
            return torch.zeros(2, dtype=torch.float64)
        return (f2 if r % 2 else f1)[0, :, r // 2, c // 2]

    found = operator(x)[0]
    for r in range(8):
        for c in range(6):
            if r % 2 == c % 2:
                expected = known(r, c)
            else:
                expected = sum(
                    step.third[:, :, dr + reach, dc + reach] @ known(r + dr, c + dc)
                    for dr in range(-reach, reach + 1)
                    for dc in range(-reach, reach + 1)
                    if (dr + dc) % 2
                )
            torch.testing.assert_close(found[:, r, c], expected)


def test_every_map_of_ipixel_tcl():
    operator = PixelTransposed(3, 2, see_input=True).double()
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    step = operator.steps[0]
    y = operator(x)
    f1, f4, f3, f2 = y[..., ::2, ::2], y[..., ::2, 1::2], y[..., 1::2, ::2], y[..., 1::2, 1::2]
    torch.testing.assert_close(f1, conv(x, step.first))
    torch.testing.assert_close(f2, conv(torch.cat([x, f1], 1), step.second))
    torch.testing.assert_close(torch.cat([f3, f4], 1), conv(torch.cat([x, f1, f2], 1), step.third))


@pytest.mark.parametrize("see_input", [False, True])
def test_larger_scales_repeat_the_layer(see_input):
    operator = PixelTransposed(3, 2, 4, see_input=see_input)
    first = PixelTransposed(3, 2, see_input=see_input)
    second = PixelTransposed(2, 2, see_input=see_input)
    first.steps[0], second.steps[0] = operator.steps
    x = torch.randn(1, 3, 4, 3)
    torch.testing.assert_close(operator(x), second(first(x)), rtol=0, atol=0)


@pytest.mark.parametrize("see_input", [False, True])
def test_white_input_keeps_its_variance_in_every_map(see_input):
    torch.manual_seed(0)
    y = PixelTransposed(64, 64, see_input=see_input)(torch.randn(4, 64, 20, 20)).detach()
    inner = y[..., 6:-6, 6:-6]
    for r in (0, 1):
        for c in (0, 1):
            assert inner[..., r::2, c::2].square().mean().item() == pytest.approx(1, rel=0.15)


@pytest.mark.parametrize("scale", [1, 3, 6])
def test_refuses_other_scales(scale):
    message = rf"^PixelTransposed: scale={scale} must be a power of two from 2 on: .* and repeats$"
    with pytest.raises(ValueError, match=message):
        PixelTransposed(2, 2, scale)


def test_refuses_a_kernel_without_neighbours():
    message = r"^PixelTransposed: kernel=1 must be an odd integer of at least 3: it joins a pixel"
    with pytest.raises(ValueError, match=message):
        PixelTransposed(2, 2, kernel=1)
