"""Run a net as if its maps went on for ever, and as if it still saw the example.

Zeros beyond the border would make a constant image anything but constant, deep inside as well:
a pixel of a deep layer sees the whole picture. Here a map repeats itself instead, so that a
constant stays one up to the first layer that makes a grid, and a grid stays one after it.

Instance and group norm would divide a constant by its own spread, which is nothing but rounding
errors. They keep the statistics that they had on the example.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor

CONV = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
NORMS = {
    "instance_norm": (
        *("input", "running_mean", "running_var", "weight", "bias"),
        *("use_input_stats", "momentum", "eps"),
    ),
    "group_norm": ("input", "num_groups", "weight", "bias", "eps"),
}
TRANSPOSED = (*CONV[:5], "output_padding", "groups", "dilation")
#: Function -> its arguments, in order.
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "pad": ("input", "pad", "mode", "value"),
    "convolution": (
        *("input", "weight", "bias", "stride", "padding", "dilation"),
        *("transposed", "output_padding", "groups"),
    ),
    "interpolate": ("input", "size", "scale_factor", "mode", "align_corners"),
}
TIE = 1e-4  # of a maximum, by which rounding may lower its ties
WIDER = 4  # pixels by which the input of an operator or of an interpolation is continued
POOLS: list[str] = []
for _d in (1, 2, 3):
    POOLS += [f"max_pool{_d}d"]
    ARGUMENTS |= {
        f"max_pool{_d}d": (
            *("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode"),
            "return_indices",
        ),
        f"conv{_d}d": CONV,
        f"conv_transpose{_d}d": TRANSPOSED,
        f"avg_pool{_d}d": (
            *("input", "kernel_size", "stride", "padding"),
            *("ceil_mode", "count_include_pad", "divisor_override"),
        ),
    }


def plain_name(func: Callable[..., Any]) -> str:
    """A function's name without the overload: aten's "conv2d.default" is conv2d."""
    return getattr(func, "__name__", "").split(".")[0]


def boundless(func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Call a function of torch; where it would pad with zeros, the map repeats itself instead.

    It covers convolutions, transposed ones, average and max-pooling, padding and interpolation.
    """
    name = plain_name(func)
    if name not in ARGUMENTS:
        return func(*args, **kwargs)
    given = dict(zip(ARGUMENTS[name], args, strict=False)) | kwargs
    if name == "convolution":
        return _convolution(func, given)
    if name == "pad":
        return _pad(func, given)
    if name == "interpolate":
        return _interpolate(func, given)
    x = given["input"]
    if name in POOLS:
        return even_max_pool(x, given)
    dims = int(name[-2])
    if x.ndim != dims + 2:
        return func(*args, **kwargs)
    if name.startswith("conv_transpose"):
        return _transposed(func, given, dims)
    padding = given.get("padding", 0)
    if isinstance(padding, str):
        kernel = zip(given["weight"].shape[2:], axes(given.get("dilation", 1), dims), strict=True)
        total = [d * (k - 1) if padding == "same" else 0 for k, d in kernel]
        edges = [(t // 2, t - t // 2) for t in total]
    else:
        edges = [(p, p) for p in axes(padding, dims)]
    given |= {"input": repeat_beyond(x, edges), "padding": 0}
    return func(**given)


def _convolution(func: Callable[..., Any], given: dict[str, Any]) -> Tensor:
    """Aten's one convolution, which is a transposed one too."""
    dims = given["input"].ndim - 2
    if not given["transposed"]:
        edges = [(p, p) for p in axes(given["padding"], dims)]
        given = given | {"input": repeat_beyond(given["input"], edges), "padding": [0] * dims}
        return func(*(given[name] for name in ARGUMENTS["convolution"]))

    def transposed(**options: Any) -> Tensor:
        zeros = {"padding": [0] * dims, "output_padding": [0] * dims}
        all_of = given | zeros | options
        return func(*(all_of[name] for name in ARGUMENTS["convolution"]))

    return _transposed(transposed, given, dims)


class Statistics(NamedTuple):
    """Mean and variance that a norm took off a map, (C,) each."""

    mean: Tensor
    variance: Tensor


def statistics(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Statistics:
    """What an instance or group norm is about to normalise by, over images averaged."""
    given = dict(zip(NORMS[name], args, strict=False)) | kwargs
    x = given["input"]
    if name == "instance_norm" and not given.get("use_input_stats", True):
        return Statistics(given["running_mean"], given["running_var"])
    groups = given.get("num_groups", x.shape[1])
    split = x.unflatten(1, (groups, -1)).flatten(2)  # (B, groups, rest)
    mean, variance = split.mean(2).mean(0), split.var(2, correction=0).mean(0)
    return Statistics(*(v.repeat_interleave(x.shape[1] // groups) for v in (mean, variance)))


def normalise(name: str, args: Sequence[Any], kwargs: dict[str, Any], frozen: Statistics) -> Tensor:
    """The norm with the statistics of another map."""
    given = dict(zip(NORMS[name], args, strict=False)) | kwargs
    x = given["input"]
    shape = (-1, *[1] * (x.ndim - 2))
    y = (x - frozen.mean.view(shape)) / (
        frozen.variance.view(shape) + given.get("eps", 1e-5)
    ).sqrt()
    if given.get("weight") is not None:
        y = y * given["weight"].view(shape)
    return y if given.get("bias") is None else y + given["bias"].view(shape)


def repeat_beyond(x: Tensor, edges: Sequence[tuple[int, int]]) -> Tensor:
    """Continue a map periodically by (before, after) pixels along each spatial axis.

    Example:
        >>> repeat_beyond(torch.tensor([[[1, 2, 3]]]), [(2, 1)])
        tensor([[[2, 3, 1, 2, 3, 1]]])
    """
    for dim, (before, after) in enumerate(edges, start=x.ndim - len(edges)):
        if before or after:
            n = x.shape[dim]
            x = x.index_select(dim, torch.arange(-before, n + after, device=x.device) % n)
    return x


def widen(
    args: tuple[Any, ...], kwargs: dict[str, Any], scale: int
) -> tuple[tuple[Any, ...], dict[str, Any], list[int]] | None:
    """Arguments of an operator, (x, size=None, **maps at that size), continued periodically.

    Returns:
        The arguments and the size to crop the output to, from scale · `WIDER` on; None where it
        takes indices, which cannot be continued.
    """
    x, size = args[0], (args[1] if len(args) > 1 else kwargs.get("size"))
    maps = {k: v for k, v in kwargs.items() if isinstance(v, Tensor)}
    if len(args) > 2 or not all(v.is_floating_point() for v in maps.values()):
        return None
    dims, more = x.ndim - 2, scale * WIDER
    kept = [scale * n for n in x.shape[2:]] if size is None else list(size)
    wide = {k: repeat_beyond(v, [(more, more)] * dims) for k, v in maps.items()}
    inputs = repeat_beyond(x, [(WIDER, WIDER)] * dims)
    return (inputs,), kwargs | wide | {"size": [n + 2 * more for n in kept]}, kept


def narrow(y: Tensor, scale: int, size: Sequence[int]) -> Tensor:
    """The part of a widened output that belongs to the map itself."""
    for dim, n in enumerate(size, start=2):
        y = y.narrow(dim, scale * WIDER, n)
    return y


def axes(value: int | Sequence[int], dims: int) -> tuple[int, ...]:
    """`value` for each of `dims` axes."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * dims if len(values) == 1 else values


def _transposed(func: Callable[..., Any], given: dict[str, Any], dims: int) -> Tensor:
    def option(name: str, default: int) -> tuple[int, ...]:
        return axes(given.get(name, default), dims)

    x, kernel = given["input"], given["weight"].shape[2:]
    stride, dilation = option("stride", 1), option("dilation", 1)
    padding, extra = option("padding", 0), option("output_padding", 0)
    reach = [-(-d * (k - 1) // s) + 1 for k, s, d in zip(kernel, stride, dilation, strict=True)]
    y = func(**given | {"input": repeat_beyond(x, [(r, r) for r in reach]), "padding": 0,
                        "output_padding": 0})  # fmt: skip
    for axis in range(dims):
        s, p = stride[axis], padding[axis]
        # (n − 1)·s − 2p + d·(k − 1) + output_padding + 1 pixels, as ever
        stamp = dilation[axis] * (kernel[axis] - 1) + 1
        out = (x.shape[2 + axis] - 1) * s - 2 * p + stamp + extra[axis]
        y = y.narrow(2 + axis, reach[axis] * s + p, out)
    return y


def _pad(func: Callable[..., Any], given: dict[str, Any]) -> Tensor:
    x, pad = given["input"], list(given["pad"])
    zeros = given.get("mode", "constant") == "constant" and not given.get("value")
    if not zeros or min(pad) < 0 or len(pad) > 2 * (x.ndim - 2):
        return func(**given)
    edges = [(pad[i], pad[i + 1]) for i in range(len(pad) - 2, -1, -2)]  # last axis first
    if any(n == 1 and any(e) for n, e in zip(x.shape[x.ndim - len(edges) :], edges, strict=True)):
        return func(**given)  # an inserted axis: its zeros go between the pixels (upfirdn)
    return repeat_beyond(x, edges)


def _interpolate(func: Callable[..., Any], given: dict[str, Any]) -> Tensor:
    x, size, factor = given["input"], given.get("size"), given.get("scale_factor")
    dims = x.ndim - 2
    if size is None:
        factors = tuple(factor) if isinstance(factor, Sequence) else (factor,) * dims
        size = [int(n * f) for n, f in zip(x.shape[2:], factors, strict=True)]
    size = axes(size, dims)
    scales = [b // a for a, b in zip(x.shape[2:], size, strict=True)]
    whole = all(a * s == b for a, s, b in zip(x.shape[2:], scales, size, strict=True))
    if (
        given.get("align_corners")
        or given.get("mode", "nearest") in ("nearest", "area")
        or not whole
    ):
        return func(**given)  # no border is looked beyond, or pixels move with the size
    wide = repeat_beyond(x, [(WIDER, WIDER)] * dims)
    target = [(n + 2 * WIDER) * s for n, s in zip(x.shape[2:], scales, strict=True)]
    y = func(**given | {"input": wide, "size": target, "scale_factor": None})
    for axis, (s, n) in enumerate(zip(scales, size, strict=True)):
        y = y.narrow(2 + axis, s * WIDER, n)
    return y


def even_max_pool(x: Tensor, given: dict[str, Any]) -> Any:
    """Max-pooling that hands its gradient to all largest values of a window alike.

    On a constant all values are the largest; PyTorch's picks the first, which is a grid of its own.
    On pictures each place is the largest equally often, which is what this gives.
    """
    dims = x.ndim - 2
    kernel = axes(given["kernel_size"], dims)
    stride = axes(given.get("stride") or kernel, dims)
    padding, dilation = axes(given.get("padding", 0), dims), axes(given.get("dilation", 1), dims)
    ends = list(padding)
    for axis in range(dims):
        reach = dilation[axis] * (kernel[axis] - 1) + 1
        left = (x.shape[2 + axis] + 2 * padding[axis] - reach) % stride[axis]
        if given.get("ceil_mode") and left:
            ends[axis] += stride[axis] - left
    wide = repeat_beyond(x, list(zip(padding, ends, strict=True)))
    return EvenMax.apply(wide, kernel, stride, dilation)


class EvenMax(torch.autograd.Function):
    """Max-pooling without padding whose ties share the gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Any, stride: Any, dilation: Any) -> Tensor:
        """(B, C, *spatial) -> (B, C, *smaller)."""
        ctx.geometry = kernel, stride, dilation
        tops = [_tap(x, place, *ctx.geometry) for place in _places(kernel)]
        y = tops[0].clone()
        for top in tops[1:]:
            torch.maximum(y, top, out=y)
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        """Share the gradient among what is the largest, but for rounding."""
        x, y = ctx.saved_tensors
        kernel = ctx.geometry[0]
        least = y - TIE * y.abs()
        largest = [_tap(x, place, *ctx.geometry) >= least for place in _places(kernel)]
        share = gradient / torch.stack(largest).sum(0)
        back = torch.zeros_like(x)
        for place, top in zip(_places(kernel), largest, strict=True):
            _tap(back, place, *ctx.geometry).add_(share * top)
        return back, None, None, None


def _places(kernel: Sequence[int]) -> list[tuple[int, ...]]:
    return list(product(*map(range, kernel)))


def _tap(x: Tensor, place: Sequence[int], kernel: Any, stride: Any, dilation: Any) -> Tensor:
    """What one tap of a window sees, over all windows: a view."""
    for axis, at in enumerate(place):
        n = x.shape[2 + axis]
        windows = (n - dilation[axis] * (kernel[axis] - 1) - 1) // stride[axis] + 1
        start = at * dilation[axis]
        stop = start + (windows - 1) * stride[axis] + 1
        x = x[(slice(None),) * (2 + axis) + (slice(start, stop, stride[axis]),)]
    return x
