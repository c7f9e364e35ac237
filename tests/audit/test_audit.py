"""Audits of nets whose checkerboards are known."""

import copy
import json
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from upzoo.audit import audit
from upzoo.audit.boundless import boundless, repeat_beyond
from upzoo.audit.layers import Watch
from upzoo.fcn import FCN
from upzoo.metrics.checkerboard import dc_ripple
from upzoo.upsampling import OPERATORS
from upzoo.upsampling.equalise import equalise_net


def dcgan(kernel=4, padding=1, output_padding=0):
    """The generator of PyTorch's example, narrow."""

    def block(i, o):
        up = nn.ConvTranspose2d(i, o, kernel, 2, padding, output_padding, bias=False)
        return [up, nn.BatchNorm2d(o), nn.ReLU(True)]

    first = [nn.ConvTranspose2d(20, 16, 4, 1, 0, bias=False), nn.BatchNorm2d(16), nn.ReLU(True)]
    last = nn.ConvTranspose2d(4, 3, kernel, 2, padding, output_padding, bias=False)
    return nn.Sequential(*first, *block(16, 8), *block(8, 4), last, nn.Tanh())


class Unet(nn.Module):
    """Two levels with a skip; enlarges by a bare function."""

    def __init__(self, mode):
        super().__init__()
        self.mode = mode
        self.down = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.deep = nn.Conv2d(8, 8, 4, stride=2, padding=1)
        self.norm = nn.InstanceNorm2d(8, affine=True)
        self.up = nn.ConvTranspose2d(8, 8, 3, 2, 1, 1)
        self.join = nn.Conv2d(16, 4, 3, padding=1)

    def forward(self, x):
        fine = self.down(x).relu()
        deep = self.norm(self.deep(fine)).relu()
        joined = self.join(torch.cat([fine, self.up(deep)], 1)).relu()
        options = {} if self.mode == "nearest" else {"align_corners": False}
        y = F.interpolate(joined, scale_factor=2.0, mode=self.mode, **options)
        return {"out": y, "aux": deep}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_layers_in_order_of_execution():
    report = audit(Unet("bilinear"), torch.randn(2, 3, 64, 64))
    found = [(layer.name, layer.kind, layer.geometry(), layer.up) for layer in report.layers]
    assert found == [
        ("down", "convolution", "3×3 s2", False),
        ("deep", "convolution", "4×4 s2", False),
        ("up", "transposed convolution", "3×3 s2", True),
        ("interpolate()", "bilinear interpolation", "×2", True),
    ]
    down, deep, up, resize = report.layers
    assert down.overlap == [[2, 1], [2, 1]]
    assert (down.unevenness, deep.unevenness, up.unevenness) == (4, 1, 4)
    assert (up.period, resize.period) == (4, 2)
    assert resize.response < 1e-6
    assert report.output_size == [2, 4, 64, 64]


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_the_guilty_layer_is_named(mode):
    net = Unet(mode)
    report = audit(net, torch.randn(2, 3, 64, 64))
    assert report.fed == "input"
    assert report.period == 4
    assert report.cause == "up"
    up = report.layers[2]
    assert up.blame == pytest.approx(1, abs=1e-5)
    assert up.ripple == dc_ripple(net.up.weight.detach(), 2)
    assert report.finding().startswith("grid at period 4: ")
    assert report.finding().endswith("made by up")
    assert report.advice[0].startswith("up (transposed convolution 3×3 s2): its stamps overlap")
    assert report.rest < 1e-4


def test_figures_of_a_layer_agree():
    net = Unet("nearest")
    nn.init.zeros_(net.up.bias)
    seen = {}
    net.up.register_forward_hook(lambda m, args, y: seen.update(mean=args[0].mean((0, 2, 3))))
    report = audit(net, torch.randn(2, 3, 64, 64))
    expected = dc_ripple(net.up.weight.detach(), 2, seen["mean"].detach())
    up = report.layers[2]
    assert up.response == pytest.approx(expected, rel=1e-4), "its mean input, measured"
    assert up.weighted == pytest.approx(up.response, rel=1e-3)
    assert up.inside == pytest.approx(up.cumulative)


@pytest.mark.parametrize("operator", ["resize_conv", "pixel_shuffle", "bilinear_init", "carafe"])
def test_flat_operators_are_cleared(operator):
    net = FCN(partial(OPERATORS[operator]), 3, width=2)
    for score in net.scores:
        nn.init.normal_(score.weight)
    report = audit(net, 1 + torch.randn(1, 3, 64, 64))
    assert report.period is None
    assert report.cause is None
    assert max(report.contrast.values()) < 1e-4
    assert report.finding().startswith("no grid")
    names = [layer.name for layer in report.layers if layer.up]
    assert names == ["upsamples.0", "upsamples.1", "upsamples.2"]


def test_operators_with_a_grid_are_not():
    net = FCN(partial(OPERATORS["transposed_conv"]), 3, width=2)
    for score in net.scores:
        nn.init.normal_(score.weight)
    report = audit(net, 1 + torch.randn(1, 3, 64, 64))
    up = report.layers[-1]
    assert (up.kind, up.geometry(), up.unevenness) == ("TransposedConv", "16×16 s8", 1)
    assert up.ripple == dc_ripple(net.upsamples[-1].weight.detach(), 8)
    assert report.period in (2, 4, 8, 16)
    assert report.cause in ("upsamples.1", "upsamples.2")


@pytest.mark.parametrize(("options", "unevenness"), [((4, 1, 0), 1), ((3, 1, 1), 4)])
def test_a_generator(options, unevenness):
    report = audit(dcgan(*options), torch.randn(4, 20, 1, 1))
    assert report.fed == "3"
    assert [layer.unevenness for layer in report.layers] == [unevenness] * 3
    assert [layer.period for layer in report.layers] == [8, 4, 2]
    assert list(report.response) == [2, 4, 8]
    assert report.cause in ("3", "6", "9")
    assert report.rest < 1e-5
    assert report.gradient == {}


def test_a_pixel_shuffle_is_seen_through_its_convolution():
    conv = nn.Conv2d(4, 12, 3, padding=1)
    report = audit(nn.Sequential(conv, nn.PixelShuffle(2)), 1 + torch.randn(1, 4, 32, 32))
    (layer,) = report.layers
    assert (layer.name, layer.kind, layer.unevenness) == ("1", "pixel shuffle", 1)
    gains = conv.weight.detach().double().sum((2, 3)).view(3, 4, 4)  # (out, φ, in)
    mean = gains.mean(1, keepdim=True)
    expected = (gains - mean).square().sum((0, 2)).mean().sqrt() / mean.norm()
    assert layer.ripple == pytest.approx(expected.item())
    assert report.cause == "1"
    assert "ICNR" in report.advice[0]


def test_unpooling_and_unknown_ways_to_enlarge():
    class Doubling(nn.Module):
        def forward(self, x):
            return x.repeat_interleave(2, -1).repeat_interleave(2, -2)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.pool = nn.MaxPool2d(2, return_indices=True)
            self.unpool = nn.MaxUnpool2d(2)
            self.twice = Doubling()

        def forward(self, x):
            y, indices = self.pool(x)
            return self.twice(self.unpool(y, indices))

    report = audit(Net(), 1 + torch.rand(1, 2, 32, 32))
    found = [(layer.name, layer.kind, layer.up) for layer in report.layers]
    assert found == [
        ("pool", "max-pooling", False),
        ("unpool", "unpooling", True),
        ("twice", "Doubling", True),
    ]
    # one value and three zeros in every cell: √3 of the mean
    assert report.layers[1].inside == pytest.approx(3**0.5, rel=1e-5)
    assert report.cause == "unpool"
    assert report.period == 4


def test_a_net_without_maps():
    net = nn.Sequential(nn.Conv2d(3, 4, 1, stride=2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    report = audit(net, torch.randn(1, 3, 64, 64))
    assert report.fed is None
    assert report.layers[0].unevenness == float("inf")
    assert report.gradient[2]["energy_ratio"] == float("inf")
    content = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert content["layers"][0]["unevenness"] is None
    assert "no end-to-end finding" in content["finding"]


def test_zero_scores_say_nothing():
    net = FCN(partial(OPERATORS["transposed_conv"]), 3, width=2)
    assert "comes out as zero" in audit(net, torch.randn(1, 3, 64, 64)).finding()


def test_the_net_is_left_as_it_was():
    net = Unet("bilinear").train()
    net.norm.eval()
    batch = nn.Sequential(net, nn.Identity())
    net.down.weight.grad = torch.ones_like(net.down.weight)
    before = copy.deepcopy(net.state_dict())
    state = torch.random.get_rng_state()
    x = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    audit(batch, x)
    assert net.training
    assert not net.norm.training
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    assert torch.equal(net.down.weight.grad, torch.ones_like(net.down.weight))
    assert net.up.weight.grad is None
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in batch.modules())
    assert torch.equal(torch.random.get_rng_state(), state)


def test_an_error_of_the_net_leaves_no_hooks():
    net = Unet("bilinear")
    with pytest.raises(RuntimeError), Watch(net):
        net(torch.randn(1, 5, 32, 32))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_a_map_without_end():
    x = torch.randn(1, 2, 6, 8)
    tiled = x.repeat(1, 1, 3, 3)
    conv, up = nn.Conv2d(2, 3, 5, padding=2), nn.ConvTranspose2d(2, 3, 5, 2, 2, 1)
    middle = (..., slice(6, 12), slice(8, 16))
    y = boundless(F.conv2d, (x, conv.weight, conv.bias, 1, 2), {})
    torch.testing.assert_close(y, conv(tiled)[middle])
    y = boundless(F.conv_transpose2d, (x, up.weight, up.bias), {
        "stride": 2, "padding": 2, "output_padding": 1})  # fmt: skip
    torch.testing.assert_close(y, up(tiled)[..., 12:24, 16:32])
    y = boundless(F.avg_pool2d, (x, 3, 1, 1), {})
    torch.testing.assert_close(y, F.avg_pool2d(tiled, 3, 1)[..., 5:11, 7:15])
    y = boundless(F.pad, (x, (1, 0, 2, 3)), {})
    torch.testing.assert_close(y, tiled[..., 4:15, 7:16])
    assert torch.equal(repeat_beyond(x, [(0, 12), (0, 16)]), tiled)


def test_bad_examples_are_refused():
    with pytest.raises(ValueError, match="example must be a tensor"):
        audit(nn.Identity(), [[1, 2]])


@pytest.mark.parametrize("options", [(4, 1, 0), (3, 1, 1)])
def test_an_equalised_generator_is_cleared(options):
    net = dcgan(*options)
    z = torch.randn(4, 20, 1, 1)
    before = audit(net, z)
    equalised, changes = equalise_net(net)
    after = audit(equalised, z)
    assert before.period is not None
    assert after.period is None
    assert max(after.contrast.values()) < 1e-5
    for layer, change in zip(before.layers, changes, strict=True):
        assert layer.name == change.name
        assert layer.ripple == pytest.approx(change.before, rel=1e-6)
    assert [layer.ripple for layer in after.layers] == pytest.approx([0] * 3, abs=1e-6)


def test_a_generator_with_sizes_built_in():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.start = nn.ConvTranspose2d(20, 8, 8)
            self.up = nn.ConvTranspose2d(8, 3, 4, 2, 1)
            self.noise = nn.Buffer(torch.zeros(3, 16, 16))

        def forward(self, z):
            return self.up(self.start(z)) + self.noise

    report = audit(Noisy(), torch.randn(4, 20, 1, 1))
    assert (report.fed, report.cause, report.period) == ("up", "up", 2)
    assert report.layers[0].inside == pytest.approx(report.layers[0].response, rel=1e-4)


@pytest.mark.parametrize("name", ["resize_conv", "smooth_transposed", "bilinear_init"])
def test_flat_operators_stay_flat_behind_each_other(name):
    """What an operator does to its own kernel, padding it for instance, is no border of a map."""
    from upzoo.dcgan import Generator
    from upzoo.upsampling import OPERATORS

    torch.manual_seed(0)
    net = Generator(OPERATORS[name], size=64, channels=3, latent=8, width=8)
    report = audit(net, torch.randn(2, 8))
    assert report.period is None, report.finding()
    assert max(report.contrast.values()) < 1e-4
