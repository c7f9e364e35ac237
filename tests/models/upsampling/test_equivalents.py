"""All ways to compute a transposed convolution and its weight's gradient agree."""

import doctest
import re
from itertools import product
from pathlib import Path

import pytest
import torch

from upzoo.upsampling.equivalents import (
    by_forward_gradient,
    by_matrix,
    by_scatter,
    by_zero_insertion,
    conv_matrix,
    weight_gradient_by_autograd,
    weight_gradient_by_convolution,
    weight_gradient_by_outer_products,
)
from upzoo.upsampling.functional import conv_transpose2d
from upzoo.upsampling.geometry import geometry, output_sizes

DOC = Path(__file__).parents[3] / "docs" / "transposed_convolution.md"
WAYS = [by_forward_gradient, by_zero_insertion, by_matrix, by_scatter]
# (n, k, s, d): even and uneven overlap, gaps between stamps, dilation
SHAPES = [(1, 1, 1, 1), (3, 4, 2, 1), (3, 3, 2, 1), (2, 5, 2, 1), (3, 2, 3, 1), (3, 3, 2, 2)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("padding", ["same", "valid", 1])
def test_all_ways_agree(way, padding):
    for n, k, s, d in SHAPES:
        x = torch.randn(2, 3, n, n, dtype=torch.float64)
        weight = torch.randn(3, 2, k, k, dtype=torch.float64)
        for out in output_sizes(n, k, s, padding, d):
            expected = conv_transpose2d(x, weight, s, padding, out, d)
            axes = geometry((n, n), (k, k), s, padding, out, d)
            torch.testing.assert_close(way(x, weight, axes), expected)


@pytest.mark.parametrize("way", WAYS)
def test_axes_may_differ(way):
    x = torch.randn(1, 2, 3, 4, dtype=torch.float64)
    weight = torch.randn(2, 2, 2, 5, dtype=torch.float64)
    options = {"stride": (3, 2), "output_size": (8, 7), "dilation": (2, 1)}
    axes = geometry((3, 4), (2, 5), **options)
    torch.testing.assert_close(way(x, weight, axes), conv_transpose2d(x, weight, **options))


def test_matrix_is_that_of_the_forward_convolution():
    weight = torch.randn(3, 2, 3, 3, dtype=torch.float64)
    image = torch.randn(1, 2, 5, 6, dtype=torch.float64)
    axes = geometry((3, 3), (3, 3), 2, "same", (5, 6))
    # TensorFlow's SAME: one zero on either side of 5, one at the end of 6
    padded = torch.nn.functional.pad(image, (0, 1, 1, 1))
    expected = torch.nn.functional.conv2d(padded, weight, stride=2)
    product_ = conv_matrix(weight, axes) @ image.flatten()
    torch.testing.assert_close(product_.view(1, 3, 3, 3), expected)


@pytest.mark.parametrize("way", [weight_gradient_by_convolution, weight_gradient_by_outer_products])
@pytest.mark.parametrize("padding", ["same", "valid", 1])
def test_weight_gradients_agree(way, padding):
    for n, k, s, d in SHAPES:
        for out in output_sizes(n, k, s, padding, d):
            x = torch.randn(2, 3, n, n, dtype=torch.float64)
            gradient = torch.randn(2, 4, out, out, dtype=torch.float64)
            expected = weight_gradient_by_autograd(x, gradient, (k, k), s, padding, d)
            found = way(x, gradient, geometry((n, n), (k, k), s, padding, out, d))
            torch.testing.assert_close(found, expected)


def test_weight_gradient_by_finite_differences():
    x, gradient = torch.randn(1, 2, 3, 3).double(), torch.randn(1, 1, 6, 6).double()
    found = weight_gradient_by_autograd(x, gradient, (3, 3), 2)
    # The output is linear in the weight: a difference of any length is the derivative.
    for c, a, b in product(range(2), range(3), range(3)):
        one = torch.zeros(2, 1, 3, 3, dtype=torch.float64)
        one[c, 0, a, b] = 1
        change = (conv_transpose2d(x, one, 2) * gradient).sum()
        torch.testing.assert_close(found[c, 0, a, b], change)


def test_snippets_of_the_document_run():
    blocks = re.findall(r"^```python\n(.*?)^```", DOC.read_text(encoding="utf-8"), re.S | re.M)
    assert len(blocks) >= 5
    example = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, DOC.name, str(DOC), 0)
    assert all(">>>" in block for block in blocks)
    report: list[str] = []
    doctest.DocTestRunner().run(example, out=report.append)
    assert not report, "".join(report)


def test_figures_of_the_document_exist_and_are_small():
    names = re.findall(r"\]\((figures/[^)]*\.png)\)", DOC.read_text(encoding="utf-8"))
    assert names
    for name in names:
        assert 0 < (DOC.parent / name).stat().st_size < 150_000, name
