"""Start an operator as close as can be to the layer whose place it takes."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upzoo.recording import OPERATOR, Call
from upzoo.routing import Cropped, Placed
from upzoo.stamps import (
    Stamp,
    of_interpolation,
    of_shuffled,
    of_transposed,
    to_shuffled,
    to_transposed,
)
from upzoo.upsampling import OPERATORS, Interpolate, PixelShuffle, TransposedConv
from upzoo.upsampling.geometry import same_crop

EXACT = 1e-5  # relative error that rounding leaves, or the step of a coarser type
STEPS = 40  # of L-BFGS
SIDE = 32  # pixels of the input that a fit looks at
BORDER = 4  # of them, at each side of a cut, that only feed the rest
MODES = ("nearest", "bilinear", "bicubic")
HALVES = (torch.float16, torch.bfloat16)


@dataclass
class Old:
    """The layer whose place is taken.

    Attributes:
        kind: in words.
        x: recorded input, (B, in, H, W).
        y: recorded output, (B, out, h, w).
        scale: enlargement.
        stamp: what it does to a pixel; None where that depends on the place.
        mode: of an interpolation, by pixel edges; None for anything else.
        bias: (C, 1, 1), or (C, s, s) by phase; None for none.
        less: pixels that its output is smaller than scale · input, of a transposed convolution.
        conv: whether it is a pixel shuffle with the convolution before it.
        step: relative step of the type that it ran in.
    """

    kind: str
    x: Tensor
    y: Tensor
    scale: int
    stamp: Stamp | None = None
    mode: str | None = None
    bias: Tensor | None = None
    less: int = 0
    conv: bool = False
    step: float = 0.0

    def kept_in(self, dtype: torch.dtype) -> Old:
        """With its input and output in the type of its weights: autocast runs in a coarser."""
        step = torch.finfo(self.y.dtype).eps
        return replace(self, x=self.x.to(dtype), y=self.y.to(dtype), step=step)


class Started(NamedTuple):
    """An operator in its place, its options, how it starts, and its relative error."""

    placed: Placed
    options: dict[str, Any]
    start: str
    error: float


def describe(call: Call, with_conv: bool) -> Old | str:
    """What a call does, or why no operator can stand for it; "" where it enlarges nothing.

    Args:
        call: as recorded.
        with_conv: take a pixel shuffle together with the convolution before it.
    """
    x, y = call.runs[0]
    if call.fixed:
        return "it enlarges a table of the net's own, such as positions, and no map"
    if x.ndim != 4:
        return f"its input has {x.ndim - 2} axes; operators enlarge pictures"
    if not x.is_floating_point():
        return f"it enlarges {str(x.dtype).removeprefix('torch.')} numbers; operators take floats"
    if len({(a.shape[1], b.shape[1]) for a, b in call.runs}) > 1:
        widths = sorted({a.shape[1] for a, _ in call.runs})
        return f"one call serves inputs of {' and '.join(map(str, widths))} channels"
    if call.function == OPERATOR:
        return _ours(call, x, y)
    if call.function == "pixel_shuffle":
        return _shuffle(call, x, y, with_conv)
    if call.function == "conv_transpose2d":
        return _transposed(call, x, y)
    return _interpolation(call, x, y)


def _interpolation(call: Call, x: Tensor, y: Tensor) -> Old | str:
    scales = {_scale(a, b) for a, b in call.runs}
    if all(max(b.shape[-2:]) <= max(a.shape[-2:]) for a, b in call.runs):
        return ""
    if min(x.shape[-2:]) == 1:
        return "one value is spread over a map"
    if len(scales) > 1 or None in scales:
        shapes = ", ".join(f"{_size(a)} to {_size(b)}" for a, b in call.runs)
        return f"it enlarges {shapes}: by no single whole number"
    scale = scales.pop()
    assert scale is not None
    mode = call.given.get("mode") or "nearest"
    corners = bool(call.given.get("align_corners"))
    whole = all(b == a * scale for a, b in zip(x.shape[-2:], y.shape[-2:], strict=True))
    old = Old(f"{mode} interpolation{' by corners' if corners else ''}", x, y, scale)
    mode = "nearest" if mode in ("nearest-exact", "area") else mode  # by a whole number they agree
    return _by_edges(old, mode) if whole and not corners and mode in MODES else old


def _by_edges(old: Old, mode: str) -> Old:
    """An interpolation that lays the outer edges of the corner pixels over each other."""
    old.mode = mode
    if mode != "bicubic":
        old.stamp = of_interpolation(old.x.shape[1], old.scale, mode, old.x)
    return old


def _ours(call: Call, x: Tensor, y: Tensor) -> Old | str:
    """An operator of ours, which may have cut its output to the size of a skip."""
    up = call.given["module"]
    if up.scale == 1:
        return ""
    names = {cls: name for name, cls in OPERATORS.items()}
    whole = y.shape[-2:] == tuple(up.scale * n for n in x.shape[-2:])
    old = Old(names.get(type(up), type(up).__name__), x, y, up.scale)
    if up.residual or not whole:
        return old
    if isinstance(up, Interpolate) and up.in_channels == up.out_channels and not up.align_corners:
        return _by_edges(old, up.mode)
    if isinstance(up, TransposedConv):
        crop = same_crop(8, up.kernel, up.scale, 8 * up.scale)
        old.stamp = of_transposed(up.weight.detach(), up.scale, crop, groups=1, dilation=1)
    if isinstance(up, PixelShuffle):
        old.stamp = of_shuffled(up.weight.detach(), up.scale)
    return old


def _scale(x: Tensor, y: Tensor) -> int | None:
    """The whole number by which both axes grew, up to a crop; None for others."""
    h, w = x.shape[-2:]
    scale = -(-y.shape[-2] // h)
    fits = scale > 1 and -(-y.shape[-2] // scale) == h and -(-y.shape[-1] // scale) == w
    return scale if fits else None


def _size(x: Tensor) -> str:
    return f"{x.shape[-2]}×{x.shape[-1]}"


def _transposed(call: Call, x: Tensor, y: Tensor) -> Old | str:
    given = call.given
    stride, padding, dilation = (
        _pair(given.get(key, default))
        for key, default in (("stride", 1), ("padding", 0), ("dilation", 1))
    )
    weight = given["weight"]
    if max(stride) == 1:
        return ""
    same = stride[0] == stride[1] and padding[0] == padding[1] and dilation[0] == dilation[1]
    if not same or weight.shape[-1] != weight.shape[-2]:
        return f"stride {stride} and kernel {tuple(weight.shape[2:])} differ between the axes"
    less = {stride[0] * a.shape[-1] - b.shape[-1] for a, b in call.runs}
    less |= {stride[0] * a.shape[-2] - b.shape[-2] for a, b in call.runs}
    if len(less) > 1 or not 0 <= min(less) < stride[0]:
        most = "×".join(str(stride[0] * n) for n in x.shape[-2:])
        return (
            f"it enlarges {_size(x)} to {_size(y)}, where operators give up to {most}: its padding "
            f"is not that of ×{stride[0]}"
        )
    groups = given.get("groups", 1)
    stamp = of_transposed(weight.detach(), stride[0], padding[0], groups, dilation[0])
    kind = f"transposed convolution {weight.shape[-2]}×{weight.shape[-1]}"
    bias = given.get("bias")
    bias = None if bias is None else bias.detach()[:, None, None]
    return Old(kind, x, y, stride[0], stamp, bias=bias, less=less.pop())


def _shuffle(call: Call, x: Tensor, y: Tensor, with_conv: bool) -> Old | str:
    scale = call.given["upscale_factor"]
    conv = call.conv
    if scale == 1:
        return ""
    if conv is not None and with_conv:
        k = conv["weight"].shape[-1]
        plain = _pair(conv.get("stride", 1)) == (1, 1) and _pair(conv.get("dilation", 1)) == (1, 1)
        square = conv["weight"].shape[-2] == k and k % 2 == 1
        padding = conv.get("padding", 0)
        kept = padding == "same" or (padding != "valid" and _pair(padding) == (k // 2, k // 2))
        if plain and square and kept:
            stamp = of_shuffled(conv["weight"].detach(), scale, conv.get("groups", 1))
            bias = conv.get("bias")
            bias = None if bias is None else bias.detach().view(-1, scale, scale)
            return Old(
                "convolution and pixel shuffle",
                conv["input"],
                y,
                scale,
                stamp,
                bias=bias,
                conv=True,
            )
    channels = x.shape[1]
    stamp = of_shuffled(torch.eye(channels)[:, :, None, None].to(x), scale)
    return Old("pixel shuffle", x, y, scale, stamp)


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (tuple(value) * 2)[:2]


def begin(old: Old, name: str, options: dict[str, Any], start: str) -> Started:
    """The operator in its place, started.

    Args:
        old: the layer.
        name: of the operator.
        options: of the operator; a kernel or a mode that gives an exact start is added.
        start: "closest" or "own".

    Raises:
        ValueError: for options or channels that the operator does not take.
    """
    closest = start == "closest"
    exact, options = _exact_options(old, name, options) if closest else (None, options)
    channels = old.x.shape[1], old.y.shape[1]
    try:
        up = OPERATORS[name](*channels, old.scale, **options)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from None
    bias = old.bias
    if bias is not None and (name not in ("transposed_conv", "pixel_shuffle") or not closest):
        bias = bias.mean((1, 2), keepdim=True)
    elif bias is not None and bool((bias == bias[:, :1, :1]).all()):
        bias = bias[:, :1, :1]
    shape = None if bias is None else list(bias.shape)
    placed = Cropped(up, shape, old.less) if old.less else Placed(up, shape)
    placed = placed.to(old.x)
    with torch.no_grad():
        if placed.bias is not None and bias is not None:
            placed.bias.copy_(bias)
        if exact is not None:
            up.weight.copy_(exact)  # type: ignore[operator]
        if closest and name == "dysample" and old.mode == "bilinear":
            up.offset.weight.zero_()  # type: ignore[operator,union-attr]
    off = relative_error(placed, old)
    if not closest:
        return Started(placed, options, "own", off)
    exact_within = max(EXACT, old.step)
    if off > exact_within and any(p.requires_grad for p in placed.parameters()):
        fit(placed, old)
        off = relative_error(placed, old)
    return Started(placed, options, "exact" if off <= exact_within else "fitted", off)


def _exact_options(
    old: Old, name: str, options: dict[str, Any]
) -> tuple[Tensor | None, dict[str, Any]]:
    """The weight of an exact start, where there is one, and the options that it asks for."""
    if name == "transposed_conv" and old.stamp is not None and "kernel" not in options:
        weight = to_transposed(old.stamp)
        return weight, {**options, "kernel": weight.shape[-1]}
    if name == "pixel_shuffle" and old.stamp is not None and "kernel" not in options:
        weight = to_shuffled(old.stamp)
        return weight, {**options, "kernel": weight.shape[-1]}
    if old.mode is not None and name == "interpolate":
        return None, {"mode": old.mode, **options}
    if old.mode is not None and name == "resize_conv":
        options = {"mode": old.mode, **options}
        kernel = options.get("kernel", 3)
        if options["mode"] == old.mode and isinstance(kernel, int):
            weight = old.x.new_zeros(old.y.shape[1], old.x.shape[1], kernel, kernel)
            return nn.init.dirac_(weight), options
    return None, options


@torch.no_grad()
def relative_error(placed: Placed, old: Old) -> float:
    """‖new − old‖ / ‖old‖ on the recorded input."""
    y = old.y.float() if old.y.dtype in HALVES else old.y  # whose norm may overflow
    size = y.norm().item()
    moved = (placed(old.x, old.y.shape[-2:]) - y).norm().item()
    return moved / size if size else moved


def middle(old: Old) -> tuple[Tensor, Tensor, int]:
    """Input and output to fit on, and how many output pixels at each border do not count.

    A large map is cut to its middle; there its own border, which is none, is left out.
    """
    x, y = old.x[:2].detach(), old.y[:2].detach()
    if max(x.shape[-2:]) <= SIDE:
        return x, y, 0
    cuts = [slice((n - min(n, SIDE)) // 2, (n + min(n, SIDE)) // 2) for n in x.shape[-2:]]
    scale = old.scale
    wide = [slice(scale * c.start, scale * c.stop - old.less) for c in cuts]
    margin = min(BORDER, min(c.stop - c.start for c in cuts) // 4) * scale
    return x[..., cuts[0], cuts[1]], inner(y[..., wide[0], wide[1]], margin), margin


def inner(y: Tensor, margin: int) -> Tensor:
    """Without that many pixels at each border."""
    return y[..., margin : y.shape[-2] - margin, margin : y.shape[-1] - margin]


def fit(placed: Placed, old: Old) -> None:
    """Least squares on the recorded input: L-BFGS, which solves it where weights act linearly."""
    if old.x.dtype in HALVES:  # of which a line search sees no small gain
        fine = deepcopy(placed).float()
        fit(fine, replace(old, x=old.x.float(), y=old.y.float()))
        placed.load_state_dict(fine.state_dict())
        return
    x, y, margin = middle(old)
    size = y.square().mean().clamp(min=torch.finfo(y.dtype).tiny)
    parameters = [p for p in placed.parameters() if p.requires_grad]
    start = [p.detach().clone() for p in parameters]
    before = relative_error(placed, old)
    solver = torch.optim.LBFGS(parameters, max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        solver.zero_grad()
        given = placed(x, None if margin else y.shape[-2:])
        value = F.mse_loss(inner(given, margin) if margin else given, y) / size
        value.backward()
        return value

    with torch.enable_grad():
        solver.step(loss)
    solver.zero_grad()
    after = relative_error(placed, old)
    if not after <= before:  # nan, too
        with torch.no_grad():
            for parameter, value in zip(parameters, start, strict=True):
                parameter.copy_(value)
