"""One layer that changes the size of a map, and what the arguments of its function say of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from upzoo.audit.boundless import axes
from upzoo.metrics.checkerboard.weights import shuffle_kernel


@dataclass
class Call:
    """One layer that changes the size of a map, as it ran.

    Attributes:
        name: path of its module, with the function's name where the module is no layer itself.
        kind: what it is, in words.
        up: whether it enlarges.
        stride: by axis, how many times it enlarges or thins out; not always whole.
        mean: (C,) mean of its input over images and pixels.
        input_size: of the map that it took.
        output_size: of the map that it gave.
        kernel: its size by axis, where it has one.
        weight: (in, out // groups, *kernel) of its transposed convolution or, if it thins out, of
            its gradient's.
        seen: (in,) mean of what that kernel was applied to.
        groups: of the weight.
        dilation: of the weight.
        again: runs the layer on another input (1, C, *any size), where that can be done.
    """

    name: str
    kind: str
    up: bool
    stride: tuple[float, ...]
    mean: Tensor
    input_size: tuple[int, ...]
    output_size: tuple[int, ...]
    kernel: tuple[int, ...] | None = None
    weight: Tensor | None = None
    seen: Tensor | None = None
    groups: int = 1
    dilation: tuple[int, ...] | int = 1
    again: Callable[[Tensor], Any] | None = None

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
    return x.detach().float().transpose(0, 1).flatten(1).mean(1).to(x.dtype)


def layer_facts(
    kind: str, given: dict[str, Any], y: Tensor, conv: dict[str, Any]
) -> dict[str, Any]:
    """Kernel, stride and weight of a function's call, from its arguments and its output."""
    x = given["input"]
    dims = x.ndim - 2
    if kind == "interpolation":
        ratios = [b / a for a, b in zip(x.shape[2:], y.shape[2:], strict=True)]
        return {"stride": tuple(int(r) if r == int(r) else r for r in ratios)}
    if kind == "pixel shuffle":
        scale = given["upscale_factor"]
        facts: dict[str, Any] = {"stride": axes(scale, dims)}
        weight = conv.get("weight")
        if weight is None or weight.shape[0] != x.shape[1]:
            return facts
        kernel = shuffle_kernel(weight.detach(), scale, conv.get("groups", 1))
        more = {"groups": conv.get("groups", 1), "seen": channel_means(conv["input"])}
        return facts | more | {"kernel": tuple(weight.shape[2:]), "weight": kernel}
    if "weight" not in given:
        kernel_size = axes(given["kernel_size"], dims)
        return {"kernel": kernel_size, "stride": axes(given.get("stride") or kernel_size, dims)}
    weight = given["weight"].detach()
    return {
        "kernel": tuple(weight.shape[2:]),
        "stride": axes(given.get("stride", 1), dims),
        "weight": weight,
        "groups": given.get("groups", 1),
        "dilation": axes(given.get("dilation", 1), dims),
        "seen": channel_means(x) if kind == "transposed convolution" else None,
    }
