"""Kernels and their phases: bilinear, smooth, ICNR, folded."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F

from upzoo.upsampling.functional import (
    bilinear_filter,
    bilinear_kernel,
    conv_transpose_same,
    fold_nearest,
    icnr_,
    overlap_counts,
    phase_gains,
    polyphase,
    replicate_border,
    smooth_kernel,
)

# Bilinear and smooth kernels


@pytest.mark.parametrize(
    ("kernel", "stride", "sums"),
    [
        (4, 2, [1, 1]),
        (16, 8, [1] * 8),
        (64, 32, [1] * 32),
        (3, 2, [1, 1]),
        (7, 4, [1] * 4),
        (5, 2, [5 / 3, 4 / 3]),
        (6, 2, [1.5, 1.5]),
        (2, 2, [0.5, 0.5]),
    ],
)
def test_phase_sums_of_the_bilinear_filter(kernel, stride, sums):
    line = bilinear_filter(kernel)
    found = [line[phase::stride].sum().item() for phase in range(stride)]
    assert found == pytest.approx(sums, abs=1e-12)
    gains = phase_gains(torch.outer(line, line), stride)
    expected = torch.outer(*[torch.tensor(sums, dtype=torch.float64)] * 2)
    torch.testing.assert_close(gains, expected)


def test_values_of_the_smallest_bilinear_kernel():
    assert bilinear_kernel(2).unique().tolist() == [0.0625, 0.1875, 0.5625]


@pytest.mark.parametrize(("stride", "kernel"), [(2, 4), (2, 5), (2, 6), (3, 5), (3, 8), (4, 9)])
def test_bilinear_kernel_of_any_width_interpolates(stride, kernel):
    x = torch.randn(1, 1, 7, 7, dtype=torch.float64)
    y = conv_transpose_same(x, bilinear_kernel(stride, kernel)[None, None], stride)
    expected = F.interpolate(x, scale_factor=stride, mode="bilinear", align_corners=False)
    inner = slice(2 * stride, -2 * stride)
    torch.testing.assert_close(y[..., inner, inner], expected[..., inner, inner])


def test_bilinear_kernel_too_small():
    with pytest.raises(ValueError, match=r"kernel=3 is too small .* use kernel=4 or more"):
        bilinear_kernel(2, 3)


@pytest.mark.parametrize(("stride", "edge"), [(2, 0.75), (4, 0.625), (8, 0.5625)])
def test_zero_border_darkens_the_edge(stride, edge):
    y = conv_transpose_same(
        torch.ones(1, 1, 4, 4, dtype=torch.float64), bilinear_kernel(stride)[None, None], stride
    )[0, 0]
    assert y[0, 2 * stride] == edge
    assert y[0, 0] == edge**2
    assert y[2 * stride, 2 * stride] == 1


@pytest.mark.parametrize("stride", [2, 4, 8])
def test_replicated_border_makes_bilinear_exact(stride):
    x = torch.randn(2, 3, 3, 5, dtype=torch.float64)
    padded, kernel = replicate_border(x, 1), bilinear_kernel(stride).repeat(3, 1, 1, 1)
    # p = s/2 and one input pixel, which is s output pixels, more
    y = F.conv_transpose2d(padded, kernel, stride=stride, padding=stride // 2 + stride, groups=3)
    expected = F.interpolate(x, scale_factor=stride, mode="bilinear", align_corners=False)
    torch.testing.assert_close(y, expected)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("pixels", [0, 1, 3])
@pytest.mark.parametrize("batch", [0, 2])
def test_a_border_is_replicated_alike_in_a_program(monkeypatch, layout, pixels, batch):
    x = torch.randn(batch, 3, 3, 2, dtype=torch.double).contiguous(memory_format=layout)
    x.requires_grad_()
    eager = replicate_border(x, pixels)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    traced = replicate_border(x, pixels)
    assert torch.equal(eager, traced)
    gradient = torch.randn_like(eager)
    ours, theirs = (torch.autograd.grad(each, x, gradient)[0] for each in (eager, traced))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(("stride", "order"), [*product((1, 2, 3, 4), (0, 1, 2, 3))])
def test_smooth_kernel_has_equal_phases(stride, order):
    kernel = smooth_kernel(stride, order)
    size = (order + 1) * (stride - 1) + 1
    assert kernel.shape == (size, size)
    torch.testing.assert_close(
        phase_gains(kernel, stride), torch.ones(stride, stride, dtype=torch.float64)
    )


def test_smooth_kernel_of_order_zero_is_nearest():
    x = torch.randn(1, 1, 3, 4, dtype=torch.float64)
    y = conv_transpose_same(x, smooth_kernel(3)[None, None], 3)
    assert torch.equal(y, F.interpolate(x, scale_factor=3, mode="nearest"))


def test_smooth_kernel_of_order_two():
    # [1, 1] ∗ [1, 1] ∗ [1, 1] / 4
    line = torch.tensor([1, 3, 3, 1], dtype=torch.float64) / 4
    assert torch.equal(smooth_kernel(2, 2), torch.outer(line, line))
    with pytest.raises(ValueError, match="order=-1 must be at least 0"):
        smooth_kernel(2, -1)


def test_a_hold_after_any_kernel_levels_its_phases():
    weight = torch.randn(3, 1, 5, 5, dtype=torch.float64)
    hold = smooth_kernel(2)[None, None]
    smoothed = F.conv2d(weight, hold, padding=1)
    gains = phase_gains(smoothed, 2)
    torch.testing.assert_close(gains, gains[..., :1, :1].expand_as(gains))


# Phases


@pytest.mark.parametrize(("kernel", "stride"), [(4, 2), (5, 2), (3, 2), (7, 3), (2, 3)])
def test_phases_are_small_convolutions_interleaved(kernel, stride):
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    weight = torch.randn(3, 2, kernel, kernel, dtype=torch.float64)
    full = F.conv_transpose2d(x, weight, stride=stride)
    phases = polyphase(weight, stride)
    for a, b in product(range(stride), range(stride)):
        part = F.conv_transpose2d(x, phases[..., a, b, :, :])  # full, stride 1
        kept = full[..., a::stride, b::stride]
        h, w = kept.shape[-2:]
        torch.testing.assert_close(kept, part[..., :h, :w])
        assert not part[..., h:, :].any()


def test_phase_gains_are_the_response_to_a_constant():
    weight = torch.randn(1, 1, 5, 5, dtype=torch.float64)
    y = F.conv_transpose2d(torch.ones(1, 1, 6, 6, dtype=torch.float64), weight, stride=3)
    torch.testing.assert_close(y[0, 0, 6:9, 6:9], phase_gains(weight, 3)[0, 0])


@pytest.mark.parametrize(("kernel", "stride"), [*product((1, 2, 3, 4, 5, 6), (1, 2, 3, 4))])
def test_overlap_counts_the_stamps(kernel, stride):
    y = F.conv_transpose2d(torch.ones(1, 1, 9, 9), torch.ones(1, 1, kernel, kernel), stride=stride)
    inner = slice(5 * stride, 6 * stride)
    counts = overlap_counts(kernel, stride)
    assert counts.dtype == torch.int64
    assert counts.tolist() == y[0, 0, inner, inner].tolist()


# ICNR and folding


def test_icnr_starts_as_nearest():
    weight = icnr_(torch.empty(2 * 9, 4, 3, 3), scale=3, std=0.5)
    x = torch.randn(1, 4, 5, 5)
    y = F.pixel_shuffle(F.conv2d(x, weight, padding=1), 3)
    small = F.conv2d(x, weight[::9], padding=1)
    torch.testing.assert_close(y, F.interpolate(small, scale_factor=3, mode="nearest"))
    assert weight[::9].std() == pytest.approx(0.5, rel=0.3)


@pytest.mark.parametrize(("scale", "kernel"), [*product((1, 2, 3, 4), (1, 3, 5))])
def test_folded_nearest_is_exact_with_gradients(scale, kernel):
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 3, kernel, kernel, dtype=torch.float64, requires_grad=True)
    pad = (kernel - 1) // 2
    two_steps = F.conv2d(F.interpolate(x, scale_factor=scale), weight, padding=pad)
    folded = F.conv_transpose2d(x, fold_nearest(weight, scale), stride=scale, padding=pad)
    assert fold_nearest(weight, scale).shape == (3, 4, kernel + scale - 1, kernel + scale - 1)
    assert (folded - two_steps).abs().max() < 5e-14 * 3
    g = torch.randn_like(folded)
    for found, expected in zip(
        torch.autograd.grad(folded, (x, weight), g),
        torch.autograd.grad(two_steps, (x, weight), g),
        strict=True,
    ):
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-12)


def test_fold_of_an_even_kernel_is_refused():
    with pytest.raises(ValueError, match=r"kernel \(4, 4\) is even"):
        fold_nearest(torch.zeros(1, 1, 4, 4), 2)
