"""Take the checkerboard out of trained weights, with the least change to them.

A transposed convolution leaves no grid on a constant if and only if all its phase gains are equal,
G_φ = Σ w[t] over the n_φ taps t that land on phase φ. For each pair of channels we look for

    min Σ δ[t]²   subject to   Σ_{t on φ} (w[t] + δ[t]) = g for every φ, with g free.

For a given g the phases do not meet, and by Cauchy–Schwarz the least δ of a phase is an equal share
for each of its taps, δ[t] = (g − G_φ) / n_φ, at the cost (g − G_φ)² / n_φ. The sum of these costs
is least where its derivative by g is zero:

    g = Σ_φ (G_φ / n_φ) / Σ_φ (1 / n_φ).

If only one constant matters, the mean activation μ, one equation for each output channel is left:
Σ_i μ_i G_φ[i] = g. Then δ[i, t] = μ_i · (g − Σ_j μ_j G_φ[j]) / (n_φ ‖μ‖²), by the same argument
for the vector of μ_i, each n_φ times, and the same g of these sums. The change is of rank one in
the channels, and smaller; but a constant other than a multiple of μ still shows a grid.

That g lies nearer to the phases with few taps, so the level of a constant moves where a kernel
overlaps unevenly. With keep="mean" it stays, g = mean_φ G_φ, for a larger change.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from upzoo.upsampling.bilinear import BilinearInit
from upzoo.upsampling.decomposed import DecomposedTransposed
from upzoo.upsampling.phases import phase_ripple, tap_phases
from upzoo.upsampling.pixel_shuffle import PixelShuffle
from upzoo.upsampling.reparametrised import assign, copied, current
from upzoo.upsampling.transposed import TransposedConv

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
OPERATORS = (TransposedConv, BilinearInit, DecomposedTransposed, PixelShuffle)
#: What stays as close as can be: all weights, or the level of a constant.
KEEP = ("weights", "mean")


class Change(NamedTuple):
    """What equalising did to one layer.

    Attributes:
        name: of the layer in its net.
        before: ripple of the phase gains, √(mean_φ ‖G_φ − Ḡ‖²) / ‖Ḡ‖; of G_φ μ where μ was given.
        after: the same, now.
        change: ‖new − old‖ / ‖old‖ of the weights.
        skipped: why the layer was left as it is; None where it was corrected.
    """

    name: str
    before: float
    after: float
    change: float
    skipped: str | None = None


def change_line(c: Change) -> str:
    """One line for a terminal.

    >>> change_line(Change("up", 0.2, 0.0, 0.1))
    'up: ripple 0.2 -> 0, weights moved by 10.0%'
    """
    if c.skipped is not None:
        return f"{c.name}: left as it is: {c.skipped}"
    return f"{c.name}: ripple {c.before:.3g} -> {c.after:.1g}, weights moved by {c.change:.1%}"


class Kernel(NamedTuple):
    """A weight with its taps in line and the phase that each lands on.

    `taps` is (groups, in, out, taps) in float64, channels within their group; `lands` is (taps,)
    and counts `phases`.
    """

    taps: Tensor
    lands: Tensor
    phases: int

    def gains(self, mean: Tensor | None) -> Tensor:
        """G_φ, (groups, in, out, phases), or G_φ μ, (groups, 1, out, phases)."""
        gains = self.taps.new_zeros(*self.taps.shape[:-1], self.phases)
        gains.index_add_(-1, self.lands, self.taps)
        return gains if mean is None else (gains * mean).sum(1, keepdim=True)


def equalise(
    module: nn.Module,
    *,
    shuffle: int | None = None,
    mean: Tensor | None = None,
    keep: str = "weights",
) -> nn.Module:
    """A copy of a layer whose phase gains are all equal, its weights as close as can be.

    Args:
        module: `nn.ConvTranspose*`, or our TransposedConv, BilinearInit, DecomposedTransposed (each
            of its kernels for itself) or PixelShuffle; or the `nn.Conv2d` before a pixel shuffle.
        shuffle: scale of the pixel shuffle that follows; only for `nn.Conv2d`. A bias is averaged
            over the phases then.
        mean: (in,) mean input activation; only a constant of these channels is freed of its grid.
        keep: "weights", or "mean": the level of a constant.

    Weight norm and spectral norm stay; the latter scales the new weights to its own norm.

    Raises:
        ValueError: for another module, a parametrisation that cannot be set, phases that no tap
            reaches, or a mean that does not fit.

    >>> layer = nn.ConvTranspose1d(1, 1, 3, stride=2)
    >>> _ = layer.weight.data.copy_(torch.tensor([1.0, 3.0, 1.0]))  # gains 2 on two taps, 3 on one
    >>> equalise(layer).weight[0, 0].tolist()  # g = (2/2 + 3/1) / (1/2 + 1)
    [1.3333333730697632, 2.6666667461395264, 1.3333333730697632]
    """
    module = copied(module)
    _equalise_(module, shuffle, mean, keep)
    return module


def equalise_net(
    net: nn.Module,
    means: Mapping[str, Tensor] | None = None,
    *,
    layers: Mapping[str, int | None] | None = None,
    keep: str = "weights",
) -> tuple[nn.Module, list[Change]]:
    """A copy of a net with every layer equalised that `equalise` knows, and what that changed.

    A convolution counts as one before a pixel shuffle where `nn.PixelShuffle` is registered right
    after it in the same parent. Layers of stride 1 stay as they are; one that cannot be equalised
    does too, with the reason in its `Change`.

    Args:
        net: any module.
        means: name of a layer -> its mean input activation (in,); a layer without one is equalised
            for every constant.
        layers: name of a layer -> scale of the pixel shuffle that follows, None for none: those to
            equalise, where a run of the net has told (`upzoo.correct`).
        keep: as for `equalise`.

    Raises:
        ValueError: for a mean of a layer that is not there, and as `equalise`.
    """
    net = copied(net)
    found = (
        list(_find(net))
        if layers is None
        else [(name, net.get_submodule(name), shuffle) for name, shuffle in layers.items()]
    )
    names = [name for name, *_ in found]
    for name, mean in (means or {}).items():
        if name not in names:
            raise ValueError(f"means has {name!r}, but the layers to equalise are {names}")
        if mean.ndim != 1:
            raise ValueError(f"means has {tuple(mean.shape)} for {name!r}: give (channels,)")
    return net, [
        _equalise_or_skip(module, shuffle, (means or {}).get(name), keep, name)
        for name, module, shuffle in found
    ]


def _equalise_or_skip(
    module: nn.Module, shuffle: int | None, mean: Tensor | None, keep: str, name: str
) -> Change:
    """Equalise in place, or say why that cannot be."""
    try:
        return _equalise_(module, shuffle, mean, keep, name)
    except ValueError as error:
        if keep not in KEEP or mean is not None:
            raise
        return Change(name, math.nan, math.nan, 0.0, str(error))


def _find(net: nn.Module) -> Iterator[tuple[str, nn.Module, int | None]]:
    """Name, module and scale of the pixel shuffle after it, of every layer to equalise."""
    after: dict[nn.Module, int] = {}
    for parent in net.modules():
        children = list(parent.children())
        for first, second in pairwise(children):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.PixelShuffle):
                after[first] = second.upscale_factor
    for name, module in net.named_modules():
        if module in after:
            yield name, module, after[module]
        elif _is_learned_enlargement(module):
            yield name, module, None


def _is_learned_enlargement(module: nn.Module) -> bool:
    if isinstance(module, TRANSPOSED):
        return max(module.stride) > 1
    if isinstance(module, BilinearInit):
        return module.scale > 1 and module.trainable
    return isinstance(module, OPERATORS) and module.scale > 1


@torch.no_grad()
def _equalise_(
    module: nn.Module, shuffle: int | None, mean: Tensor | None, keep: str, name: str = ""
) -> Change:
    """Equalise in place, and say what that did."""
    if keep not in KEEP:
        raise ValueError(f"keep={keep!r}: choose from {', '.join(KEEP)}")
    old = list(_kernels(module, shuffle))
    changes = [_least_change(kernel, _by_group(mean, kernel), keep) for _, kernel, _ in old]
    for (held, kernel, phases_first), change in zip(old, changes, strict=True):
        taps = kernel.taps + change
        if phases_first:  # (g, in, out, φ·k) -> (g, out, φ, in, k)
            taps = taps.unflatten(-1, (kernel.phases, -1)).permute(0, 2, 3, 1, 4)
        weight = current(module, held)
        assert weight is not None
        assign(module, held, taps.reshape(weight.shape))
    bias = getattr(module, "bias", None)
    if shuffle is not None and bias is not None:
        by_phase = bias.view(-1, old[0][1].phases)
        by_phase.copy_(by_phase.mean(1, keepdim=True).expand_as(by_phase))
    before, after, moved, size = [], [], 0.0, 0.0
    for (_, kernel, _), (_, new, _) in zip(old, _kernels(module, shuffle), strict=True):
        mu = _by_group(mean, kernel)
        before.append(phase_ripple(kernel.gains(mu).flatten(0, 2)))
        after.append(phase_ripple(new.gains(mu).flatten(0, 2)))
        moved += (new.taps - kernel.taps).square().sum().item()
        size += kernel.taps.square().sum().item()
    return Change(name, max(before), max(after), (moved / size) ** 0.5 if size else 0.0)


def _least_change(kernel: Kernel, mean: Tensor | None, keep: str) -> Tensor:
    """δ of the module's docstring, (groups, in, out, taps)."""
    n = torch.bincount(kernel.lands, minlength=kernel.phases)
    if (n == 0).any():
        raise ValueError(
            f"{int((n == 0).sum())} of {kernel.phases} phases are reached by no tap, the kernel "
            "being smaller than the stride: no weights can level them"
        )
    gains = kernel.gains(mean)
    if keep == "mean":
        target = gains.mean(-1, keepdim=True)
    else:
        # g = Σ_φ (G_φ / n_φ) / Σ_φ (1 / n_φ)
        target = (gains / n).sum(-1, keepdim=True) / (1 / n).sum()
    # δ[t] = (g − G_φ) / n_φ, of which each channel takes μ_i / ‖μ‖²
    share = ((target - gains) / n)[..., kernel.lands]
    if mean is None:
        return share
    power = mean.square().sum(1, keepdim=True)
    return share * mean / power.where(power > 0, 1)


def _kernels(module: nn.Module, shuffle: int | None) -> Iterator[tuple[str, Kernel, bool]]:
    """Each weight's name, its kernel, and whether its outputs are ordered by phase."""
    if isinstance(module, nn.Conv2d) != (shuffle is not None):
        raise ValueError(
            f"{type(module).__name__} with shuffle={shuffle}: the scale of the pixel shuffle "
            "belongs to a convolution, and only to one"
        )
    decomposed = isinstance(module, DecomposedTransposed)
    for name in ("row", "column") if decomposed else ("weight",):
        weight = current(module, name)
        if weight is None:
            raise ValueError(f"{type(module).__name__} has no {name} of its own to equalise")
        yield name, *_kernel(module, name, weight, shuffle)


def _kernel(
    module: nn.Module, name: str, weight: Tensor, shuffle: int | None
) -> tuple[Kernel, bool]:
    """One weight's kernel, and whether its outputs are ordered by phase."""
    if isinstance(module, DecomposedTransposed):
        stride = (1, module.scale) if name == "row" else (module.scale, 1)
        return _transposed(weight, stride), False
    if isinstance(module, TransposedConv):
        return _transposed(weight, [module.scale] * 2), False
    if isinstance(module, BilinearInit):
        groups = 1 if module.dense else module.out_channels
        return _transposed(weight, [module.scale] * 2, groups), False
    if isinstance(module, TRANSPOSED):
        return _transposed(weight, module.stride, module.groups, module.dilation), False
    if isinstance(module, PixelShuffle):
        return _shuffled(weight, module.scale), True
    if isinstance(module, nn.Conv2d) and shuffle is not None:
        return _shuffled(weight, shuffle, module.groups), True
    raise ValueError(f"{type(module).__name__} is no layer that can be equalised")


def _transposed(
    weight: Tensor, stride: Sequence[int], groups: int = 1, dilation: Sequence[int] = (1, 1, 1)
) -> Kernel:
    """(in, out // groups, *kernel) of a transposed convolution."""
    lands, phases = torch.zeros(1, dtype=torch.int64, device=weight.device), 1
    for k, s, d in zip(weight.shape[2:], stride, dilation, strict=False):
        line = tap_phases(k, s, dilation=d).to(weight.device)
        lands, phases = (lands[:, None] * s + line).flatten(), phases * s
    return Kernel(weight.double().unflatten(0, (groups, -1)).flatten(3), lands, phases)


def _shuffled(weight: Tensor, scale: int, groups: int = 1) -> Kernel:
    """(out · scale^dims, in // groups, *kernel) of a convolution before a pixel shuffle."""
    phases = scale ** (weight.ndim - 2)
    if weight.shape[0] % (groups * phases):
        raise ValueError(
            f"{weight.shape[0]} output channels are no multiple of {groups} × {phases}: "
            f"a pixel shuffle of scale {scale} cannot follow"
        )
    split = weight.double().flatten(2).unflatten(0, (groups, -1, phases))  # (g, out, φ, in, k)
    lands = torch.arange(phases, device=weight.device).repeat_interleave(split.shape[-1])
    return Kernel(split.permute(0, 3, 1, 2, 4).flatten(3), lands, phases)


def _by_group(mean: Tensor | None, kernel: Kernel) -> Tensor | None:
    """(in,) -> (groups, in // groups, 1, 1), in the kernel's precision."""
    if mean is None:
        return None
    groups, channels = kernel.taps.shape[:2]
    if mean.shape != (groups * channels,):
        raise ValueError(
            f"mean is {tuple(mean.shape)}, expected ({groups * channels},): one for each input "
            "channel"
        )
    return mean.to(kernel.taps).view(groups, channels, 1, 1)
