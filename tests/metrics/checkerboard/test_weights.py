"""Overlap and ripple of kernels, against loops and published factors."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F

from upzoo.metrics.checkerboard import (
    dc_ripple,
    energy_ripple,
    overlap_counts,
    phase_gains,
    shuffle_kernel,
    stack_overlap,
    tap_energies,
    unevenness,
)
from upzoo.upsampling.functional import bilinear_kernel, fold_nearest, icnr_, smooth_kernel


def loop_overlap(kernel, stride, padding, dilation):
    """Stamps of 40 pixels, counted in the middle of the line."""
    count = [0] * (40 * stride + dilation * kernel)
    for pixel, tap in product(range(40), range(kernel)):
        count[pixel * stride + tap * dilation] += 1
    start = 20 * stride + padding
    return count[start : start + stride]


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"),
    [(3, 2, 0, 1), (3, 2, 1, 1), (5, 2, 0, 1), (4, 3, 2, 1), (3, 4, 0, 3), (2, 3, 0, 1)],
)
def test_overlap_of_a_line(kernel, stride, padding, dilation):
    counts = overlap_counts((kernel,), (stride,), padding, dilation)
    assert counts.tolist() == loop_overlap(kernel, stride, padding, dilation)


def test_overlap_by_axis():
    counts = overlap_counts((3, 4), (2, 3), (1, 0), 1)
    rows, columns = loop_overlap(3, 2, 1, 1), loop_overlap(4, 3, 0, 1)
    assert counts.tolist() == [[r * c for c in columns] for r in rows]


def test_factors_of_the_article():
    assert unevenness(overlap_counts((3,), (2,))) == 2
    assert unevenness(overlap_counts(3, 2)) == 4
    assert unevenness(overlap_counts(5, 2)) == 2.25
    assert unevenness(overlap_counts(4, 2)) == 1
    assert unevenness(overlap_counts(1, 2)) == float("inf"), "gaps"


@pytest.mark.parametrize("layers", [[(3, 2)], [(3, 2), (3, 2)], [(3, 2, 1), (5, 2, 2), (4, 3, 1)]])
def test_stacks_count_paths(layers):
    line = torch.ones(1, 1, 41, dtype=torch.float64)
    scale = 1
    for kernel, stride, *padding in layers:
        ones = torch.ones(1, 1, kernel, dtype=torch.float64)
        line = F.conv_transpose1d(line, ones, stride=stride, padding=sum(padding))
        scale *= stride
    middle = line[0, 0, 20 * scale : 21 * scale]
    assert stack_overlap(layers, dims=1).tolist() == middle.tolist()
    square = stack_overlap(layers)
    assert square.tolist() == torch.outer(middle, middle).tolist()
    assert unevenness(square) == unevenness(stack_overlap(layers, dims=1)) ** 2


def test_stacks_compound():
    factors = [unevenness(stack_overlap([(3, 2)] * n, dims=1)) for n in (1, 2, 3)]
    assert factors == [2, 3, 5]
    assert unevenness(stack_overlap([(4, 2)] * 3)) == 1


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (4, 2), (7, 3), ((2, 5), (1, 3))])
def test_ripple_is_that_of_a_constant(kernel, stride):
    sizes = (kernel,) * 2 if isinstance(kernel, int) else kernel
    s, t = (stride,) * 2 if isinstance(stride, int) else stride
    weight = torch.randn(4, 3, *sizes, dtype=torch.float64)
    mean = torch.randn(8, dtype=torch.float64)
    x = mean.view(1, 8, 1, 1).expand(1, 8, 9, 9)
    y = F.conv_transpose2d(x, torch.cat([weight, weight]), stride=(s, t), groups=2)
    cell = y[0, :, 4 * s : 5 * s, 4 * t : 5 * t].flatten(1)
    middle = cell.mean(1, keepdim=True)
    expected = (cell - middle).square().sum(0).mean().sqrt() / middle.norm()
    found = dc_ripple(torch.cat([weight, weight]), stride, mean, groups=2)
    assert found == pytest.approx(expected.item(), rel=1e-9)


def test_plain_ripple_is_the_mean_over_random_constants():
    weight = torch.randn(5, 3, 5, 5, dtype=torch.float64)
    gains = phase_gains(weight, 2).flatten(2)  # (in, out, φ)
    means = torch.randn(100_000, 5, dtype=torch.float64)
    y = torch.einsum("ni,iop->nop", means, gains)
    ripple = y.var(2, correction=0).sum(1).mean()
    assert dc_ripple(weight, 2) ** 2 == pytest.approx(
        (ripple / y.mean(2).square().sum(1).mean()).item(), rel=0.03
    )


@pytest.mark.parametrize("kernel", [2, 3, 4, 5, 6])
def test_random_kernels_ripple_whatever_their_size(kernel):
    line = 0.02 * torch.randn(200, 200, kernel)
    assert dc_ripple(line, 2) == pytest.approx(1, rel=0.03)
    square = 0.02 * torch.randn(200, 200, kernel, kernel)
    assert dc_ripple(square, 2) == pytest.approx(3**0.5, rel=0.03)
    # the standard deviation of the phases over the mean of their sizes: 1 in a picture too
    gains = phase_gains(square, 2).flatten(2)
    share = gains.std(2, correction=0).mean() / gains.abs().mean()
    assert share.item() == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize(("kernel", "ratio"), [(2, 1), (3, 4), (4, 1), (5, 2.25), (6, 1)])
def test_white_noise_sees_the_overlap_of_random_kernels(kernel, ratio):
    weight = 0.02 * torch.randn(400, 400, kernel, kernel)
    energies = tap_energies(weight, 2)
    assert unevenness(energies) == pytest.approx(ratio, rel=0.05)
    counts = overlap_counts(kernel, 2).double()
    expected = (counts.std(correction=0) / counts.mean()).item()
    assert energy_ripple(weight, 2) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_what_is_known_to_be_flat(scale):
    shuffled = icnr_(torch.empty(4 * scale**2, 6, 3, 3), scale, std=0.1)
    assert dc_ripple(shuffle_kernel(shuffled, scale), scale) < 1e-6
    assert dc_ripple(bilinear_kernel(scale)[None, None], scale) < 1e-6
    assert dc_ripple(fold_nearest(torch.randn(4, 6, 3, 3), scale), scale) < 1e-6
    hold = smooth_kernel(scale)[None, None]
    smooth = F.conv2d(torch.randn(6, 1, 4, 4).double(), hold, padding=scale - 1)
    assert dc_ripple(smooth, scale) < 1e-6


@pytest.mark.parametrize(("scale", "kernel", "groups"), [(2, 3, 1), (3, 3, 1), (2, 5, 2)])
def test_a_pixel_shuffle_is_a_transposed_convolution(scale, kernel, groups):
    weight = torch.randn(4 * scale**2, 6 // groups, kernel, kernel, dtype=torch.float64)
    x = torch.randn(2, 6, 5, 5, dtype=torch.float64)
    pad = kernel // 2
    y = F.pixel_shuffle(F.conv2d(x, weight, padding=pad, groups=groups), scale)
    folded = shuffle_kernel(weight, scale, groups)
    cut = scale * (kernel - 1 - pad)
    z = F.conv_transpose2d(x, folded, stride=scale, padding=cut, groups=groups)
    torch.testing.assert_close(z, y)


def test_gaps_and_nothing():
    assert dc_ripple(torch.zeros(2, 2, 3, 3), 2) == 0
    assert dc_ripple(torch.tensor([[[1.0, -1.0]]]), 2) == float("inf")
    assert unevenness(torch.zeros(2, 2)) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dc_ripple(torch.ones(2, 1, 3, 3), 2, torch.ones(3)), r"mean is \(3,\), expected"),
        (lambda: overlap_counts(3, 0), "stride=.* integers of at least 1"),
        (lambda: overlap_counts((3, 3), (2,)), "kernel=.* must be an integer or 1 of them"),
        (lambda: stack_overlap([]), "layers is empty"),
        (lambda: shuffle_kernel(torch.ones(6, 1, 3, 3), 2), "no multiple of 4 phases"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
