"""One step that changes the size of a map, and what the arguments of its function say of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from upzoo.audit.boundless import axes
from upzoo.metrics.checkerboard.weights import shuffle_kernel

SHORT = 4  # pixels of an axis below which its growth tells nothing


@dataclass
class Call:
    """One step that changes the size of a map, as it ran.

    Attributes:
        name: path of its module, with the function's name where the module is no layer itself;
            "between A and B" for what no function tells.
        kind: what it is, in words.
        up: whether it enlarges.
        stride: by axis, how many times it enlarges or thins out; not always whole.
        mean: (C,) mean of its input over images and pixels; None where that is not known.
        input_size: of the map that it took.
        output_size: of the map that it gave.
        kernel: its size by axis, where it has one.
        weight: (in, out // groups, *kernel) of its transposed convolution or, if it thins out, of
            its gradient's.
        source: the parameter itself, as the net holds it.
        holder: path of the module that it belongs to: before a pixel shuffle, the convolution.
        seen: (in,) mean of what that kernel was applied to.
        groups: of the weight.
        dilation: of the weight.
        again: runs the layer on another input (1, C, *any size), where that can be done.
        known: whether a function or an operator told what it is.
    """

    name: str
    kind: str
    up: bool
    stride: tuple[float, ...]
    mean: Tensor | None
    input_size: tuple[int, ...]
    output_size: tuple[int, ...]
    kernel: tuple[int, ...] | None = None
    weight: Tensor | None = None
    source: Tensor | None = None
    holder: str | None = None
    seen: Tensor | None = None
    groups: int = 1
    dilation: tuple[int, ...] | int = 1
    again: Callable[[Tensor], Any] | None = None
    known: bool = True
    energies: list[Tensor] = field(default_factory=list)

    @property
    def strides(self) -> tuple[int, ...]:
        """The stride in integers, 1 where one is not whole: then there is no fixed grid."""
        whole = all(s == int(s) for s in self.stride)
        return tuple(int(s) if whole else 1 for s in self.stride)

    @property
    def scale(self) -> int:
        """The largest of the strides."""
        return max(self.strides)


def channel_means(x: Tensor) -> Tensor:
    """Mean over images and pixels: (B, C, *spatial) -> (C,)."""
    x = x.dequantize() if x.is_quantized else x
    return x.detach().float().transpose(0, 1).flatten(1).mean(1).to(x.dtype)


def layer_facts(
    kind: str, given: dict[str, Any], y: Tensor, conv: dict[str, Any]
) -> dict[str, Any]:
    """Kernel, stride and weight of a function's call, from its arguments and its output.

    Args:
        kind: of the function.
        given: its arguments by name.
        y: its output.
        conv: the arguments of the convolution whose output a pixel shuffle takes.
    """
    x = given["input"]
    dims = x.ndim - 2
    if kind == "interpolation":
        return {"stride": ratio(x.shape[2:], y.shape[2:])}
    if kind == "pixel shuffle":
        scale = given["upscale_factor"]
        facts: dict[str, Any] = {"stride": axes(scale, dims)}
        weight = conv.get("weight")
        groups = conv.get("groups", 1)
        if weight is None or weight.shape[0] != x.shape[1] or weight.shape[0] % groups:
            return facts
        kernel = shuffle_kernel(weight.detach(), scale, groups)
        more = {"groups": groups, "seen": channel_means(conv["input"]), "source": weight}
        more["holder"] = conv.get("holder")
        return facts | more | {"kernel": tuple(weight.shape[2:]), "weight": kernel}
    if kind == "pixel unshuffle":
        return {"stride": axes(given["downscale_factor"], dims)}
    if "weight" not in given:
        kernel_size = axes(given["kernel_size"], dims)
        return {"kernel": kernel_size, "stride": axes(given.get("stride") or kernel_size, dims)}
    weight = given["weight"].detach()
    return {
        "kernel": tuple(weight.shape[2:]),
        "stride": axes(given.get("stride", 1), dims),
        "weight": weight,
        "source": given["weight"],
        "groups": given.get("groups", 1),
        "dilation": axes(given.get("dilation", 1), dims),
        "seen": channel_means(x) if kind == "transposed convolution" else None,
    }


def ratio(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[float, ...]:
    """How many times larger, or smaller, by axis."""
    ratios = [max(a, b) / max(min(a, b), 1) for a, b in zip(before, after, strict=True)]
    return tuple(int(r) if r == int(r) else r for r in ratios)


def whole_ratio(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, ...] | None:
    """The whole number of times that a map grew along each axis, up to a crop or a border.

    None where it did not grow, or by no whole number: a pixel more is no enlargement.

    Example:
        >>> whole_ratio((8, 8), (16, 17)), whole_ratio((8, 8), (9, 9)), whole_ratio((1, 1), (8, 8))
        ((2, 2), None, None)
    """
    if len(before) != len(after) or max(before) <= 1:
        return None
    # a few frames that a causal film pads are no enlargement: the other axes tell
    short = [a < SHORT <= max(before) for a in before]
    scales = tuple(
        1 if few else round(b / a) for a, b, few in zip(before, after, short, strict=True)
    )
    if max(scales) < 2 or min(scales) < 1:
        return None
    near = all(
        few or abs(b - s * a) <= min(max(s, b // 8), s * a // 5)
        for a, b, s, few in zip(before, after, scales, short, strict=True)
    )
    return scales if near else None


def whole_ratio_of_maps(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, ...] | None:
    """`whole_ratio` for what no function tells to be a map: one of two axes may be features.

    Example:
        >>> whole_ratio_of_maps((16, 16), (256, 32)), whole_ratio_of_maps((8, 8), (16, 16))
        (None, (2, 2))
    """
    scales = whole_ratio(before, after)
    return None if scales is not None and len(scales) == 2 and len(set(scales)) > 1 else scales
