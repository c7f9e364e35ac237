"""Interpolation, bilinear-additive enlargement, and interpolation with a convolution."""

import importlib.util

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from upzoo.upsampling import BilinearAdditive, Interpolate, ResizeConv, interpolation
from upzoo.upsampling.interpolation import (
    LAID_OUT,
    group_channels,
    opaque_bilinear,
    opaque_gradient,
    resize,
)
from upzoo.upsampling.resize import folding_pays


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("operator", [Interpolate, BilinearAdditive])
def test_a_ramp_stays_a_ramp(operator, scale):
    # Pixel centres: output r lies over input (r + ½) / scale − ½.
    x = torch.arange(9.0).view(1, 1, 1, 9).expand(1, 1, 9, 9)
    expected = (torch.arange(9.0 * scale) + 0.5) / scale - 0.5
    inner = slice(scale, -scale)
    for turned in (x, x.mT):
        y = operator(1, 1, scale)(turned)[0, 0]
        y = y if turned is x else y.mT
        torch.testing.assert_close(y[inner, inner], expected[inner].expand(7 * scale, -1))


def test_nearest_repeats():
    x = torch.tensor([[[[1.0, 2.0]]]])
    assert Interpolate(1, 1, 3, mode="nearest")(x)[0, 0, 2].tolist() == [1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_aligned_corners_keep_their_values_and_steps_are_even(scale):
    x = torch.tensor([1.0, 4.0, 7.0]).expand(1, 1, 1, 3)
    y = Interpolate(1, 1, scale, align_corners=True)(x)
    torch.testing.assert_close(y[0, 0, 0], torch.linspace(1, 7, 3 * scale))


def test_nearest_has_no_corners_to_align():
    message = r"^Interpolate: align_corners=True is not defined for mode='nearest': take bilinear"
    with pytest.raises(ValueError, match=message):
        Interpolate(1, 1, mode="nearest", align_corners=True)


@pytest.mark.parametrize("channels", range(1, 12))
def test_groups_are_consecutive_complete_and_even(channels):
    x = 2.0 ** torch.arange(7, dtype=torch.float64).view(1, 7, 1, 1)  # a sum tells its terms
    groups = [int(value) for value in group_channels(x, channels).flatten()]
    if channels <= 7:
        assert sum(groups) == 2**7 - 1  # every channel once
        counts = [group.bit_count() for group in groups]
        assert max(counts) - min(counts) <= 1
        assert groups == sorted(groups)
    else:
        assert set(groups) == {2**i for i in range(7)}  # every channel, alone
        repeats = [groups.count(2**i) for i in range(7)]
        assert max(repeats) - min(repeats) <= 1
        assert groups == sorted(groups)


@pytest.mark.parametrize(("channels", "out"), [(12, 3), (7, 3), (2, 4), (3, 5), (4, 4)])
@pytest.mark.parametrize("scale", [2, 3])
def test_bilinear_additive_enlarges_then_sums(channels, out, scale):
    x = torch.randn(2, channels, 4, 5)
    large = F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
    expected = torch.zeros(2, out, 4 * scale, 5 * scale)
    if channels >= out:
        for i in range(channels):
            expected[:, i * out // channels] += large[:, i]
    else:
        for o in range(out):
            expected[:, o] = large[:, o * channels // out]
    torch.testing.assert_close(BilinearAdditive(channels, out, scale)(x), expected)


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_resize_conv_is_its_two_steps(mode, kernel):
    operator = ResizeConv(3, 4, 2, mode=mode, kernel=kernel)
    x = torch.randn(2, 3, 5, 4)
    corners = {} if mode == "nearest" else {"align_corners": False}
    large = F.interpolate(x, scale_factor=2, mode=mode, **corners)
    expected = F.conv2d(large, operator.weight, padding=kernel // 2)
    torch.testing.assert_close(operator(x), expected, rtol=1e-4, atol=1e-5)


def test_resize_conv_refuses_an_even_kernel():
    message = r"^ResizeConv: kernel=4 must be an odd integer of at least 1: .* no centre to align$"
    with pytest.raises(ValueError, match=message):
        ResizeConv(2, 2, kernel=4)


@pytest.mark.parametrize("scale", [1, 2, 3, 8])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [(1, 1), (4, 3), (1, 6)])
def test_folded_equals_two_steps_in_value_and_gradients(scale, kernel, size):
    operator = ResizeConv(3, 2, scale, kernel=kernel).double()
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    results = []
    for form in (operator.folded, operator.in_two_steps):
        operator.zero_grad()
        fresh = x.clone().requires_grad_()
        y = form(fresh)
        (y * torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
        results.append((y.detach(), fresh.grad, operator.weight.grad.clone()))
    for fast, plain in zip(*results, strict=True):
        torch.testing.assert_close(fast, plain, rtol=0, atol=1e-11)


@pytest.mark.parametrize(("size", "scale"), [(4, 2), (64, 2), (4, 32)])
def test_whichever_form_is_taken_gives_the_same(size, scale):
    operator = ResizeConv(3, 2, scale)
    x = torch.randn(1, 3, size, size)
    torch.testing.assert_close(operator(x), operator.in_two_steps(x), rtol=1e-4, atol=1e-5)


def test_small_outputs_and_large_scales_are_not_folded():
    assert not folding_pays(torch.ones(8, 1, 8, 8), 2)
    assert folding_pays(torch.ones(4, 1, 16, 16), 2)
    assert not folding_pays(torch.ones(4, 1, 16, 16), 8)
    with torch.no_grad():
        assert not folding_pays(torch.ones(4, 1, 16, 16), 2)
        assert folding_pays(torch.ones(8, 1, 16, 16), 2)


class Layouts(TorchDispatchMode):
    """Notes whether the gradients that interpolations are handed lie channels-last."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if "upsample" in str(func) and "backward" in str(func):
            self.seen.append(args[0].is_contiguous(memory_format=torch.channels_last))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize(("height", "width"), [(16, 10), (5, 4)])
def test_a_slice_of_a_gradient_reaches_the_backward_pass_in_the_layout_of_the_map(
    mode, height, width
):
    x = torch.randn(2, 16, height, width).contiguous(memory_format=torch.channels_last)
    plain = x.clone().requires_grad_()
    x.requires_grad_()
    skip = torch.randn(2, 8, 2 * height, 2 * width).contiguous(memory_format=torch.channels_last)
    weights = torch.randn(2, 24, 2 * height, 2 * width)
    with Layouts() as noted:
        y = resize(x, 2, mode)
        (torch.cat([skip, y], 1) * weights).sum().backward()
    assert noted.seen == [y.numel() >= LAID_OUT]  # on small maps it would take longer
    corners = None if mode == "nearest" else False
    y = F.interpolate(plain, scale_factor=2, mode=mode, align_corners=corners)
    (torch.cat([skip, y], 1) * weights).sum().backward()
    torch.testing.assert_close(x.grad, plain.grad)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("align_corners", [True, False])
def test_what_a_compiler_does_not_look_into_is_interpolation(layout, align_corners):
    x = torch.randn(2, 3, 5, 4, dtype=torch.double).contiguous(memory_format=layout)
    x.requires_grad_()
    y = opaque_bilinear(x, [9, 11], align_corners)
    expected = F.interpolate(x, [9, 11], mode="bilinear", align_corners=align_corners)
    assert torch.equal(y, expected)
    assert y.stride() == expected.stride()
    gradient = torch.randn_like(y)
    ours, truth = (torch.autograd.grad(each, x, gradient)[0] for each in (y, expected))
    torch.testing.assert_close(ours, truth)
    pixel = torch.randn(2, 3, 1, 1).contiguous(memory_format=layout)  # of either format
    for operator, given in (
        (opaque_bilinear, (x, [9, 11], align_corners)),
        (opaque_bilinear, (pixel, [2, 2], align_corners)),
        (opaque_gradient, (torch.randn(2, 3, 1, 1), [2, 2], align_corners)),
    ):
        torch.library.opcheck(operator, given)


def test_loaded_a_second_time_what_a_compiler_does_not_look_into_stays_registered():
    # What a notebook's reload and pytest's doctests do: a second registration frees the first.
    spec = importlib.util.spec_from_file_location("again", interpolation.__file__)
    again = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(again)
    assert again.opaque_bilinear is interpolation.opaque_bilinear
    assert torch.ops.upzoo.bilinear.default is interpolation.opaque_bilinear
    assert torch.ops.upzoo.bilinear_backward.default is interpolation.opaque_gradient


def test_compiled_for_a_cpu_interpolation_stays_one_call():
    torch.compiler.reset()
    graphs = []
    compiled = torch.compile(
        lambda x: resize(x, 3, "bilinear"),
        backend=lambda graph, _: graphs.append(graph) or graph,
        fullgraph=True,
        dynamic=True,
    )
    for size in ((4, 7), (6, 3)):
        x = torch.randn(2, 5, *size)
        torch.testing.assert_close(compiled(x), resize(x, 3, "bilinear"))
    (graph,) = graphs
    assert "upzoo.bilinear.default" in [str(node.target) for node in graph.graph.nodes]
