"""A 1×1 convolution is one by whichever kernel computes it."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

from upzoo.pointwise import Pointwise


class Dilations(TorchFunctionMode):
    """Notes the dilation of every convolution."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is F.conv2d:
            self.seen.append(kwargs["dilation"])
        return func(*args, **(kwargs or {}))


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_are_those_of_a_product(count, layout, bias, threads):
    threads(count)
    net = Pointwise(5, 3, bias=bias)
    x = torch.randn(2, 5, 4, 7).contiguous(memory_format=layout).requires_grad_()
    y = net(x)
    expected = torch.einsum("oc,bchw->bohw", net.weight[:, :, 0, 0], x)
    expected = expected + net.bias[:, None, None] if bias else expected
    torch.testing.assert_close(y, expected)
    wanted = [x, *net.parameters()]
    gradient = torch.randn_like(y)
    for a, b in zip(
        torch.autograd.grad(y, wanted, gradient),
        torch.autograd.grad(expected, wanted, gradient),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    ("count", "layout", "dilation"),
    [
        (1, torch.channels_last, 2),
        (1, torch.contiguous_format, 1),
        (2, torch.channels_last, 1),
    ],
)
def test_it_is_dilated_where_torch_would_leave_onednn(count, layout, dilation, threads):
    threads(count)
    with Dilations() as noted:
        Pointwise(5, 3)(torch.randn(2, 5, 4, 7).contiguous(memory_format=layout))
    assert noted.seen == [dilation]


def test_what_is_recorded_is_a_plain_convolution(threads):
    threads(1)
    x = torch.randn(2, 5, 4, 7).contiguous(memory_format=torch.channels_last)
    program = torch.export.export(Pointwise(5, 3), (x,))
    (call,) = [n for n in program.graph.nodes if n.target is torch.ops.aten.conv2d.default]
    assert len(call.args) < 6  # input, weight, bias; stride, padding and dilation as by default


def test_a_compiler_for_a_cpu_gets_the_dilated_one_at_any_size():
    torch.compiler.reset()
    graphs = []
    net = Pointwise(5, 3)
    compiled = torch.compile(
        net, backend=lambda graph, _: graphs.append(graph) or graph, fullgraph=True, dynamic=True
    )
    for size in ((4, 7), (6, 3)):
        x = torch.randn(2, 5, *size)
        torch.testing.assert_close(compiled(x), F.conv2d(x, net.weight, net.bias))
    (graph,) = graphs  # no question about size or layout was asked
    (call,) = [node for node in graph.graph.nodes if node.target is torch.conv2d]
    assert call.kwargs["dilation"] == 2


def test_a_plain_one_loads_its_weights():
    plain, ours = nn.Conv2d(5, 3, 1), Pointwise(5, 3)
    ours.load_state_dict(plain.state_dict())
    x = torch.randn(2, 5, 4, 7)
    torch.testing.assert_close(ours(x), plain(x))
