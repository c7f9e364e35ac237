"""What a net is fed: a tree of arguments, its picture, and a constant in the picture's place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from upzoo.audit.maps import FEW, SMALLEST, Sizes


class Inputs(NamedTuple):
    """Positional and keyword arguments of a net."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def tensors(self) -> list[Tensor]:
        """All tensors, in order."""
        return [x for x in pytree.tree_leaves((self.args, self.kwargs)) if isinstance(x, Tensor)]

    def replace(self, of: Mapping[int, Tensor]) -> Inputs:
        """The same with other tensors, by the id of the old ones."""
        swapped = pytree.tree_map(
            lambda x: of.get(id(x), x) if isinstance(x, Tensor) else x, (self.args, self.kwargs)
        )
        return Inputs(*swapped)

    def to(self, device: torch.device, dtype: torch.dtype | None = None) -> Inputs:
        """On a device; floats in a dtype."""
        moved = {
            id(x): x.to(device, dtype if x.is_floating_point() else None) for x in self.tensors()
        }
        return self.replace(moved)


def gather(
    example: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
) -> Inputs:
    """The arguments of a net from an example: a tensor, a tuple, a dict of keywords, or a list.

    Raises:
        ValueError: for an example in which there is no tensor.
    """
    if isinstance(example, Mapping) and all(isinstance(key, str) for key in example):
        inputs = Inputs(tuple(args), {**example, **(kwargs or {})})
    elif isinstance(example, tuple):
        inputs = Inputs((*example, *args), dict(kwargs or {}))
    else:
        inputs = Inputs((example, *args), dict(kwargs or {}))
    if not inputs.tensors():
        raise ValueError(
            f"example={example!r:.60} holds no tensor: give a tensor, a tuple of the net's inputs, "
            "or a dict of its keywords"
        )
    return inputs


class Picture(NamedTuple):
    """The input that has pixels: the tensor, its spatial axes, its sizes."""

    tensor: Tensor
    axes: Sizes

    @property
    def sizes(self) -> Sizes:
        """Pixels along each axis."""
        return tuple(self.tensor.shape[a] for a in self.axes)


def pictures(inputs: Inputs, dims: int | None = None, channels: int | None = None) -> list[Picture]:
    """The inputs that have pixels, those with the most axes, the first one first.

    Args:
        inputs: of the net.
        dims: spatial axes of the net, where it is known: 5 axes are a volume or a film.
        channels: of its first convolution, where it is known: they tell (B, C, T) from (B, T, C).
    """
    found = [p for x in inputs.tensors() if (p := _as_picture(x, dims, channels)) is not None]
    most = max((p.tensor.ndim for p in found), default=0)
    return [p for p in found if p.tensor.ndim == most]


def _as_picture(x: Tensor, dims: int | None, channels: int | None) -> Picture | None:
    if not x.is_floating_point() or not 3 <= x.ndim <= 5:
        return None
    axes = tuple(range(2, x.ndim))
    bare = x.ndim == 3 and x.shape[0] in (1, 3) and min(x.shape[1:]) >= 32 and dims == 2
    if bare:
        axes = (1, 2)  # (C, H, W) in a list, as detection nets take it
    elif x.ndim == 3 and dims == 1 and x.shape[2] == channels != x.shape[1]:
        axes = (1,)  # (B, T, C)
    elif x.ndim == 5 and dims == 2:
        axes = (3, 4)  # (B, T, C, H, W)
    elif x.ndim == 4 and x.shape[-1] <= FEW < min(x.shape[1:3]):
        axes = (1, 2)  # (B, H, W, C)
    return Picture(x, axes) if min(x.shape[a] for a in axes) >= SMALLEST else None


def constants(found: Sequence[Picture], off: float = 0.0) -> dict[int, Tensor]:
    """Each picture's mean colour as a constant map of its shape, by the picture's id.

    The colour is that of all images together, so that a batch shows one grid.

    Args:
        found: pictures.
        off: so many of its standard deviations away from the mean.
    """
    made = {}
    for picture in found:
        x, axes = picture.tensor, picture.axes
        bare = x.ndim == 3 and axes == (1, 2)
        over = axes if bare else (0, *axes)
        mean = x.detach().double().mean(over, keepdim=True)
        if off:
            mean = mean + off * x.detach().double().std(over, correction=0, keepdim=True)
        made[id(x)] = mean.to(x.dtype).expand_as(x).contiguous()
    return made
