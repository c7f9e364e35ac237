# ruff: noqa: E501
"""Small re-statements of the layer patterns of published nets, each with what is true of it.

Weights are drawn and then scaled by channel, as training leaves them: with weights as they were
drawn no verdict would be given. "grid" and "none" are facts of the construction: which phases have
equal gains. SegNet's switches prefer some places of a window, by the signs of its first convolution:
the mean of its outputs over many inputs has a grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from upzoo.upsampling import OPERATORS

W = 6  # channels


def seq(*layers):
    return nn.Sequential(*layers)


def conv(i, o=W, k=3, s=1, dims=2, **options):
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1]
    return kind(i, o, k, s, k // 2, **options)


def up(i, o=W, k=4, s=2, dims=2):
    kind = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[dims - 1]
    pad = max(k - s + 1, 0) // 2
    return kind(i, o, k, s, pad, output_padding=max(2 * pad - (k - s), 0))


def resize(mode, scale=2):
    options = {} if mode == "nearest" else {"align_corners": False}
    return nn.Upsample(scale_factor=scale, mode=mode, **options)


class Call(nn.Module):
    """A function of maps in a module's place."""

    def __init__(self, function, *modules):
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(modules)

    def forward(self, x):
        return self.function(x, *self.parts)


def residual(i=W, norm=nn.BatchNorm2d):
    return Call(lambda x, body: x + body(x), seq(conv(i), norm(i), nn.ReLU(), conv(i)))


def unet(enlarge, dims=2, skips=True):
    """Two levels; `enlarge(in, out)` makes the step up."""

    def forward(x, a, b, c, up1, d, up2, e, head):
        fine = a(x).relu()
        mid = b(fine).relu()
        y = up1(c(mid).relu())
        y = d(torch.cat((y, mid), 1) if skips else y).relu()
        y = up2(y)
        return head(e(torch.cat((y, fine), 1) if skips else y).relu())

    width = 2 * W if skips else W
    parts = [
        *(conv(3, dims=dims), conv(W, s=2, dims=dims), conv(W, s=2, dims=dims), enlarge(W, W)),
        *(conv(width, dims=dims), enlarge(W, W), conv(width, dims=dims), conv(W, 2, 1, dims=dims)),
    ]
    return Call(forward, *parts)


def resized(mode, dims=2):
    return lambda i, o: seq(resize(mode), conv(i, o, dims=dims))


def generator(*steps):
    """From a code to 8×8, then the steps."""
    return seq(
        nn.Linear(8, W * 64),
        nn.Unflatten(1, (W, 8, 8)),
        nn.BatchNorm2d(W),
        nn.ReLU(),
        *steps,
        nn.Tanh(),
    )


def shuffled(scale=2, out=W):
    return seq(conv(W, out * scale**2), nn.PixelShuffle(scale))


def upfirdn(taps, shift=1):
    """StyleGAN's enlargement: zeros between the pixels by an inserted axis, then a filter."""
    line = torch.tensor(taps) / sum(taps) * 2
    fir = line[:, None] * line

    def enlarge(x):
        b, c, h, w = x.shape
        y = F.pad(x.reshape(b, c, h, 1, w, 1), [0, 1, 0, 0, 0, 1]).reshape(b, c, 2 * h, 2 * w)
        before = len(taps) // 2
        y = F.pad(y, [before, len(taps) - 1 - before] * 2)
        return F.conv2d(y, fir.expand(c, 1, -1, -1), groups=c)

    return enlarge


class Modulated(nn.Module):
    """StyleGAN2's synthesis block: a modulated convolution that folds the batch into channels."""

    def __init__(self, taps):
        super().__init__()
        self.style = nn.Linear(8, W)
        self.const = nn.Parameter(torch.randn(1, W, 8, 8))
        self.weight = nn.Parameter(
            torch.randn(W, W, 3, 3) * torch.linspace(0.2, 3, W).view(-1, 1, 1, 1)
        )
        self.noise = nn.Parameter(torch.tensor(0.02))
        self.rgb = nn.Conv2d(W, 3, 1)
        self.enlarge = upfirdn(taps)

    def forward(self, z):
        x = self.const.expand(len(z), -1, -1, -1)
        for _ in range(3):
            x = self.enlarge(x)
            b, c, h, w = x.shape
            weight = self.weight * (self.style(z) + 1).view(b, 1, c, 1, 1)
            weight = weight * weight.square().sum((2, 3, 4), keepdim=True).rsqrt()
            x = F.conv2d(x.reshape(1, b * c, h, w), weight.flatten(0, 1), padding=1, groups=b)
            x = F.leaky_relu(x.view(b, c, h, w) + self.noise * torch.randn(b, 1, h, w), 0.2)
        return self.rgb(x)


class Patches(nn.Module):
    """A masked auto-encoder's decoder: tokens with positions, and back to pixels."""

    def __init__(self, patch=4, flat=False):
        super().__init__()
        self.patch, n = patch, 64 // patch
        self.embed = nn.Conv2d(3, 24, patch, patch)
        self.place = nn.Parameter(0.1 * torch.randn(1, n * n, 24))
        self.block = nn.TransformerEncoderLayer(24, 2, 48, 0.0, batch_first=True)
        self.norm = nn.LayerNorm(24)
        self.head = nn.Linear(24, 3 * patch**2)
        self.flat = flat

    def forward(self, x):
        n, p = x.shape[-1] // self.patch, self.patch
        tokens = self.embed(x).flatten(2).transpose(1, 2) + self.place
        y = self.head(self.norm(self.block(tokens)))  # (B, N, p²·3)
        if self.flat:
            y = y.view(len(y), n * n, p * p, 3).mean(2, keepdim=True).expand(-1, -1, p * p, -1)
        y = y.reshape(len(y), n, n, p, p, 3)
        return torch.einsum("nhwpqc->nchpwq", y).reshape(len(y), 3, n * p, n * p)


def segformer():
    def forward(x, a, b, c, fuse):
        one = a(x).relu()
        two = b(one).relu()
        three = c(two).relu()
        size = one.shape[2:]
        maps = [F.interpolate(m, size, mode="bilinear", align_corners=False) for m in (two, three)]
        y = fuse(torch.cat((one, *maps), 1))
        return F.interpolate(y, x.shape[2:], mode="bilinear", align_corners=False)

    return Call(forward, conv(3, k=7, s=4), conv(W, s=2), conv(W, s=2), conv(3 * W, 4, 1))


def pyramid(mode):
    def forward(x, a, b, lateral, head):
        fine = a(x).relu()
        options = {} if mode == "nearest" else {"align_corners": False}
        deep = F.interpolate(b(fine).relu(), scale_factor=2, mode=mode, **options)
        return head(lateral(fine) + deep)

    return Call(forward, conv(3), conv(W, s=2), conv(W, k=1), conv(W, 3))


def vocoder(steps):
    return seq(conv(16, k=7, dims=1), *steps, nn.LeakyReLU(0.1), conv(W, 1, 7, dims=1), nn.Tanh())


def depth():
    """DPT: tokens put together again at two scales by transposed convolutions without overlap."""

    def forward(x, embed, four, two, join, head):
        tokens = embed(x)
        fine = join(four(tokens))
        deep = F.interpolate(two(tokens), scale_factor=2, mode="bilinear", align_corners=False)
        return F.interpolate(
            head(fine + deep), scale_factor=2, mode="bilinear", align_corners=False
        )

    parts = nn.Conv2d(3, W, 8, 8), up(W, k=4, s=4), up(W, k=2, s=2), conv(W), conv(W, 1)
    return Call(forward, *parts)


def segnet():
    def forward(x, stem, head):
        y, places = F.max_pool2d(stem(x), 2, return_indices=True)
        return head(F.max_unpool2d(y, places, 2))

    return Call(forward, conv(3), seq(conv(W, k=5), nn.ReLU(), conv(W, 2)))


def bilinear_start(scale, kernel):
    """FCN: a fixed kernel of the bilinear filter, each class by itself."""
    layer = nn.ConvTranspose2d(W, W, kernel, scale, (kernel - scale) // 2, groups=W, bias=False)
    half = math.ceil(kernel / 2)
    centre = half - 1 if kernel % 2 else half - 0.5
    line = 1 - (torch.arange(kernel) - centre).abs() / half
    kept = (line[:, None] * line).expand_as(layer.weight).clone()
    layer.weight.requires_grad_(False)
    layer.register_buffer("kept", kept)
    layer.weight = nn.Parameter(kept.clone(), requires_grad=False)
    return layer


def operator(name, **options):
    return seq(conv(3), partial(OPERATORS[name], **options)(W, W, 2), conv(W, 3))


def film():
    """(B, T, C, H, W): each frame by itself."""

    def forward(x, body):
        b, t = x.shape[:2]
        return body(x.flatten(0, 1)).unflatten(0, (b, t))

    return Call(forward, seq(conv(3), up(W, 3, k=3)))


def images_last():
    """(B, H, W, C) at both ends, as in a net that came from JAX."""
    return Call(
        lambda x, body: body(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1), seq(conv(3), up(W, 3, 3))
    )


class Case(NamedTuple):
    """A net, the shape of its input, the truth, and the periods of its grid."""

    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    truth: str
    periods: tuple[int, ...] = ()


PICTURE, CODE = (1, 3, 64, 64), (2, 8)
LINE, VOLUME = (1, 16, 64), (1, 3, 24, 24, 24)
CASES = {
    # generators
    "dcgan": Case(lambda: generator(up(W), nn.ReLU(), up(W, 3)), CODE, "grid", (2, 4)),
    "dcgan-3": Case(lambda: generator(up(W, k=3), nn.ReLU(), up(W, 3, 3)), CODE, "grid", (2, 4)),
    "wgan-5": Case(lambda: generator(up(W, k=5), nn.ReLU(), up(W, 3, 5)), CODE, "grid", (2, 4)),
    "sngan": Case(lambda: generator(resize("nearest"), residual(), conv(W, 3)), CODE, "none"),
    "biggan": Case(lambda: generator(resize("nearest", 4), conv(W, 3)), CODE, "none"),
    "stylegan2": Case(lambda: Modulated([1.0, 3.0, 3.0, 1.0]), CODE, "none"),
    "stylegan2-box": Case(lambda: Modulated([1.0, 1.0]), CODE, "none"),
    "stylegan2-wrong-filter": Case(lambda: Modulated([1.0, 3.0, 1.0]), CODE, "grid", (2, 4, 8)),
    "spade": Case(lambda: generator(resize("nearest"), conv(W, 3)), CODE, "none"),
    "pix2pix": Case(lambda: unet(lambda i, o: up(i, o, 4)), PICTURE, "grid", (2, 4)),
    "cyclegan": Case(
        lambda: seq(conv(3, k=7), conv(W, s=2), residual(norm=nn.InstanceNorm2d), up(W, k=3), nn.ReLU(), conv(W, 3, 7), nn.Tanh()),
        PICTURE, "grid", (2,),
    ),
    "cyclegan-resize": Case(
        lambda: seq(conv(3, s=2), residual(norm=nn.InstanceNorm2d), resize("nearest"), conv(W, 3)),
        PICTURE, "none",
    ),
    "munit": Case(lambda: seq(conv(3, s=2), residual(), resize("nearest"), conv(W, 3, 5)), PICTURE, "none"),
    # super-resolution
    "espcn": Case(lambda: seq(conv(3, k=5), nn.Tanh(), conv(W, 27), nn.PixelShuffle(3)), PICTURE, "grid", (3,)),
    "srgan": Case(lambda: seq(conv(3), residual(), shuffled(), nn.PReLU(), shuffled(), conv(W, 3)), PICTURE, "grid", (2, 4)),
    "edsr": Case(lambda: seq(conv(3), shuffled(2), conv(W, 3)), PICTURE, "grid", (2,)),
    "swinir-light": Case(lambda: seq(conv(3), shuffled(4, 3)), PICTURE, "grid", (2, 4)),
    "fsrcnn": Case(lambda: seq(conv(3, k=5), nn.PReLU(), up(W, 1, 9, 3)), PICTURE, "grid", (3,)),
    "lapsrn": Case(lambda: Call(lambda x, a, b: a(x) + b(x), seq(conv(3), up(W, 3)), up(3, 3)), PICTURE, "grid", (2,)),
    "esrgan": Case(lambda: seq(conv(3), residual(), resize("nearest"), conv(W), resize("nearest"), conv(W, 3)), PICTURE, "none"),
    "real-esrgan": Case(lambda: seq(nn.PixelUnshuffle(2), conv(12), resize("nearest"), conv(W), resize("nearest"), conv(W, 3)), PICTURE, "none"),
    "vdsr": Case(lambda: Call(lambda x, body: x + body(x), seq(resize("bicubic"), conv(3), nn.ReLU(), conv(W, 3), nn.AvgPool2d(2))), PICTURE, "none"),
    # segmentation, depth, pyramids
    "unet": Case(lambda: unet(lambda i, o: up(i, o, 2)), PICTURE, "grid", (2, 4)),
    "unet-bilinear": Case(lambda: unet(resized("bilinear")), PICTURE, "none"),
    "unet-nearest": Case(lambda: unet(resized("nearest")), PICTURE, "none"),
    "linknet": Case(lambda: unet(lambda i, o: up(i, o, 3), skips=False), PICTURE, "grid", (2, 4)),
    "fcn-bilinear": Case(lambda: seq(conv(3, s=4, k=5), bilinear_start(4, 8)), PICTURE, "none"),
    "fcn-odd-kernel": Case(lambda: seq(conv(3, s=4, k=5), bilinear_start(4, 7)), PICTURE, "none"),
    "fcn-wrong-kernel": Case(lambda: seq(conv(3, s=4, k=5), bilinear_start(4, 6)), PICTURE, "grid", (4,)),
    "segformer": Case(segformer, PICTURE, "none"),
    "fpn-nearest": Case(lambda: pyramid("nearest"), PICTURE, "none"),
    "fpn-bilinear": Case(lambda: pyramid("bilinear"), PICTURE, "none"),
    "segnet": Case(segnet, (1, 3, 128, 128), "grid", (2,)),
    "dpt": Case(depth, (1, 3, 128, 128), "grid", (4, 8)),
    "mae": Case(lambda: Patches(4), PICTURE, "grid", (2, 4)),
    "mae-flat-patches": Case(lambda: Patches(4, flat=True), PICTURE, "none"),
    "mae-8": Case(lambda: Patches(8), PICTURE, "grid", (2, 4, 8)),
    # auto-encoders
    "vae-deconv": Case(lambda: seq(conv(3, s=2), conv(W, s=2), up(W), nn.ReLU(), up(W, 3)), PICTURE, "grid", (2, 4)),
    "ldm-decoder": Case(lambda: seq(conv(3, s=2), residual(norm=partial(nn.GroupNorm, 2)), resize("nearest"), conv(W, 3)), PICTURE, "none"),
    # lines, volumes, films
    "hifi-gan": Case(lambda: vocoder([nn.LeakyReLU(0.1), up(W, k=8, s=4, dims=1), nn.LeakyReLU(0.1), up(W, k=4, dims=1)]), LINE, "grid", (2, 4, 8)),
    "wavegan": Case(lambda: vocoder([up(W, k=25, s=4, dims=1)]), LINE, "grid", (2, 4)),
    "vocoder-nearest": Case(lambda: vocoder([nn.Upsample(scale_factor=4), conv(W, k=9, dims=1)]), LINE, "none"),
    "unet-3d": Case(lambda: unet(lambda i, o: up(i, o, 2, dims=3), dims=3), VOLUME, "grid", (2, 4)),
    "unet-3d-trilinear": Case(lambda: unet(resized("trilinear", 3), dims=3), VOLUME, "none"),
    "film": Case(film, (1, 3, 3, 48, 48), "grid", (2,)),
    "channels-last": Case(images_last, (1, 48, 48, 3), "grid", (2,)),
    # operators of our own
    "carafe": Case(lambda: operator("carafe"), PICTURE, "none"),
    "dysample": Case(lambda: operator("dysample"), PICTURE, "none"),
    "smooth-transposed": Case(lambda: operator("smooth_transposed"), PICTURE, "none"),
}  # fmt: skip


def scaled_by_channel(net):
    """Scale the weights of convolutions and linear layers by channel, as training leaves them."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for module in net.modules():
            weight = getattr(module, "weight", None)
            layered = isinstance(module, nn.Linear | nn.modules.conv._ConvNd)
            if not layered or hasattr(module, "kept"):
                continue
            for axis in (0, 1):
                sizes = torch.rand(weight.shape[axis], generator=generator) * 1.6 + 0.2
                weight.mul_(sizes.view(*[-1 if a == axis else 1 for a in range(weight.ndim)]))
    return net


def build(name):
    """The net of a case, and its example."""
    torch.manual_seed(0)
    case = CASES[name]
    net = scaled_by_channel(case.build()).eval()
    x = torch.randn(case.shape) if len(case.shape) == 2 else 0.7 + 0.3 * torch.randn(case.shape)
    return net, x
