import pytest
import torch

from upzoo.upsampling import carafe, reassembly
from upzoo.upsampling.reassembly import (
    reassemble,
    reassemble_lines,
    reassemble_reference,
    similarity,
    similarity_lines,
    similarity_reference,
)

# batch, channels, height, width, scale, kernel: maps smaller than the kernel's reach are among them
SHAPES = [
    (2, 3, 4, 5, 2, 5),
    (1, 1, 1, 1, 3, 3),
    (2, 2, 1, 3, 2, 5),
    (2, 4, 3, 1, 1, 3),
    (2, 3, 2, 2, 4, 7),
]
FORMATS = [torch.contiguous_format, torch.channels_last]


def drawn(*shape, memory_format=torch.contiguous_format):
    x = torch.randn(shape, dtype=torch.float64).contiguous(memory_format=memory_format)
    return x.requires_grad_()


def gradients(y, inputs):
    return torch.autograd.grad(y.square().sum(), inputs)


def test_reassembly_by_hand():
    # Every output pixel of a source with the value v: all weight on its left neighbour.
    x = torch.tensor([[[[1.0, 2.0, 3.0]]]])
    weight = torch.zeros(1, 9, 2, 6)
    weight[:, 3] = 1
    expected = [[0.0, 0, 1, 1, 2, 2]] * 2  # zero beyond the border
    for form in (reassemble, reassemble_reference, reassemble_lines):
        assert form(x, weight, 3, 2)[0, 0].tolist() == expected


@pytest.mark.parametrize("form", [reassemble_reference, reassemble_lines])
@pytest.mark.parametrize("shape", SHAPES)
def test_reassembly_against_loops(form, shape):
    B, C, H, W, s, k = shape
    x, weight = torch.randn(B, C, H, W), torch.randn(B, k * k, s * H, s * W)
    expected = torch.zeros(B, C, s * H, s * W)
    for i in range(s * H):
        for j in range(s * W):
            for t in range(k * k):
                h, w = i // s + t // k - k // 2, j // s + t % k - k // 2
                if 0 <= h < H and 0 <= w < W:
                    expected[:, :, i, j] += weight[:, t, i, j, None] * x[:, :, h, w]
    torch.testing.assert_close(form(x, weight, k, s), expected)


@pytest.mark.parametrize("form", [similarity_reference, similarity_lines])
@pytest.mark.parametrize("shape", SHAPES)
def test_similarity_against_loops(form, shape):
    B, C, H, W, s, k = shape
    query, key = torch.randn(B, C, s * H, s * W), torch.randn(B, C, H, W)
    expected = torch.zeros(B, k * k, s * H, s * W)
    for i in range(s * H):
        for j in range(s * W):
            for t in range(k * k):
                h, w = i // s + t // k - k // 2, j // s + t % k - k // 2
                if 0 <= h < H and 0 <= w < W:
                    expected[:, t, i, j] = (query[:, :, i, j] * key[:, :, h, w]).sum(1)
    torch.testing.assert_close(form(query, key, k, s), expected)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("shape", SHAPES)
def test_lines_equal_the_reference_in_value_and_gradients(shape, memory_format):
    B, C, H, W, s, k = shape
    x = drawn(B, C, H, W, memory_format=memory_format)
    weight = drawn(B, k * k, s * H, s * W, memory_format=memory_format)
    query = drawn(B, C, s * H, s * W, memory_format=memory_format)

    found, expected = (form(x, weight, k, s) for form in (reassemble_lines, reassemble_reference))
    torch.testing.assert_close(found, expected)
    assert found.is_contiguous(memory_format=memory_format)
    assert expected.is_contiguous(memory_format=memory_format)
    torch.testing.assert_close(gradients(found, (x, weight)), gradients(expected, (x, weight)))

    found, expected = similarity_lines(query, x, k, s), similarity_reference(query, x, k, s)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradients(found, (query, x)), gradients(expected, (query, x)))


def test_lines_can_be_differentiated_twice():
    x, weight, query = drawn(1, 2, 3, 2), drawn(1, 9, 6, 4), drawn(1, 2, 6, 4)
    for function, inputs in (
        (lambda x, w: reassemble_lines(x, w, 3, 2), (x, weight)),
        (lambda q, x: similarity_lines(q, x, 3, 2), (query, x)),
    ):
        assert torch.autograd.gradcheck(function, inputs)
        assert torch.autograd.gradgradcheck(function, inputs)


def test_lines_skip_the_gradient_that_nobody_wants():
    x, weight = drawn(1, 2, 3, 2), drawn(1, 9, 6, 4)
    expected = gradients(reassemble_reference(x, weight, 3, 2), (x, weight))
    only_x = gradients(reassemble_lines(x, weight.detach(), 3, 2), (x,))
    only_weight = gradients(reassemble_lines(x.detach(), weight, 3, 2), (weight,))
    torch.testing.assert_close((*only_x, *only_weight), expected)


def test_lines_under_autocast_and_in_bfloat16():
    x, query = torch.randn(2, 8, 5, 4), torch.randn(2, 8, 10, 8)
    weight = torch.randn(2, 25, 10, 8).softmax(1)
    expected = reassemble_reference(x, weight, 5, 2), similarity_reference(query, x, 5, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = reassemble_lines(x, weight, 5, 2), similarity_lines(query, x, 5, 2)
    torch.testing.assert_close(found, expected)  # float32 in, float32 through
    half = reassemble_lines(x.bfloat16(), weight, 5, 2)
    assert half.dtype is torch.bfloat16
    torch.testing.assert_close(half.float(), expected[0], rtol=0.05, atol=0.05)


def test_large_maps_take_the_lines(monkeypatch):
    def unfolded(*args):
        raise AssertionError("a large map was unfolded")

    monkeypatch.setattr(reassembly, "neighbours", unfolded)
    x, weight = torch.ones(1, 4, 32, 32), torch.full((1, 25, 64, 64), 1 / 25)
    inner = reassemble(x, weight, 5, 2)[..., 4:-4, 4:-4]
    torch.testing.assert_close(inner, torch.ones(1, 4, 56, 56))
    torch.testing.assert_close(
        similarity(torch.ones(1, 4, 64, 64), x, 5, 2)[..., 4:-4, 4:-4],
        torch.full((1, 25, 56, 56), 4.0),
    )


@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("form", [torch.channels_last, torch.contiguous_format])
def test_carafe_without_a_gradient_gives_the_same_in_bands_of_rows(monkeypatch, scale, form):
    torch.manual_seed(0)
    operator = carafe.Carafe(6, 4, scale).eval()
    torch.nn.init.normal_(operator.encode.weight, std=0.3)  # weights that differ by the pixel
    x = torch.randn(2, 6, 17, 11).contiguous(memory_format=form)
    whole = operator(x).detach()
    for rows in (1, 3, 16):
        monkeypatch.setattr(carafe, "BAND", rows * 11 * (scale * 5) ** 2)
        with torch.no_grad():
            made = operator(x)
        torch.testing.assert_close(made, whole, rtol=0, atol=2e-6)
        assert made.is_contiguous(memory_format=form)
