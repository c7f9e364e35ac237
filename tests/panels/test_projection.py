"""Projections of features against autograd, and the panel that shows them."""

import pytest
import torch
from torch import nn

from panels.projection import (
    GAP,
    HEAD,
    MARGIN,
    page,
    project,
    projection_panel,
    receptive_field,
    strongest_activations,
    transpose,
)
from upzoo.deconvnet import DeconvNet
from upzoo.segnet import SegNetBasic
from upzoo.upsampling import OPERATORS


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def build(cls=DeconvNet, operator="max_unpool", **options):
    options = {"num_classes": 3, "width": 4} | options
    if cls is DeconvNet:
        options = {"multipliers": (1, 2, 3), "convs": (2, 1, 2)} | options
    net = cls(OPERATORS[operator], **options).double().eval()
    for norm in (m for m in net.modules() if isinstance(m, nn.BatchNorm2d)):
        # statistics as after a training, so that a scale or shift left out would show
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.3)
        norm.running_mean.normal_(std=0.3)
        norm.running_var.uniform_(0.5, 2)
    return net


class RectifyBackwards(torch.autograd.Function):
    """ReLU whose backward rectifies the gradient, and does not gate it by the forward."""

    @staticmethod
    def forward(ctx, x):
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, gradient):
        return gradient.clamp(min=0)


def reference(net, images, stage, channel):
    """The gradient of the strongest activation, times it: max-pooling's own carries the switches.

    Args:
        net: its ReLUs become `RectifyBackwards` here.
    """
    x = net.prepare(images).clone().requires_grad_()
    y = x
    for depth, encoder in enumerate(net.encoders[:stage]):
        if depth:
            y = nn.functional.max_pool2d(y, 2, ceil_mode=True)
        for layer in encoder:
            y = RectifyBackwards.apply(y) if isinstance(layer, nn.ReLU) else layer(y)
    strongest = y[:, channel].flatten(1).amax(1)
    strongest.sum().backward()
    return strongest.detach().view(-1, 1, 1, 1) * x.grad, strongest.detach()


def test_without_relu_and_pooling_it_is_the_gradient_times_the_activation():
    net = build()
    linear = [layer for layer in net.encoders[0] if not isinstance(layer, nn.ReLU)]
    net.encoders[0] = nn.Sequential(*linear)
    images = torch.randn(3, 3, 9, 8, dtype=torch.float64, requires_grad=True)
    found, strongest, positions = project(net, images, 1, 2)
    feature = net.encoders[0](images)[:, 2]
    for i, (row, column) in enumerate(positions.tolist()):
        assert feature[i, row, column] == feature[i].max() == strongest[i]
        (gradient,) = torch.autograd.grad(feature[i, row, column], images, retain_graph=True)
        torch.testing.assert_close(found[i], (strongest[i] * gradient[i]).detach())
    assert found.abs().amax() > 0


@pytest.mark.parametrize("stage", [1, 2, 3])
@pytest.mark.parametrize(
    ("cls", "size"), [(DeconvNet, (13, 10)), (DeconvNet, (8, 8)), (SegNetBasic, (11, 9))]
)
def test_it_is_the_gradient_rectified_on_its_way_and_led_by_the_switches(cls, size, stage):
    net = build(cls)
    images = torch.randn(4, 3, *size, dtype=torch.float64)
    reached = 0
    for channel in range(4):
        found, strongest, _ = project(net, images, stage, channel)
        expected, activations = reference(net, images, stage, channel)
        torch.testing.assert_close(strongest, activations)
        torch.testing.assert_close(found, expected)
        reached += found.count_nonzero()
    assert reached > 100


def test_switches_are_followed_whatever_the_operator():
    images = torch.randn(2, 3, 9, 9, dtype=torch.float64)
    nets = [build(operator=name) for name in ("max_unpool", "interpolate")]
    nets[1].load_state_dict(nets[0].state_dict())
    first, second = (project(net, images, 3, 1)[0] for net in nets)
    torch.testing.assert_close(first, second)


def test_strongest_activations_are_those_that_are_projected():
    net, images = build(), torch.randn(3, 3, 9, 9, dtype=torch.float64)
    found = strongest_activations(net, images, 2)
    assert found.shape == (3, 8)
    for channel in (0, 7):
        torch.testing.assert_close(found[:, channel], project(net, images, 2, channel)[1])


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_receptive_field_is_where_gradients_reach(stage):
    net = build(convs=(2, 1, 1))
    for conv in (m for m in net.modules() if isinstance(m, nn.Conv2d)):
        nn.init.ones_(conv.weight)
    x = torch.rand(40, 3, 64, 64, dtype=torch.float64, requires_grad=True)
    feature, row, column = x, 5, 6
    for depth, encoder in enumerate(net.encoders[:stage]):
        feature = nn.functional.max_pool2d(feature, 2) if depth else feature
        for layer in encoder:
            feature = layer(feature) if isinstance(layer, nn.Conv2d) else feature
    feature[:, 0, row, column].sum().backward()
    reached = x.grad.abs().sum((0, 1))
    size, step, before = receptive_field(net, stage)
    for sums, position in ((reached.sum(1), row), (reached.sum(0), column)):
        pixels = sums.nonzero().flatten()
        first = position * step - before
        assert [pixels[0].item(), pixels[-1].item()] == [max(0, first), first + size - 1]


def test_receptive_field_of_segnet_basic_is_the_papers():
    # "a context window of 106×106 pixels": of layer 4, after its pooling
    size, step, _ = receptive_field(build(SegNetBasic), 4)
    assert size + step == 106


def test_page_places_every_picture():
    left = torch.rand(2, 3, 3, 120, 100)
    right = torch.rand(2, 1, 1, 120, 100)
    found = page((left, right), ("left", "right"), ("a", "b"))
    assert found.dtype is torch.uint8
    for row in range(2):
        for column in range(4):
            picture = left[row, column] if column < 3 else right[row, 0].expand(3, -1, -1)
            top = HEAD + row * (120 + GAP)
            start = MARGIN + column * (100 + GAP) + 2 * GAP * (column == 3)
            tile = found[:, top : top + 120, start : start + 100]
            assert torch.equal(tile, (255 * picture).round().byte())


def test_panel_shows_the_image_that_excites_a_channel_most():
    net = build(width=2, multipliers=(1,), convs=(1,), kernel=1)
    net.encoders[0] = nn.Sequential(nn.Conv2d(3, 2, 1, bias=False).double(), nn.ReLU())
    with torch.no_grad():
        # channel 0 likes red, channel 1 green
        net.encoders[0][0].weight.copy_(torch.eye(3)[:2, :, None, None])
    net.widths = (2,)
    images = torch.full((3, 3, 5, 6), 0.1, dtype=torch.float64)
    images[1, 0, 2, 3] = 0.8
    images[2, 1, 4, 0] = 0.6
    panel = projection_panel(net, images, 1, [0, 1], (0, 0, 0), (1, 1, 1), count=1)
    rows = [HEAD + row * (112 + GAP) + 50 for row in range(2)]
    columns = [MARGIN + 50, MARGIN + 112 + 3 * GAP + 50]
    colours = [panel[:, row, column].tolist() for row in rows for column in columns]
    # grey is zero; each projection is the one colour that its channel sees; the crop is one pixel
    assert colours == [[255, 128, 128], [204, 26, 26], [128, 255, 128], [26, 153, 26]]


def test_panel_of_a_net_with_crops_at_the_edges():
    net = build().float()
    images = torch.randn(5, 3, 20, 12)
    panel = projection_panel(net, images, 3, [0, 5], count=2)
    # a unit of stage 3 sees more than the image has: whole images, enlarged six times
    assert panel.shape == (3, HEAD + 2 * (120 + GAP), MARGIN + 4 * (72 + GAP) + 2 * GAP)
    assert torch.equal(panel, projection_panel(net, images, 3, [0, 5], count=2))
    grey = projection_panel(build(in_channels=1).float(), images[:, :1], 1, [0], (0.5,), (0.2,))
    assert torch.equal(grey[0, HEAD:, MARGIN:], grey[2, HEAD:, MARGIN:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stage": 4}, "stage=4 must be one of the net's, 1 to 3"),
        ({"stage": 0}, "stage=0 must be one of the net's, 1 to 3"),
        ({"channels": [12]}, "channel=12 must be one of stage 3's, 0 to 11"),
        ({"channels": []}, "0 channels, expected"),
        ({"images": torch.zeros(1, 2, 8, 8)}, r"images are \(1, 2, 8, 8\)"),
    ],
)
def test_refusals(change, message):
    options = {"images": torch.zeros(1, 3, 8, 8), "stage": 3, "channels": [0]} | change
    with pytest.raises(ValueError, match=message):
        projection_panel(build().float(), **options)


def test_a_net_in_training_and_unknown_layers_are_refused():
    with pytest.raises(ValueError, match=r"training mode.*net\.eval"):
        project(build().train(), torch.zeros(1, 3, 8, 8), 1, 0)
    with pytest.raises(ValueError, match="Dropout: no transpose"):
        transpose(nn.Sequential(nn.Dropout()), torch.zeros(1, 1, 2, 2))
