"""What can be said of an operator without a clock: size, arithmetic, overlap, ripple."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from upzoo.upsampling import OPERATORS, Upsample
from upzoo.upsampling.phases import phase_ripple

CHANNELS, SCALE, SEEDS = 64, 2, 20


def build(name: str, in_channels: int, out_channels: int, scale: int, seed: int = 0) -> Upsample:
    """An operator with its default options; a guide, where it wants one, has out_channels."""
    torch.manual_seed(seed)
    guided = OPERATORS[name].needs_guide
    options = {"guide_channels": out_channels} if guided else {}
    return OPERATORS[name](in_channels, out_channels, scale, **options)


def extras(operator: Upsample, x: Tensor) -> dict[str, Tensor]:
    """Random switches and a random guide for `x`, where the operator wants them."""
    shape = (len(x), operator.out_channels, *(operator.scale * n for n in x.shape[-2:]))
    fine = torch.randn(shape, device=x.device).contiguous(memory_format=torch.channels_last)
    given = {}
    if operator.needs_switches:
        s = operator.scale
        given["switches"] = F.max_pool2d(fine, s, s, return_indices=True)[1]
    if operator.needs_guide:
        given["guide"] = fine.to(x.dtype)
    return given


def _four_taps(*shapes: Any, out_shape: Any = None, **_: Any) -> int:
    """Bilinear interpolation: 4 multiplications and additions for each value."""
    return 8 * math.prod(out_shape)


_BILINEAR = {
    torch.ops.aten.upsample_bilinear2d: _four_taps,
    torch.ops.aten.grid_sampler_2d: _four_taps,
}


def flops(operator: Upsample, x: Tensor, given: dict[str, Tensor]) -> int:
    """Multiplications and additions of a forward pass, two for each pair.

    Counted are convolutions, matrix products and bilinear interpolation; softmax, norms, gates and
    copies are not.
    """
    counter = FlopCounterMode(display=False, custom_mapping=_BILINEAR)
    with torch.no_grad(), counter:
        operator(x.detach(), **given)
    return counter.get_total_flops()


def reach(operator: Upsample) -> tuple[int, int]:
    """Pixels of the input that an output pixel depends on: fewest and most of all phases.

    It is the same for all phases where overlap is even.
    """
    operator = operator.double()
    n, middle = 13, 6
    x = torch.randn(1, operator.in_channels, n, n, dtype=torch.float64, requires_grad=True)
    y = operator(x, **extras(operator, x))
    s = operator.scale
    counts = []
    for phase in range(s * s):
        pixel = y[..., s * middle + phase // s, s * middle + phase % s]
        (gradient,) = torch.autograd.grad(pixel @ torch.randn_like(pixel[0]), x, retain_graph=True)
        counts.append(int((gradient.abs().sum(1) > 1e-12).sum()))
    return min(counts), max(counts)


def ripple(operator: Upsample) -> float | None:
    """DC ripple: how far the phases of the answer to a constant input lie apart, in its interior.

    R = √(mean_φ ‖y_φ − ȳ‖²) / ‖ȳ‖ with y_φ (out_channels,) the output at phase φ. A guide is
    constant too; switches have no constant, so that there is no figure for an operator with them.
    """
    if operator.needs_switches:
        return None
    operator, s, n = operator.double(), operator.scale, 16
    x = torch.randn(1, operator.in_channels, 1, 1, dtype=torch.float64).expand(-1, -1, n, n)
    given = {}
    if operator.needs_guide:
        guide = torch.randn(1, operator.guide_channels, 1, 1, dtype=torch.float64)
        given["guide"] = guide.expand(-1, -1, s * n, s * n)
    with torch.no_grad():
        y = operator(x, **given)[0]
    middle = s * (n // 2)
    return phase_ripple(y[:, middle : middle + s, middle : middle + s])


def facts(name: str) -> dict[str, Any]:
    """The figures of an operator with default options, 64 -> 64 channels at scale 2."""
    operator = build(name, CHANNELS, CHANNELS, SCALE)
    x = torch.randn(1, CHANNELS, 32, 32).contiguous(memory_format=torch.channels_last)
    per_pixel = flops(operator, x, extras(operator, x)) / (SCALE * 32) ** 2
    ripples = [ripple(build(name, CHANNELS, CHANNELS, SCALE, seed)) for seed in range(SEEDS)]
    return {
        "parameters": sum(p.numel() for p in operator.parameters()),
        "flops_per_pixel": per_pixel,
        "reach": reach(build(name, 8, 8, SCALE)),
        "ripple": None if None in ripples else sum(ripples) / SEEDS,
    }
