"""Level what a net adds by itself from place to place: learned maps, positions, random draws.

They hide a grid in their own differences. With each of them replaced by one value for all places, a
constant stays a constant, and what repeats at the output is the net's own grid.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

#: Functions that draw random numbers.
DRAWS = ("randn", "rand", "randn_like", "rand_like", "normal", "normal_", "uniform_")
CHANCE = 4.0  # standard deviations of χ² that equal shares may show
#: In the names of what is no map: kernels that a net hands to a convolution itself.
KERNELS = ("weight", "kernel", "filter", "fir", "blur")


def positions(name: str, x: Tensor, dims: int) -> tuple[int, ...]:
    """The axes of a parameter or buffer that are places, empty for what is no learned map.

    Args:
        name: its own name in its module.
        x: (1, C, *spatial), (1, *spatial, C), or (1, N, C) of tokens.
        dims: spatial axes of the net.

    Example:
        >>> tokens, image = torch.zeros(1, 196, 64), torch.zeros(1, 8, 4, 4)
        >>> positions("pos_embed", tokens, 2), positions("const", image, 2)
        ((1,), (2, 3))
        >>> positions("weight", image, 2), positions("gamma", tokens[:, :1], 2)
        ((), ())
    """
    odd = not x.is_floating_point() or x.ndim < 3 or x.shape[0] != 1
    if odd or any(word in name.lower() for word in KERNELS):
        return ()
    axes: tuple[int, ...] = ()
    if x.ndim == 3:
        axes = (2,) if dims == 1 and x.shape[2] > x.shape[1] else (1,)
    elif x.ndim == dims + 2:
        first, last = tuple(range(2, dims + 2)), tuple(range(1, dims + 1))
        square = len({x.shape[a] for a in last}) == 1 and len({x.shape[a] for a in first}) > 1
        axes = last if square else first
    return axes if axes and min(x.shape[a] for a in axes) > 1 else ()


@contextlib.contextmanager
def levelled(net: nn.Module, dims: int) -> Iterator[list[str]]:
    """Hold a net's learned maps at their means while the context is open: their names."""
    kept: list[tuple[str, Tensor, Tensor]] = []
    try:
        with torch.no_grad():
            for path, module in net.named_modules():
                if type(module).__module__.startswith("torch.nn.modules"):
                    continue
                own = {**module._parameters, **module._buffers}
                for name, x in own.items():
                    axes = () if x is None else positions(name, x, dims)
                    if axes:
                        assert x is not None
                        kept.append((f"{path}.{name}".lstrip("."), x, x.detach().clone()))
                        x.copy_(x.mean(axes, keepdim=True).expand_as(x))
        yield [name for name, _, _ in kept]
    finally:
        with torch.no_grad():
            for _, x, before in kept:
                x.copy_(before)


def one_draw(name: str, result: Any) -> Any:
    """Random numbers that a function drew, the same at all places.

    They are (B, C, *spatial), or (B, N, C) of tokens.
    """
    if name not in DRAWS or not isinstance(result, Tensor) or result.ndim < 3:
        return result
    flat = result
    for axis in range(1 if result.ndim == 3 else 2, 2 if result.ndim == 3 else result.ndim):
        flat = flat.narrow(axis, 0, 1)
    flat = flat.clone().expand_as(result)
    return result.copy_(flat) if name.endswith("_") else flat.contiguous()


def even_unpool(y: Tensor, given: Mapping[str, Any]) -> Tensor:
    """Max-unpooling as it is on average: each place of a window gets its share of the values.

    Which place a value goes to is the picture's choice. Where the places are chosen equally often,
    but for chance, each gets the same.

    Args:
        y: what the function gave, (B, C, *spatial).
        given: its arguments: "input", and "indices" of the places in a flat map.
    """
    x, indices = given["input"], given["indices"]
    sizes, small = y.shape[2:], x.shape[2:]
    if any(n % m for n, m in zip(sizes, small, strict=True)):
        return y
    window = [n // m for n, m in zip(sizes, small, strict=True)]
    cells = math.prod(window)
    place, rest, step = torch.zeros_like(indices), indices, 1
    for n, w in zip(reversed(sizes), reversed(window), strict=True):  # the last axis is the fastest
        place = place + step * (rest % n % w)
        rest, step = rest // n, step * w
    chosen = torch.nn.functional.one_hot(place.transpose(0, 1).flatten(1), cells)
    counts = chosen.sum(1).double()  # (C, cells)
    expected = counts.sum(1, keepdim=True) / cells
    # Σ (n − e)² / e is χ² with cells − 1 degrees of freedom where the places are alike
    alike = ((counts - expected).square() / expected).sum(1, keepdim=True) < (
        cells - 1 + CHANCE * math.sqrt(2 * (cells - 1))
    )
    shares = torch.where(alike, expected, counts) / counts.sum(1, keepdim=True)
    stamps = shares.to(x.dtype).view(1, -1, *(n for w in window for n in (1, w)))
    spread = x.reshape(*x.shape[:2], *(n for m in small for n in (m, 1)))
    return (spread * stamps).reshape(y.shape)
