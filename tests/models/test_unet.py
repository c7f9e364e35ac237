"""U-Net: the paper's arithmetic, switches and guides that are the right ones, its refusals."""

import functools

import pytest
import torch
import torch.nn.functional as F

from benchmarks.plain_unet import PlainUNet
from upzoo.backbones import Plain
from upzoo.unet import UNet
from upzoo.upsampling import OPERATORS

INTERPOLATE = OPERATORS["interpolate"]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def ours(widths, classes):
    transposed = functools.partial(OPERATORS["transposed_conv"], kernel=2)
    return UNet(transposed, classes, widths=widths)


def test_it_is_the_common_port():
    widths = [4, 8, 16, 32]
    net, plain = ours(widths, 5), PlainUNet(widths, 5)
    assert [p.shape for p in plain.down.parameters()] == [
        p.shape for p in net.backbone.parameters()
    ]
    groups = [
        (net.backbone, plain.down),
        (net.upsamples, plain.ups),
        (net.blocks, plain.mix),
        (net.head, plain.head),
    ]
    for a, b in groups:
        b.load_state_dict(dict(zip(b.state_dict(), a.state_dict().values(), strict=True)))
    x = torch.randn(2, 3, 32, 48)
    torch.testing.assert_close(net(x), plain(x), rtol=1e-4, atol=1e-5)


def test_the_31_million_parameters():
    with torch.device("meta"):
        net = ours([64, 128, 256, 512, 1024], 2)
        plain = PlainUNet([64, 128, 256, 512, 1024], 2)
    count = sum(p.numel() for p in net.parameters())
    assert count == sum(p.numel() for p in plain.parameters()) == 31_036_738


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (17, 33), (16, 32)])
def test_switches_are_those_of_the_skip(size):
    """What is unpooled lies where the skip has its maxima, in the same channel."""
    net = UNet(OPERATORS["max_unpool"], 2, widths=[2, 3, 4]).eval()
    features, switches = net.backbone.with_switches(torch.randn(1, 3, *size))
    plain = net.backbone(torch.zeros(1, 3, *size))
    assert set(plain) == {1, 2, 4}
    assert set(switches) == {1, 2}
    for stride, up in zip((2, 1), net.upsamples, strict=True):
        skip = features[stride]
        below = torch.rand(1, net.backbone.channels[2 * stride], *features[2 * stride].shape[-2:])
        y = up(below, size=skip.shape[-2:], switches=switches[stride])
        pooled = F.max_pool2d(skip, 2, ceil_mode=True)
        nearest = F.interpolate(pooled, scale_factor=2, mode="nearest")
        maxima = skip == nearest[..., : skip.shape[-2], : skip.shape[-1]]
        assert (y[~maxima] == 0).all()


def test_features_with_switches_are_the_features():
    backbone = Plain(3, width=2, depth=4).eval()
    x = torch.randn(2, 3, 13, 21)
    with_switches, _ = backbone.with_switches(x)
    for stride, feature in backbone(x).items():
        torch.testing.assert_close(feature, with_switches[stride], rtol=0, atol=0)


class Guided(OPERATORS["interpolate"]):
    """Keeps the guides that it is shown."""

    needs_guide = True
    seen: list = []  # noqa: RUF012

    def __init__(self, *args, guide_channels):
        super().__init__(*args)
        self.guide_channels = guide_channels

    def forward(self, x, size=None, switches=None, guide=None):
        self.seen.append((self.guide_channels, guide))
        return super().forward(x, size, guide=guide)


@pytest.mark.parametrize("backbone", ["plain", "compact"])
def test_guides_are_the_skips_and_last_the_image(backbone):
    net = UNet(Guided, 2, backbone=backbone, width=2).eval()
    x = torch.randn(1, 3, 33, 50)
    Guided.seen.clear()
    net(x)
    features = net.backbone(x)
    expected = [features.get(stride, x) for stride in net.strides]
    for (channels, guide), skip in zip(Guided.seen, expected, strict=True):
        assert channels == skip.shape[1]
        torch.testing.assert_close(guide, skip, rtol=0, atol=0)


def test_decoder_widths_keep_and_bias():
    net = UNet(
        INTERPOLATE, 2, widths=[4, 8, 16], decoder_widths=[[3], [6, 5]], keep=True, bias=True
    )
    assert [(u.in_channels, u.out_channels) for u in net.upsamples] == [(16, 16), (5, 5)]
    assert [b.shape[0] for b in net.biases] == [16, 5]
    convs = [[c[0].out_channels for c in block] for block in net.blocks]
    assert convs == [[6, 5], [3]]
    assert net.head.in_channels == 3
    with torch.no_grad():
        x = torch.randn(1, 3, 8, 8)
        before = net.eval()(x)
        net.biases[1].fill_(1.0)
        assert not torch.allclose(before, net(x))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 0}, "num_classes=0 must be an integer of at least 1"),
        ({"backbone": "plane"}, "backbone='plane' is unknown: did you mean 'plain'"),
        (
            {"backbone": "compact", "depth": 3},
            "depth is an option of backbone 'plain' and 'timm/<name>', not of",
        ),
        (
            {"backbone": "compact", "widths": [8, 8]},
            "widths is an option of backbone 'plain', not of",
        ),
        ({"depth": 1}, r"widths=\[16\] must be two or more integers"),
        ({"widths": [4, 0]}, r"widths=\[4, 0\] must be"),
        ({"weights": "IMAGENET1K_V1"}, "backbone 'plain' has none, it trains from scratch"),
        ({"decoder_widths": [[4]]}, "decoder_widths has 1 steps, the decoder 4: one for each"),
        (
            {"upsample": OPERATORS["max_unpool"], "backbone": "compact"},
            "backbone='compact' keeps no switches of its pooling, which MaxUnpool needs",
        ),
    ],
)
def test_refusals_are_one_line_and_say_what_works(options, message):
    arguments = {"upsample": INTERPOLATE, "num_classes": 5} | options
    with pytest.raises(ValueError, match=message) as error:
        UNet(**arguments)
    assert "\n" not in str(error.value)
