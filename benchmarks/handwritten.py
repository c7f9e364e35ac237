"""What a user would write by hand for each operator, with the operator's own weights.

Every function takes the operator, its input, and the switches or the guide where it wants one.
"""

import functools
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from upzoo.upsampling import (
    Upsample,
    bilinear,
    carafe,
    decomposed,
    dysample,
    fade,
    filtered,
    pixel_shuffle,
    pixel_transposed,
    reassembly,
    resize,
    sampling,
    sapa,
    transposed,
    unpool,
)

Given = Mapping[str, Tensor]


def transposed_conv(op: transposed.TransposedConv, x: Tensor, given: Given) -> Tensor:
    """A transposed convolution with symmetric padding, right for even kernel − scale."""
    crop = (op.kernel - op.scale) // 2
    return F.conv_transpose2d(x, op.weight, stride=op.scale, padding=crop)


def depthwise_bilinear(op: bilinear.BilinearInit, x: Tensor, given: Given) -> Tensor:
    """FCN's layer with one kernel a channel; zeros beyond the border."""
    x = op.project(x)
    crop = (op.kernel - op.scale) // 2
    return F.conv_transpose2d(x, op.weight, stride=op.scale, padding=crop, groups=x.shape[1])


def dense_bilinear(op: bilinear.BilinearInit, x: Tensor, given: Given) -> Tensor:
    """FCN's layer as released: one kernel for each pair of channels, zero off the diagonal."""
    x = op.project(x)
    crop = (op.kernel - op.scale) // 2
    return F.conv_transpose2d(x, on_the_diagonal(op.weight), stride=op.scale, padding=crop)


@functools.lru_cache(maxsize=1)
def on_the_diagonal(weight: Tensor) -> Tensor:
    """(C, 1, k, k) -> (C, C, k, k), made once as in a constructor."""
    return torch.diag_embed(weight[:, 0].permute(1, 2, 0)).permute(2, 3, 0, 1).contiguous()


def stamped_bilinear(op: bilinear.BilinearInit, x: Tensor, given: Given) -> Tensor:
    """The operator's own reference: depthwise, the border repeated."""
    return op.stamp(op.project(x))


def interpolate(op: Upsample, x: Tensor, given: Given) -> Tensor:
    """Interpolation; the projection, where there is one, after it."""
    y = F.interpolate(x, scale_factor=op.scale, mode="bilinear", align_corners=False)
    return op.project(y)


def two_steps(op: resize.ResizeConv, x: Tensor, given: Given) -> Tensor:
    """Nearest enlargement, then the convolution."""
    y = F.interpolate(x, scale_factor=op.scale, mode="nearest")
    return F.conv2d(y, op.weight, padding=op.kernel // 2)


def convolve_and_shuffle(op: pixel_shuffle.PixelShuffle, x: Tensor, given: Given) -> Tensor:
    """A convolution, then depth to space."""
    return F.pixel_shuffle(F.conv2d(x, op.weight, padding=op.kernel // 2), op.scale)


def max_unpool(op: unpool.MaxUnpool, x: Tensor, given: Given) -> Tensor:
    """Torch's unpooling."""
    return F.max_unpool2d(op.project(x), given["switches"], op.scale)


def bilinear_additive(op: resize.BilinearAdditive, x: Tensor, given: Given) -> Tensor:
    """Enlarge all channels, then sum groups of them."""
    y = F.interpolate(x, scale_factor=op.scale, mode="bilinear", align_corners=False)
    if x.shape[1] == op.out_channels:
        return y
    return y.unflatten(1, (op.out_channels, -1)).sum(2)


def rows_then_columns(op: decomposed.DecomposedTransposed, x: Tensor, given: Given) -> Tensor:
    """Two transposed convolutions with symmetric padding, right for even kernel − scale."""
    s, crop = op.scale, (op.kernel - op.scale) // 2
    y = F.conv_transpose2d(x, op.row, stride=(1, s), padding=(0, crop))
    return F.conv_transpose2d(y, op.column, stride=(s, 1), padding=(crop, 0))


def blurred(
    op: filtered.SmoothTransposed | filtered.FIRTransposed, x: Tensor, given: Given
) -> Tensor:
    """A transposed convolution, then the filter as a depthwise convolution in two dimensions."""
    h, w = op.scale * x.shape[-2], op.scale * x.shape[-1]
    line = op.line.to(x.dtype).flip(0)
    filt = torch.outer(line, line).expand(op.out_channels, 1, -1, -1)
    y = F.conv_transpose2d(x, op.weight, stride=op.scale)
    y = F.conv2d(y, filt, padding=len(line) - 1, groups=op.out_channels)
    cut = (op.kernel + len(line) - 1 - op.scale) // 2
    return y[..., cut : cut + h, cut : cut + w]


def pixels_in_turn(op: pixel_transposed.PixelTransposed, x: Tensor, given: Given) -> Tensor:
    """PixelTCL with the diagonals written into a map of zeros."""
    pad = op.kernel // 2
    for step in op.steps:
        f1 = F.conv2d(x, step.first, padding=pad)
        f2 = F.conv2d(f1, step.second, padding=pad)
        y = f1.new_zeros(*f1.shape[:2], 2 * f1.shape[2], 2 * f1.shape[3])
        y[..., ::2, ::2] = f1
        y[..., 1::2, 1::2] = f2
        x = y + F.conv2d(y, step.third * step.mask, padding=pad)
    return x


def unfolded_carafe(op: carafe.Carafe, x: Tensor, given: Given) -> Tensor:
    """CARAFE as it is commonly ported: enlarge, unfold with dilation, one einsum."""
    x = op.project(x)
    s, k = op.scale, op.kernel_up
    weight = F.pixel_shuffle(op.encode(op.compress(x)), s).softmax(1)  # (B, k², s·H, s·W)
    y = F.interpolate(x, scale_factor=s, mode="nearest")
    patches = F.unfold(y, k, dilation=s, padding=k // 2 * s)
    patches = patches.view(*x.shape[:2], k * k, *y.shape[-2:])
    return torch.einsum("bkhw,bckhw->bchw", weight, patches)


def plain_dysample(op: dysample.DySample, x: Tensor, given: Given) -> Tensor:
    """DySample as published: the grid made at the input's size at every call, moved, shuffled."""
    x = op.project(x)
    (B, _, H, W), s, groups = x.shape, op.scale, op.groups
    like = {"dtype": x.dtype, "device": x.device}
    phase = (torch.arange(s, **like) - (s - 1) / 2) / s
    start = torch.stack((phase.expand(s, s), phase[:, None].expand(s, s)))  # x, then y
    offset = (0.25 * op.offset(x)).view(B, 2, groups, s, s, H, W)
    offset = offset + start.view(1, 2, 1, s, s, 1, 1)
    lines = torch.arange(W, **like) + 0.5, torch.arange(H, **like) + 0.5
    centres = torch.stack(torch.meshgrid(*lines, indexing="xy")).view(1, 2, 1, 1, 1, H, W)
    extent = torch.tensor([W, H], **like).view(1, 2, 1, 1, 1, 1, 1)
    grid = 2 * (offset + centres) / extent - 1
    grid = F.pixel_shuffle(grid.reshape(B, 2 * groups * s * s, H, W), s)
    grid = grid.view(B, 2, groups, s * H, s * W).permute(0, 2, 3, 4, 1).flatten(0, 1)
    y = F.grid_sample(
        x.reshape(B * groups, -1, H, W), grid, padding_mode="border", align_corners=False
    )
    return y.view(B, -1, s * H, s * W)


def sampled_at_once(op: dysample.DySample, x: Tensor, given: Given) -> Tensor:
    """The operator with the readable sampling, which holds the map channels-first too."""
    choices = sampling.takes_bands, sampling.blocks_pay
    sampling.takes_bands = sampling.blocks_pay = lambda *_: False
    try:
        return op(x)
    finally:
        sampling.takes_bands, sampling.blocks_pay = choices


def unfolded(op: carafe.Carafe | fade.Fade | sapa.Sapa, x: Tensor, given: Given) -> Tensor:
    """The operator with the readable reassembly, which holds k²·s² copies of its input."""
    choose = reassembly.unfolding_is_faster
    reassembly.unfolding_is_faster = lambda *_: True
    try:
        return op(x, **given)
    finally:
        reassembly.unfolding_is_faster = choose


Rival = Callable[..., Tensor]

#: Operator -> name -> what it is compared with, where there is such a thing. "reference" is the
#: readable form of a fast path.
RIVALS: dict[str, dict[str, Rival]] = {
    "transposed_conv": {"by hand": transposed_conv},
    "bilinear_init": {
        "by hand": depthwise_bilinear,
        "dense": dense_bilinear,
        "interpolate": interpolate,
        "reference": stamped_bilinear,
    },
    "resize_conv": {"by hand": two_steps},
    "interpolate": {"by hand": interpolate},
    "pixel_shuffle": {"by hand": convolve_and_shuffle},
    "max_unpool": {"by hand": max_unpool},
    "bilinear_additive": {"by hand": bilinear_additive},
    "decomposed_transposed": {"by hand": rows_then_columns},
    "smooth_transposed": {"by hand": blurred},
    "fir_transposed": {"by hand": blurred},
    "pixel_transposed": {"by hand": pixels_in_turn},
    "carafe": {"by hand": unfolded_carafe, "reference": unfolded},
    "dysample": {"by hand": plain_dysample, "reference": sampled_at_once},
    "fade": {"reference": unfolded},
    "sapa": {"reference": unfolded},
}

#: Fast paths and the rival that computes the same the readable way.
REFERENCES = {
    "resize_conv": "by hand",
    "bilinear_init": "reference",
    "carafe": "reference",
    "dysample": "reference",
    "fade": "reference",
    "sapa": "reference",
}


def rivals(name: str, operator: Upsample, x: Tensor) -> dict[str, Rival]:
    """The rivals of an operator that take no minutes and no gigabytes at this input.

    Left out are two-dimensional filters at scale 32, and unfolded copies of over 256 MB in fp32,
    on a GPU of over 8 GB.
    """
    if name in ("smooth_transposed", "fir_transposed") and operator.scale > 8:
        return {}
    if name in ("carafe", "fade", "sapa"):
        channels = operator.query.out_features if name == "sapa" else operator.out_channels
        most = 2**31 if x.device.type == "cuda" else 2**26
        copies = (operator.kernel_up * operator.scale) ** 2
        if channels * copies * x[:, 0].numel() > most:
            return {}
    return RIVALS.get(name, {})
