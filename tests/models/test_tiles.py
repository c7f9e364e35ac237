"""Tiles: the margin and the stride of nets where they are known, tiles against the whole."""

import functools

import pytest
import torch
from torch import nn

from upzoo import create
from upzoo.espcn import ESPCN
from upzoo.srresnet import SRResNet
from upzoo.tiles import Reach, assemble, fits, measure, tiles
from upzoo.upsampling import OPERATORS


def convolution(kernel, **options):
    return nn.Conv2d(2, 2, kernel, padding=options.get("dilation", 1) * (kernel // 2), **options)


@pytest.mark.parametrize(
    ("net", "margin", "stride"),
    [
        (convolution(1), 0, 1),
        (convolution(7), 3, 1),
        (nn.Sequential(convolution(5), nn.ReLU(), convolution(3)), 3, 1),
        (convolution(3, dilation=12), 12, 1),
        (convolution(3, dilation=100), 100, 1),
        # across the boundary of two cells, one output pixel looks at the cell beyond
        (nn.Sequential(nn.MaxPool2d(2), nn.Upsample(scale_factor=2, mode="bilinear")), 1, 2),
        (nn.Sequential(nn.AvgPool2d(8), nn.Upsample(scale_factor=8)), 0, 8),
        (nn.Sequential(convolution(3), nn.PixelShuffle(1)), 1, 1),
    ],
    ids=range(8),
)
def test_margin_and_stride_are_those_of_the_layers(net, margin, stride):
    torch.manual_seed(0)
    found = measure(net.eval(), 2)
    assert (found.margin, found.stride) == (margin, stride)


def test_the_bytes_are_what_one_operation_reads_and_writes():
    net = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.Conv2d(6, 1, 3, padding=1))
    # of floats; a little more for the weights
    assert measure(net, 1).bytes_per_pixel == pytest.approx((6 + 1) * 4, rel=0.01)
    net = ESPCN(OPERATORS["pixel_shuffle"], 3).eval()
    # the activation of 64 channels
    assert measure(net, 1).bytes_per_pixel == pytest.approx((64 + 64) * 4, rel=0.02)


def test_what_fits_is_told_without_measuring_how_far_the_net_looks():
    net = nn.Conv2d(1, 7, 1, bias=False)  # reads a float and writes seven for each pixel
    assert fits(net, 1, 1000, budget=33 * 1000)
    assert not fits(net, 1, 1000, budget=32 * 1000 - 1)
    assert not fits(Fixed(), 2, 32 * 32)


class Global(nn.Module):
    def forward(self, x):
        return x + x.mean((2, 3), keepdim=True)


class Fixed(nn.Module):
    def forward(self, x):
        if x.shape[2:] != (32, 32):
            raise ValueError("only 32×32")
        return x


@pytest.mark.parametrize("net", [Global(), Fixed(), nn.InstanceNorm2d(2)])
def test_nets_that_need_the_whole_are_told(net):
    assert measure(net.eval(), 2) is None
    (tile,) = tiles(3000, 4000, None)
    assert tile.rows == tile.core_rows == (0, 3000)


def test_cores_cover_every_pixel_once_and_tiles_start_at_the_stride():
    for height, width, margin, stride in ((97, 130, 5, 4), (64, 64, 0, 1), (33, 300, 20, 16)):
        parts = tiles(height, width, Reach(margin, stride, 100.0), budget=100 * 50 * 50)
        assert len(parts) > 1
        seen = torch.zeros(height, width)
        for part in parts:
            part.core(seen).add_(1)
            for (start, stop), (a, b), n in (
                (part.rows, part.core_rows, height),
                (part.columns, part.core_columns, width),
            ):
                assert start % stride == 0
                assert start == 0 or a - start >= margin
                assert stop == n or stop - b >= margin
        assert (seen == 1).all()


def difference(net, x, side):
    """Of tiles of that side in pixels and the whole, in standard deviations."""
    reach = measure(net, len(x))
    parts = tiles(*x.shape[1:], reach, int(side**2 * reach.bytes_per_pixel))
    assert len(parts) > 3
    with torch.inference_mode():
        whole = net(x[None])[0]
        made = assemble(lambda part: net(part[None])[0], x, parts)
    return ((made - whole).abs().max() / whole.std()).item()


FITTING = [n for n, o in OPERATORS.items() if not (o.needs_switches or o.needs_guide)]
#: Interpolation has the coordinates of a pixel in float32, which round by its distance from 0.
ROUNDED = {"interpolate", "bilinear_init", "bilinear_additive", "dysample"}


SLOW = pytest.param("carafe", marks=pytest.mark.slow)


@pytest.mark.parametrize(
    "operator", [SLOW if n == "carafe" else n for n in FITTING if n != "pixel_transposed"]
)
def test_a_net_that_enlarges_gives_the_same_in_tiles(operator):
    torch.manual_seed(0)
    net = ESPCN(OPERATORS[operator], 3, widths=(6, 4), skip=True).eval()
    limit = 1e-4 if operator in ROUNDED else 3e-6
    assert difference(net, torch.rand(1, 61, 45), 30) <= limit


def test_srresnet_and_odd_sizes():
    torch.manual_seed(0)
    pixel_shuffle = functools.partial(OPERATORS["pixel_shuffle"], kernel=1)
    net = SRResNet(pixel_shuffle, 4, width=4, blocks=2).eval()
    assert difference(net, torch.rand(1, 95, 70), 60) <= 3e-6


@pytest.mark.parametrize("operator", ["bilinear_init", "transposed_conv", SLOW])
def test_a_net_that_segments_gives_the_same_in_tiles(operator):
    torch.manual_seed(0)
    net = create("unet", operator, num_classes=3, width=4, depth=3).eval()
    assert difference(net, torch.rand(3, 131, 237), 110) <= 1e-4


def test_unpooling_has_its_margin():
    torch.manual_seed(0)
    net = create("unet", "max_unpool", num_classes=3, width=4, depth=2).eval()
    assert difference(net, torch.rand(3, 90, 170), 80) <= 1e-4
