"""Fixed low-pass layers after a transposed convolution."""

import pytest
import torch
import torch.nn.functional as F

from upzoo.upsampling import FIRTransposed, SmoothTransposed
from upzoo.upsampling.filtered import at_once, by_axes, conv_transpose_filtered


def zero_insertion(x, scale):
    """Pixels `scale` apart, zeros between, `scale`·n long."""
    y = x.new_zeros(*x.shape[:2], scale * x.shape[-2], scale * x.shape[-1])
    y[..., ::scale, ::scale] = x
    return y


def by_one_kernel(x, weight, line, scale):
    """The same as one dense kernel, weight ∗ line ∗ lineᵀ, on the zero-inserted input."""
    taps = len(line)
    square = torch.outer(line, line).flip(0, 1)  # conv2d correlates
    flat = weight.flatten(0, 1)[:, None]
    kernel = F.conv2d(flat, square[None, None], padding=taps - 1)[:, 0]
    kernel = kernel.unflatten(0, weight.shape[:2])
    k = kernel.shape[-1]
    start = (k - scale) // 2
    h, w = x.shape[-2:]
    full = F.pad(zero_insertion(x, scale), (k - 1, k - 1, k - 1, k - 1))
    y = F.conv2d(full, kernel.flip(2, 3).transpose(0, 1))
    return y[..., start : start + scale * h, start : start + scale * w]


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("taps", [4, 5, 7])
def test_both_steps_are_one_transposed_convolution(scale, kernel, taps):
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    weight = torch.randn(3, 2, kernel, kernel, dtype=torch.float64)
    line = torch.randn(taps, dtype=torch.float64)  # not symmetric
    expected = by_one_kernel(x, weight, line, scale)
    torch.testing.assert_close(conv_transpose_filtered(x, weight, line, scale), expected)


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("taps", [15, 22])  # long ones hang in oneDNN's own bfloat16
def test_long_filters_in_bfloat16_are_those_of_float32(taps, autocast):
    torch.manual_seed(0)
    x, weight = torch.randn(2, 9, 8, 8), torch.randn(9, 9, 16, 16) / 20
    line = torch.full((taps,), 1 / taps)
    expected = conv_transpose_filtered(x, weight, line, 8)
    given = [t.contiguous(memory_format=torch.channels_last) for t in (x, weight)]
    given = given if autocast else [t.bfloat16() for t in given]
    inputs = [t.requires_grad_() for t in given]
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        y = conv_transpose_filtered(*inputs, line, 8)
    y.float().sum().backward()
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), expected, rtol=0, atol=0.02 * expected.abs().max().item())
    assert all(t.grad.isfinite().all() for t in inputs)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("kernel", [None, 3, 4, 5])
def test_smooth_has_no_ripple_whatever_was_learned(scale, order, kernel):
    operator = SmoothTransposed(3, 4, scale, order=order, kernel=kernel).double()
    x = torch.randn(1, 3, 1, 1, dtype=torch.float64).expand(1, 3, 14, 14)
    inner = operator(x)[..., 5 * scale : -5 * scale, 5 * scale : -5 * scale]
    # Every phase has the gain Σ w.
    expected = torch.einsum("iorc,bi->bo", operator.weight, x[..., 0, 0])[..., None, None]
    torch.testing.assert_close(inner, expected.expand_as(inner), rtol=1e-6, atol=1e-6)


def test_smooth_lines():
    def line(scale, order):
        return SmoothTransposed(1, 1, scale, order=order).line.tolist()

    assert line(2, 0) == [1, 1]
    assert line(2, 1) == [0.5, 1, 0.5]
    assert line(2, 2) == [0.25, 0.75, 0.75, 0.25]
    assert line(3, 0) == [1, 1, 1]


@pytest.mark.parametrize("order", [-1, 1.0, True])
def test_smooth_refuses_an_order(order):
    message = rf"^SmoothTransposed: order={order!r} must be an integer of at least 0: 0 is a box$"
    with pytest.raises(ValueError, match=message):
        SmoothTransposed(2, 2, order=order)


def test_fir_equals_stylegan2():
    """`upsample_conv_2d` of the official code, spelled out: pad, filter [1, 3, 3, 1], gain 4."""
    operator = FIRTransposed(3, 2).double()
    x = torch.randn(1, 3, 5, 4, dtype=torch.float64)
    k, taps = 3, 4
    line = torch.tensor([1.0, 3, 3, 1], dtype=torch.float64)
    square = torch.outer(line, line)
    square = square / square.sum() * 2**2
    p = (taps - 2) - (k - 1)
    y = F.conv_transpose2d(x, operator.weight, stride=2)
    y = F.pad(y, ((p + 1) // 2 + 1, p // 2 + 1) * 2)
    expected = F.conv2d(y, square.expand(2, 1, 4, 4), groups=2)
    torch.testing.assert_close(operator(x), expected)


@pytest.mark.parametrize(
    ("scale", "taps"), [(2, None), (3, None), (8, None), (2, [1, 1]), (2, [1, 4, 6, 4, 1])]
)
def test_fir_keeps_the_gain_of_a_constant(scale, taps):
    operator = FIRTransposed(3, 2, scale, taps=taps).double()
    assert operator.line.sum().item() == pytest.approx(scale)
    y = operator(torch.ones(1, 3, 9, 9, dtype=torch.float64))
    inner = y[..., 4 * scale : -4 * scale, 4 * scale : -4 * scale]
    expected = operator.weight.sum((0, 2, 3))[None, :, None, None]
    torch.testing.assert_close(inner, expected.expand_as(inner), rtol=1e-6, atol=1e-6)


def test_fir_default_taps():
    assert (FIRTransposed(1, 1).line * 4).tolist() == [1, 3, 3, 1]


@pytest.mark.parametrize(
    ("scale", "taps", "sums"),
    [(3, [1, 3, 3, 1], [2, 3, 3]), (2, [1], [1, 0]), (2, [], [0, 0]), (2, [1, -1, -1, 1], [0, 0])],
)
def test_fir_refuses_taps_that_ripple(scale, taps, sums):
    message = r"^FIRTransposed: taps=.* must be equal and positive$"
    with pytest.raises(ValueError, match=message) as e:
        FIRTransposed(2, 2, scale, taps=taps)
    assert f"taps={taps} make a checkerboard at scale={scale}" in str(e.value)
    assert f"sum to {sums}" in str(e.value)


def test_a_filter_at_once_is_that_of_one_axis_after_the_other():
    y = torch.randn(2, 3, 7, 9, dtype=torch.float64)
    filt = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
    torch.testing.assert_close(at_once(y, filt, 1), by_axes(y, filt, 1))
    assert at_once(y, filt, 2).shape == (2, 3, 9, 11)
