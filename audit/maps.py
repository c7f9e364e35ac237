"""Find the map among what a net takes and gives: (B, C, *spatial), whatever holds it.

Nets return dicts, tuples, lists, dataclasses; maps come as (B, C, H, W), (B, H, W, C), (B, H, W) or
with a time axis. Which axes are spatial is told by the input: a map has its aspect.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

Sizes = tuple[int, ...]
FEW = 4  # channels of a picture, at most
SMALLEST = 8  # pixels along each axis of an input that counts as a picture
SAMPLES = 32  # of a line without channels, at least
ASPECT = 1.12  # by which the aspects of input and output may differ, for cropping and padding


class Leaf(NamedTuple):
    """One tensor of an output, and the name that finds it: "out", "0", "features.2"."""

    name: str
    value: Tensor


def leaves(output: Any, name: str = "") -> Iterator[Leaf]:
    """Every tensor of an output, in its order.

    Example:
        >>> import torch
        >>> [leaf.name for leaf in leaves({"out": torch.ones(1), "more": [torch.ones(1)]})]
        ['out', 'more.0']
    """
    if isinstance(output, Tensor):
        yield Leaf(name, output)
        return
    for key, value in _children(output):
        yield from leaves(value, f"{name}.{key}" if name else str(key))


def _children(output: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(output, Mapping):
        yield from output.items()
    elif isinstance(output, tuple) and hasattr(output, "_fields"):
        yield from zip(output._fields, output, strict=True)
    elif isinstance(output, list | tuple):
        yield from enumerate(output)
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        for field in dataclasses.fields(output):
            yield field.name, getattr(output, field.name, None)


def spatial_axes(shape: Sequence[int], like: Sequence[int] | None, dims: int) -> Sizes | None:
    """Which axes of a tensor are spatial.

    Args:
        shape: of the tensor, batch first.
        like: spatial sizes of the input, if it is a map.
        dims: spatial axes of the net: 1, 2 or 3.

    Returns:
        The axes, or None for what is no map.

    Example:
        >>> spatial_axes((1, 3, 64, 96), (32, 48), 2), spatial_axes((1, 64, 96, 3), (32, 48), 2)
        ((2, 3), (1, 2))
        >>> spatial_axes((1, 64, 96), (32, 48), 2), spatial_axes((1, 196, 768), (224, 224), 2)
        ((1, 2), None)
    """
    ndim = len(shape)
    first = tuple(range(2, 2 + dims))  # (B, C, *spatial)
    if ndim == dims + 3 and dims == 2:
        return (3, 4)  # (B, T, C, H, W)
    if ndim == dims + 1 and dims > 1:  # (B, *spatial)
        bare = tuple(range(1, 1 + dims))
        return bare if fits(shape, bare, like) and min(shape[1:]) >= SMALLEST else None
    if ndim == 2 and dims == 1 and like is not None:  # (B, samples) of a vocoder
        whole = shape[1] >= SAMPLES and shape[1] % like[0] == 0
        return (1,) if whole else None
    if ndim != dims + 2:
        return None
    last = tuple(range(1, 1 + dims))  # (B, *spatial, C)
    if dims == 1 or fits(shape, first, like) == fits(shape, last, like):
        narrow = dims > 1 and shape[-1] <= FEW < min(shape[1:-1])
        return last if narrow and shape[1] > FEW else first
    return last if fits(shape, last, like) else first


def fits(shape: Sequence[int], axes: Sequence[int], like: Sequence[int] | None) -> bool:
    """Whether axes have the aspect of the input; of a square, where there is none to tell."""
    sizes = [shape[a] for a in axes]
    if min(sizes) < 1:
        return False
    wanted = tuple(like) if like is not None and len(like) == len(sizes) else (1,) * len(sizes)
    ratios = [size / want for size, want in zip(sizes, wanted, strict=True)]
    return max(ratios) <= ASPECT * min(ratios)


def map_sizes(x: Any, like: Sequence[int] | None, dims: int) -> Sizes | None:
    """Spatial sizes of a tensor, None for what is no map."""
    if not isinstance(x, Tensor) or not x.ndim:
        return None
    axes = spatial_axes(x.shape, like, dims)
    return None if axes is None else tuple(x.shape[a] for a in axes)


def to_map(x: Tensor, like: Sequence[int] | None, dims: int) -> Tensor | None:
    """A tensor as (B, C, *spatial) floats; None for labels and for what is no map or an empty one.

    Example:
        >>> import torch
        >>> to_map(torch.ones(2, 64, 96, 3), (64, 96), 2).shape
        torch.Size([2, 3, 64, 96])
    """
    if x.is_quantized:
        x = x.dequantize()
    axes = spatial_axes(x.shape, like, dims)
    if axes is None or not x.is_floating_point() or not x.numel():
        return None
    if min(x.shape[a] for a in axes) < 2:
        return None
    if axes[0] == 1:
        return x.unsqueeze(1) if x.ndim == dims + 1 else x.movedim(-1, 1)
    return x.flatten(0, 1) if x.ndim == dims + 3 else x


def largest_map(
    output: Any, like: Sequence[int] | None, dims: int, name: str | None = None
) -> Leaf | None:
    """The map with the most pixels among all that a net gave, or the one of that name.

    Raises:
        ValueError: for a name that is not there, or that is no map.
    """
    found = list(leaves(output))
    if name is not None:
        named = [leaf for leaf in found if name in (leaf.name, leaf.name.split(".")[0])]
        if not named:
            known = ", ".join(leaf.name or "(a tensor)" for leaf in found[:12]) or "nothing"
            raise ValueError(f"output={name!r}: the net gives no such output, it gives {known}")
        found = named
    maps = [
        Leaf(leaf.name, y) for leaf in found if (y := to_map(leaf.value, like, dims)) is not None
    ]
    if name is not None and not maps:
        shape = tuple(found[0].value.shape)
        raise ValueError(f"output={name!r} is {shape} {found[0].value.dtype}: that is no map")
    return max(maps, key=lambda leaf: leaf.value[0, 0].numel(), default=None)


def shapes(output: Any) -> str:
    """What an output holds, in words, for a message."""
    found = [f"{leaf.name} {tuple(leaf.value.shape)}".strip() for leaf in leaves(output)]
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return ", ".join(found[:3]) + more if found else f"no tensor ({type(output).__name__})"
