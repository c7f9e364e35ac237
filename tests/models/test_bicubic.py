"""Bicubic resizing against the reference's matrix of weights, written out plainly."""

import math

import numpy as np
import pytest
import torch

from upzoo.bicubic import enlarge, reduce, symmetric_border


def cubic(x):
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0))


def imresize_matrix(n, m, scale):
    """The weights of MATLAB's imresize along one axis, (m, n), by its own 1-based formulas."""
    shrink = min(1.0, scale)  # the kernel is stretched where it reduces
    width = 4 / shrink
    u = np.arange(1, m + 1) / scale + 0.5 * (1 - 1 / scale)
    indices = np.floor(u - width / 2)[:, None] + np.arange(math.ceil(width) + 2)
    weights = shrink * cubic(shrink * (u[:, None] - indices))
    weights /= weights.sum(1, keepdims=True)
    mirror = np.r_[np.arange(n), np.arange(n)[::-1]]
    sources = mirror[np.mod(indices.astype(int) - 1, 2 * n)]
    matrix = np.zeros((m, n))
    np.add.at(matrix, (np.arange(m)[:, None], sources), weights)
    return matrix


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("size", [(7, 9), (1, 2), (1, 1)])
def test_reduction_is_the_references(scale, size):
    height, width = (scale * side for side in size)
    x = np.random.default_rng(0).random((2, height, width))
    rows = imresize_matrix(height, size[0], 1 / scale)
    columns = imresize_matrix(width, size[1], 1 / scale)
    np.testing.assert_allclose(
        reduce(torch.tensor(x), scale).numpy(), rows @ x @ columns.T, atol=1e-12
    )


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("size", [(7, 9), (1, 2), (1, 1)])
def test_enlargement_is_the_references(scale, size):
    x = np.random.default_rng(0).random((2, 3, *size))
    rows, columns = (imresize_matrix(n, scale * n, scale) for n in size)
    np.testing.assert_allclose(
        enlarge(torch.tensor(x), scale).numpy(), rows @ x @ columns.T, atol=1e-12
    )


def test_known_weights():
    """Halving weighs −3, −9, 29, 111 of 256 on either side."""
    row = imresize_matrix(16, 8, 0.5)[4, 5:13]
    np.testing.assert_allclose(256 * row, [-3, -9, 29, 111, 111, 29, -9, -3], atol=1e-12)
    impulse = torch.zeros(1, 16, 16, dtype=torch.float64)
    impulse[0, 9, 8] = 1
    assert reduce(impulse, 2)[0, 4, 4] * 256**2 == pytest.approx(111 * 111)


def test_the_border_repeats_the_outermost_pixel_and_goes_on_mirroring():
    x = torch.tensor([[1, 2]])
    assert symmetric_border(x, 3)[0].tolist() == [2, 2, 1, 1, 2, 2, 1, 1]


def test_enlargement_keeps_its_precision_under_autocast():
    x = torch.rand(1, 1, 5, 5)
    with torch.autocast("cpu", torch.bfloat16):
        y = enlarge(x, 2)
    assert y.dtype is torch.float32
    assert torch.equal(y, enlarge(x, 2))


def test_sizes_that_the_scale_does_not_divide_are_refused():
    with pytest.raises(ValueError, match="6×7 pixels cannot be reduced by 3: crop to multiples"):
        reduce(torch.zeros(1, 6, 7), 3)
