"""Max-unpooling against PyTorch's own and against what pooling means."""

import pytest
import torch
import torch.nn.functional as F

from upzoo.upsampling import MaxUnpool


def pool(x, scale):
    return F.max_pool2d(x, scale, scale, ceil_mode=True, return_indices=True)


@pytest.mark.parametrize("scale", [1, 2, 3, 5])
@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (6, 8), (9, 10), (1, 11)])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_equals_torch(scale, shape, memory_format):
    image = torch.randn(2, 3, *shape).to(memory_format=memory_format)
    maxima, switches = pool(image, scale)
    found = MaxUnpool(3, 3, scale)(maxima, shape, switches)
    expected = F.max_unpool2d(maxima, switches, scale, scale, output_size=shape)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_worked_example():
    image = torch.tensor([[[[1.0, 2, 0], [4, 3, 5], [6, 7, 8]]]])  # 3×3: width 3, not 4
    maxima, switches = pool(image, 2)
    assert switches.flatten().tolist() == [3, 5, 7, 8]
    found = MaxUnpool(1, 1)(maxima, (3, 3), switches)
    assert found[0, 0].tolist() == [[0, 0, 0], [4, 0, 5], [0, 7, 8]]


@pytest.mark.parametrize("shape", [(7, 5), (8, 6)])
def test_pooling_what_was_unpooled_gives_the_maxima_and_switches_back(shape):
    image = torch.rand(2, 3, *shape) + 1  # above the zeros around it
    maxima, switches = pool(image, 2)
    again, places = pool(MaxUnpool(3, 3)(maxima, shape, switches), 2)
    torch.testing.assert_close(again, maxima, rtol=0, atol=0)
    assert torch.equal(places, switches)


def test_gradient_is_what_lies_at_the_switches():
    maxima, switches = pool(torch.randn(1, 2, 5, 4), 2)
    x = torch.randn_like(maxima).requires_grad_()
    weight = torch.randn(1, 2, 5, 4)
    (MaxUnpool(2, 2)(x, (5, 4), switches) * weight).sum().backward()
    expected = weight.flatten(2).gather(2, switches.flatten(2)).view_as(x)
    torch.testing.assert_close(x.grad, expected, rtol=0, atol=0)


def test_projects_before_it_unpools():
    operator = MaxUnpool(5, 3)
    _, switches = pool(torch.randn(1, 3, 4, 6), 2)
    x = torch.randn(1, 5, 2, 3)
    projected = torch.einsum("oi,bihw->bohw", operator.project.weight[..., 0, 0], x)
    again, _ = pool(operator(x, None, switches).abs(), 2)
    torch.testing.assert_close(again, projected.abs())
    assert (operator(x, None, switches) != 0).sum() == 3 * 2 * 3


def test_refuses_switches_of_another_shape():
    _, switches = pool(torch.randn(1, 4, 4, 6), 2)
    message = (
        r"^MaxUnpool: switches of \(1, 4, 2, 3\) do not fit the projected input of "
        r"\(1, 3, 2, 3\): out_channels must be the channels of the pooled map$"
    )
    with pytest.raises(ValueError, match=message):
        MaxUnpool(5, 3)(torch.randn(1, 5, 2, 3), None, switches)
