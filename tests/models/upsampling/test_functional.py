"""Transposed convolution and its sizes, against numbers and the forward convolution."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F

from upzoo.upsampling.functional import conv_transpose2d, conv_transpose_same
from upzoo.upsampling.geometry import conv_size, default_size, full_size, output_sizes, same_crop

EYE_5 = [[1, 0, 2, 0, 3], [0, 6, 0, 8, 0], [4, 0, 5, 0, 6], [0, 12, 0, 14, 0], [7, 0, 8, 0, 9]]
EYE_6 = [
    [1, 0, 2, 0, 3, 0],
    [0, 1, 0, 2, 0, 3],
    [4, 0, 6, 0, 8, 0],
    [0, 4, 0, 5, 0, 6],
    [7, 0, 12, 0, 14, 0],
    [0, 7, 0, 8, 0, 9],
]


def image(rows):
    return torch.tensor(rows, dtype=torch.float32)[None, None]


def tensorflow_gradient(x, weight, stride, padding, size, dilation=1):
    """Input gradient of a forward convolution that pads by hand as TensorFlow documents it."""
    picture = torch.zeros(len(x), weight.shape[1], *size, dtype=x.dtype, requires_grad=True)
    pads = []
    for out, k in zip(reversed(size), reversed(weight.shape[-2:]), strict=True):
        total = 0
        if padding == "same":
            rest = out % stride or stride
            total = max(dilation * (k - 1) + 1 - rest, 0)
        pads += [total // 2, total - total // 2]
    y = F.conv2d(F.pad(picture, pads), weight, stride=stride, dilation=dilation)
    assert y.shape == x.shape
    return torch.autograd.grad(y, picture, x)[0]


# Worked examples of TensorFlow's conv2d_transpose


def test_ones_kernel_same():
    y = conv_transpose2d(image([[1, 2], [3, 4]]), torch.ones(1, 1, 3, 3), 2)
    assert y[0, 0].tolist() == [[1, 1, 3, 2], [1, 1, 3, 2], [4, 4, 10, 6], [3, 3, 7, 4]]


def test_two_stamps_that_do_not_meet():
    x = torch.zeros(1, 1, 3, 3)
    x[..., 0, 2], x[..., 1, 1] = 1.5, 1
    y = conv_transpose2d(x, image([[1, 2], [3, 4]]), 2)[0, 0]
    expected = torch.zeros(6, 6)
    expected[0:2, 4:6] = torch.tensor([[1.5, 3], [4.5, 6]])
    expected[2:4, 2:4] = torch.tensor([[1.0, 2], [3, 4]])
    assert torch.equal(y, expected)


@pytest.mark.parametrize(("size", "expected"), [(5, EYE_5), (6, EYE_6), (None, EYE_6)])
def test_identity_kernel(size, expected):
    x = torch.arange(1.0, 10).view(1, 1, 3, 3)
    y = conv_transpose2d(x, torch.eye(3)[None, None], 2, output_size=size)
    assert y[0, 0].tolist() == expected


def test_two_sizes_from_one_input():
    x, weight = torch.randn(1, 3, 3, 1), torch.randn(3, 1, 2, 2)
    five = conv_transpose2d(x, weight, 2, output_size=(5, 2))
    six = conv_transpose2d(x, weight, 2, output_size=(6, 2))
    # k = s: nothing overlaps and the smaller output is the larger one without its last row.
    assert torch.equal(five, six[..., :5, :])


def test_stride_one_is_a_convolution_with_the_kernel_turned():
    x = torch.randn(2, 3, 28, 28, dtype=torch.float64)
    weight = torch.randn(3, 5, 7, 7, dtype=torch.float64)
    expected = F.conv2d(x, weight.flip(-2, -1).transpose(0, 1), padding=3)
    torch.testing.assert_close(conv_transpose2d(x, weight, 1), expected)


# TensorFlow's rule over a grid


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("dilation", [1, 2])
def test_grid_against_the_gradient_of_the_forward_convolution(padding, dilation):
    checked = 0
    for n, k, s in product((1, 2, 3, 5), (1, 2, 3, 4, 5), (1, 2, 3, 4)):
        x = torch.randn(2, 3, n, n, dtype=torch.float64)
        weight = torch.randn(3, 2, k, k, dtype=torch.float64)
        for out in output_sizes(n, k, s, padding, dilation):
            y = conv_transpose2d(x, weight, s, padding, out, dilation)
            expected = tensorflow_gradient(x, weight, s, padding, (out, out), dilation)
            torch.testing.assert_close(y, expected)
            checked += 1
    assert checked == 4 * 5 * (1 + 2 + 3 + 4)


@pytest.mark.parametrize("padding", ["same", "valid", 0, 1, 2])
def test_sizes_are_those_that_map_back(padding):
    for n, k, s, d in product((1, 2, 4), (1, 3, 4), (1, 2, 3), (1, 2)):
        fit = output_sizes(n, k, s, padding, d)
        lengths = range(1, 40)
        assert [o for o in lengths if conv_size(o, k, s, padding, d) == n] == list(fit)
        if fit and default_size(n, k, s, padding, d) >= 1:
            assert default_size(n, k, s, padding, d) in fit


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_forward_size_is_that_of_torch(stride):
    for n, k, p, d in product((5, 8), (1, 2, 3), (0, 1), (1, 2)):
        y = F.conv2d(torch.zeros(1, 1, n, n), torch.zeros(1, 1, k, k), None, stride, p, d)
        assert conv_size(n, k, stride, p, d) == y.shape[-1]


def test_integer_padding_is_that_of_torch():
    for k, s, p, d in product((2, 3, 4), (1, 2, 3), (0, 1, 2), (1, 2)):
        layer = torch.nn.ConvTranspose2d(2, 3, k, s, p, bias=False, dilation=d)
        x = torch.randn(1, 2, 4, 5)
        least = layer(x).shape[-2:]
        assert conv_transpose2d(x, layer.weight, s, p, dilation=d).shape[-2:] == least
        for more in range(s):
            size = [least[0] + more, least[1] + more]
            expected = layer(x, output_size=size)
            torch.testing.assert_close(conv_transpose2d(x, layer.weight, s, p, size, d), expected)


def test_axes_may_differ():
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    weight = torch.randn(3, 2, 3, 5, dtype=torch.float64)
    y = conv_transpose2d(x, weight, (2, 3), output_size=(7, 14), dilation=(2, 1))
    full = F.conv_transpose2d(x, weight, stride=(2, 3), dilation=(2, 1))
    top, left = same_crop(4, 3, 2, 7, 2), same_crop(5, 5, 3, 14)
    assert (top, left) == (2, 1)
    assert (full_size(4, 3, 2, 2), full_size(5, 5, 3)) == full.shape[-2:]
    torch.testing.assert_close(y, full[..., top : top + 7, left : left + 14])


@pytest.mark.parametrize(("kernel", "stride", "shift"), [(3, 2, 1), (5, 2, 1), (4, 2, 0)])
def test_symmetric_padding_is_shifted_where_parities_differ(kernel, stride, shift):
    x, weight = torch.randn(1, 1, 6, 6), torch.randn(1, 1, kernel, kernel)
    same = conv_transpose2d(x, weight, stride)
    usual = conv_transpose2d(x, weight, stride, (kernel - 1) // 2, output_size=12)
    torch.testing.assert_close(same[..., shift:, shift:], usual[..., : 12 - shift, : 12 - shift])
    assert torch.allclose(same, usual) == (shift == 0)


def test_groups():
    x, weight = torch.randn(1, 4, 3, 3), torch.randn(4, 1, 3, 3)
    parts = [conv_transpose_same(x[:, i : i + 1], weight[i : i + 1], 2) for i in range(4)]
    torch.testing.assert_close(conv_transpose_same(x, weight, 2, groups=4), torch.cat(parts, 1))


# Sizes: where they come from, and which are refused


@pytest.mark.parametrize(
    "size",
    [
        (5, 6),
        [5, 6],
        torch.Size([8, 16, 5, 6]),
        torch.tensor([5, 6]),
        torch.tensor([8, 16, 5, 6], dtype=torch.int32),
    ],
)
def test_size_from_anything_that_holds_it(size):
    y = conv_transpose2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 3, 3), 2, output_size=size)
    assert y.shape == (1, 1, 5, 6)


@pytest.mark.parametrize(
    ("stride", "padding", "size", "message"),
    [
        (3, "same", 97, "97 maps back to 33, the input has 25: .* give 73 to 75$"),
        (3, "valid", 78, "78 maps back to 26, the input has 25: .* give 75 to 77$"),
        (2, 1, (50, 51), "51 maps back to 26, the input has 25: .* give 49 to 50$"),
    ],
)
def test_size_that_does_not_map_back_is_refused(stride, padding, size, message):
    with pytest.raises(ValueError, match=message):
        conv_transpose2d(torch.zeros(1, 1, 25, 25), torch.zeros(1, 1, 3, 3), stride, padding, size)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": "full"}, "padding='full' must be"),
        ({"padding": -1}, "padding=-1 must be"),
        ({"stride": 0}, "stride=0 must be"),
        ({"stride": (1, 2, 3)}, r"stride=\(1, 2, 3\) must be"),
        ({"dilation": 0}, "dilation=0 must be"),
        ({"output_size": (1, 2, 3)}, r"output_size=.* must be an integer"),
        ({"output_size": torch.zeros(1, 1, 6, 6)}, r"pass its \.shape"),
    ],
)
def test_bad_arguments_are_one_line(options, message):
    with pytest.raises(ValueError, match=message) as error:
        conv_transpose2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 3, 3), **{"stride": 2, **options})
    assert "\n" not in str(error.value)


# Gradients, compilation, export


@pytest.mark.parametrize(
    ("padding", "size", "dilation"),
    [("same", None, 1), ("same", (5, 6), 1), ("valid", (7, 8), 1), (1, 6, 1), ("same", 5, 2)],
)
def test_gradcheck(padding, size, dilation):
    x = torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 1, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x, w: conv_transpose2d(x, w, 2, padding, size, dilation), (x, weight)
    )


def test_compiles_in_one_graph():
    torch.compiler.reset()
    compiled = torch.compile(conv_transpose2d, fullgraph=True, backend="aot_eager")
    x, weight = torch.randn(1, 2, 4, 4), torch.randn(2, 3, 3, 3)
    for options in ({}, {"output_size": (7, 8)}, {"padding": "valid"}, {"padding": 1}):
        torch.testing.assert_close(
            compiled(x, weight, 2, **options), conv_transpose2d(x, weight, 2, **options)
        )


@pytest.mark.parametrize(("kernel", "padding"), [(3, "same"), (4, "same"), (3, "valid"), (4, 1)])
def test_exports_with_dynamic_size(kernel, padding):
    class Layer(torch.nn.Module):
        def forward(self, x, weight):
            return conv_transpose2d(x, weight, 2, padding)

    h, w = torch.export.Dim("h", min=2, max=64), torch.export.Dim("w", min=2, max=64)
    weight = torch.randn(2, 3, kernel, kernel)
    program = torch.export.export(
        Layer(),
        (torch.randn(1, 2, 5, 6), weight),
        dynamic_shapes={"x": {2: h, 3: w}, "weight": None},
        strict=True,
    )
    x = torch.randn(1, 2, 9, 3)
    expected = conv_transpose2d(x, weight, 2, padding)
    torch.testing.assert_close(program.module()(x, weight), expected)


def test_channels_last_is_kept():
    x = torch.randn(2, 8, 5, 5).to(memory_format=torch.channels_last)
    y = conv_transpose2d(x, torch.randn(8, 8, 4, 4), 2)
    assert y.is_contiguous(memory_format=torch.channels_last)
