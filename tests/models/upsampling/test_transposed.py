"""Learned transposed convolutions, square and decomposed."""

import pytest
import torch
import torch.nn.functional as F

from upzoo.upsampling import DecomposedTransposed, TransposedConv


def test_worked_example_in_tensorflow_semantics():
    operator = TransposedConv(1, 1, kernel=3)
    torch.nn.init.ones_(operator.weight)
    x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    expected = [[1, 1, 3, 2], [1, 1, 3, 2], [4, 4, 10, 6], [3, 3, 7, 4]]
    assert operator(x)[0, 0].tolist() == expected


@pytest.mark.parametrize("operator", [TransposedConv, DecomposedTransposed])
@pytest.mark.parametrize(("scale", "kernel"), [(2, None), (2, 5), (4, None), (3, 6)])
def test_white_input_keeps_its_variance_at_the_start(operator, scale, kernel):
    torch.manual_seed(0)
    y = operator(64, 64, scale, kernel=kernel)(torch.randn(2, 64, 24, 24)).detach()
    inner = y[..., 3 * scale : -3 * scale, 3 * scale : -3 * scale]
    assert inner.square().mean().item() == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("operator", [TransposedConv, DecomposedTransposed])
def test_refuses_a_kernel_that_leaves_gaps(operator):
    message = rf"^{operator.__name__}: kernel=3 must be an integer of at least 4: .* at scale 4$"
    with pytest.raises(ValueError, match=message):
        operator(2, 2, 4, kernel=3)


@pytest.mark.parametrize(("scale", "kernel"), [(2, 4), (2, 3), (2, 5), (3, 6), (4, 8)])
def test_decomposed_is_a_transposed_convolution_of_low_rank(scale, kernel):
    operator = DecomposedTransposed(3, 5, scale, kernel=kernel).double()
    square = TransposedConv(3, 5, scale, kernel=kernel).double()
    # w[i, o, r, c] = Σ_m row[i, m, c] · column[m, o, r]
    weight = torch.einsum("imc,mor->iorc", operator.row[:, :, 0], operator.column[..., 0])
    square.weight = torch.nn.Parameter(weight)
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(operator(x), square(x))
    assert sum(p.numel() for p in operator.parameters()) == (3 * 5 + 5 * 5) * kernel


def test_even_overlap_leaves_kernels_of_four_even_and_three_uneven():
    # How often each output pixel is stamped: ones in, ones as the kernel.
    def counts(kernel):
        operator = TransposedConv(1, 1, kernel=kernel)
        torch.nn.init.ones_(operator.weight)
        return operator(torch.ones(1, 1, 6, 6))[0, 0, 4:6, 4:6].tolist()

    assert counts(4) == [[4, 4], [4, 4]]
    assert counts(3) == [[4, 2], [2, 1]]
    assert counts(5) == [[4, 6], [6, 9]]


def test_common_padding_for_even_kernels():
    operator = TransposedConv(3, 2)
    x = torch.randn(1, 3, 5, 4)
    expected = F.conv_transpose2d(x, operator.weight, stride=2, padding=1)
    torch.testing.assert_close(operator(x), expected)
