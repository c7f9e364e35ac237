"""Large images in tiles: what a net makes of each, with a margin, is what it makes of the whole.

A tile's core is kept of an output that saw a margin around it. The margin is the net's receptive
field, and tiles start at multiples of its stride; both are measured on the net itself, since what
is read off its layers would have to know every kind of layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

#: Bytes that one operation on a tile reads and writes at most; a tile holds a few times as many.
BUDGET = 64 * 2**20
#: Widths in pixels of the strips that a net is measured on, of which a quarter at either end is
#: exchanged, and their height.
STRIPS, STRIP_HEIGHT = (256, 512, 1024, 2048, 4096), 64
STRIDES = (1, 2, 4, 8, 16, 32)
#: Largest difference that rounding makes, in standard deviations of the output; tiles off their
#: stride, or without enough of a margin, differ by 0.2 and more.
ROUNDING = 1e-2
#: Pixels that are added to the margin where the first does not pass: pooling hides what changes
#: below its maximum.
SPARE = 32


@dataclass(frozen=True)
class Reach:
    """How far a net looks, and what it holds while it does.

    Attributes:
        margin: pixels from a border at a multiple of the stride to the last output that depends on
            what lies beyond it.
        stride: shifts of the input by multiples of it shift the output.
        bytes_per_pixel: that one operation reads and writes at most, for each pixel of the input.
    """

    margin: int
    stride: int
    bytes_per_pixel: float


@dataclass(frozen=True)
class Tile:
    """A part of the input, and the part of it whose output is kept; (start, stop) each.

    Attributes:
        rows, columns: of the input that the net is given.
        core_rows, core_columns: of the input whose output is kept.
    """

    rows: tuple[int, int]
    columns: tuple[int, int]
    core_rows: tuple[int, int]
    core_columns: tuple[int, int]

    def of(self, image: Tensor) -> Tensor:
        """The part of (…, H, W) that the net is given."""
        return image[..., slice(*self.rows), slice(*self.columns)]

    def core(self, image: Tensor, scale: int = 1) -> Tensor:
        """The part of (…, scale·H, scale·W) that this tile gives, a view."""
        (top, bottom), (left, right) = self.core_rows, self.core_columns
        return image[..., scale * top : scale * bottom, scale * left : scale * right]

    def kept(self, output: Tensor, scale: int = 1) -> Tensor:
        """The core of what the net made of `of(image)`."""
        (top, bottom), (left, right) = (
            (core[0] - outer[0], core[1] - outer[0])
            for core, outer in ((self.core_rows, self.rows), (self.core_columns, self.columns))
        )
        return output[..., scale * top : scale * bottom, scale * left : scale * right]


def tiles(height: int, width: int, reach: Reach | None, budget: int = BUDGET) -> list[Tile]:
    """Cut an image; one tile where it fits into the budget, or where the net cannot be tiled.

    Args:
        height: of the image in pixels.
        width: of the image in pixels.
        reach: of the net, as `measure` gives it; None for a net that needs the whole.
        budget: bytes that one operation may read and write. A tile's core is never smaller than
            the margin, whatever the budget, so that no pixel is worked on more than nine times.
    """
    if reach is None or height * width * reach.bytes_per_pixel <= budget:
        return [Tile((0, height), (0, width), (0, height), (0, width))]
    side = int((budget / reach.bytes_per_pixel) ** 0.5)
    core = max(side - 2 * reach.margin, reach.margin, 1)
    margin = _up(reach.margin, reach.stride)
    rows, columns = (_cuts(n, _up(core, reach.stride), margin) for n in (height, width))
    return [Tile(r, c, core_r, core_c) for r, core_r in rows for c, core_c in columns]


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def _cuts(n: int, core: int, margin: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """(start, stop) with margins and without, along an axis of n pixels; both start aligned."""
    ends = [(a, min(a + core, n)) for a in range(0, n, core)]
    return [
        ((max(start - margin, 0), min(stop + margin, n)), (start, stop)) for start, stop in ends
    ]


@torch.inference_mode()
def measure(net: nn.Module, channels: int) -> Reach | None:
    """How far a net looks along both axes: the outputs that change with a part of its input.

    Noise is exchanged for other noise at both ends of a strip. The result is then tried: a part
    with the margin must give what the whole gives.

    Args:
        net: (B, channels, H, W) -> (B, C, s·H, s·W) for an integer s; in evaluation mode.
        channels: of its input.

    Returns:
        None for a net that looks farther than 990 pixels (one with global pooling, attention or
        norms of the image looks at all of it), that no shift by a power of two up to 32 leaves
        alike, or that does not take images of any size.
    """
    # A net of anybody's may refuse a strip by any error; then it is given the whole image alone.
    try:
        found = _margin_and_stride(net, channels)
    except (RuntimeError, ValueError, AssertionError):
        return None
    if found is None:
        return None
    return Reach(*found, _bytes_per_pixel(net, channels))


@torch.inference_mode()
def fits(net: nn.Module, channels: int, pixels: int, budget: int = BUDGET) -> bool:
    """Whether a net takes an image as a whole within the budget, for which it runs once.

    Args:
        net: as `measure` takes it.
        channels: of its input.
        pixels: of the image.
        budget: bytes that one operation may read and write.

    Returns:
        False, too, for a net that does not take images of any size.
    """
    try:
        return pixels * _bytes_per_pixel(net, channels) <= budget
    except (RuntimeError, ValueError, AssertionError):
        return False


def _bytes_per_pixel(net: nn.Module, channels: int) -> float:
    """Bytes that one operation reads and writes at most, for each pixel of the input."""
    most = _Most()
    with most:
        net(torch.zeros(1, channels, STRIP_HEIGHT, STRIPS[0]))
    return most.bytes / (STRIP_HEIGHT * STRIPS[0])


def _margin_and_stride(net: nn.Module, channels: int) -> tuple[int, int] | None:
    """Those of both axes together."""
    margins = [_margin(net, channels, turned) for turned in (False, True)]
    known = [margin for margin in margins if margin is not None]
    if len(known) < len(margins):
        return None
    for margin in (max(known), max(known) + SPARE):
        tried = [_stride(net, channels, margin, turned) for turned in (False, True)]
        strides = [stride for stride in tried if stride is not None]
        if len(strides) == len(tried):
            return margin, max(strides)
    return None


def _margin(net: nn.Module, channels: int, turned: bool) -> int | None:
    """The largest distance from an input that changes to an output that does, along the strip.

    Two strips must agree, since a dilated kernel may look past all that changes in a narrow one.
    """
    narrower = None
    for width in STRIPS:
        ends = width // 4
        x = _noise(2, channels, STRIP_HEIGHT, width)
        x[1, ..., ends:-ends] = x[0, ..., ends:-ends]
        y = _along(net, x, turned)
        same = (y[0] == y[1]).flatten(0, -2).all(0)  # (scale·width,)
        same = same.view(width, -1).all(1)
        middle = width // 2
        if not same[middle - max(STRIDES) : middle + max(STRIDES)].all():
            continue
        changed = (~same).nonzero().flatten().tolist()
        left = max((i for i in changed if i < middle), default=0) + 1 - ends
        right = width - ends - min((i for i in changed if i > middle), default=width)
        margin = max(left, right, 0)
        if margin == narrower:
            break
        narrower = margin
    return narrower


def _noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def _stride(net: nn.Module, channels: int, margin: int, turned: bool) -> int | None:
    """The smallest stride at which a part of a strip, in its middle, gives what the whole does."""
    width = 2 * margin + 4 * max(STRIDES)
    x = _noise(1, channels, STRIP_HEIGHT, width)
    whole = _along(net, x, turned)
    scale = whole.shape[-1] // width
    spread = whole.std() + torch.finfo(whole.dtype).tiny
    for stride in STRIDES:
        part = _along(net, x[..., stride : width - stride], turned)
        start, stop = scale * (stride + margin), scale * (width - stride - margin)
        inner = part[..., scale * margin : scale * margin + stop - start]
        if (
            inner.shape[-1] == stop - start
            and (inner - whole[..., start:stop]).abs().max() <= ROUNDING * spread
        ):
            return stride
    return None


def _along(net: nn.Module, x: Tensor, turned: bool) -> Tensor:
    """The net on a strip, or on the strip turned upright and its output turned back."""
    return net(x.mT).mT if turned else net(x)


class _Most(TorchDispatchMode):
    """Notes the most bytes that one operation reads and writes."""

    bytes = 0

    @classmethod
    def _should_skip_dynamo(cls):
        return False  # from 2.8 on, torch would import its compiler to skip it, a second

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        leaves = tree_leaves((args, kwargs, made))
        held = [leaf.untyped_storage() for leaf in leaves if isinstance(leaf, Tensor)]
        total = sum({each.data_ptr(): each.nbytes() for each in held}.values())
        self.bytes = max(self.bytes, total)
        return made


@torch.inference_mode()
def assemble(make: Callable[[Tensor], Tensor], image: Tensor, parts: Iterable[Tile]) -> Tensor:
    """What `make` gives of an image, tile by tile.

    Args:
        make: (C, h, w) -> (…, s·h, s·w), the net with all that is done to its input and output
            pixel by pixel; the same s, dtype and leading sizes for every tile.
        image: (C, H, W).
        parts: of `tiles(H, W, …)`.

    Returns:
        (…, s·H, s·W).
    """
    whole: Tensor | None = None
    scale = 1
    for tile in parts:
        part = tile.of(image)
        made = make(part)
        if whole is None:
            scale = made.shape[-1] // part.shape[-1]
            height, width = image.shape[-2:]
            whole = made.new_empty(*made.shape[:-2], scale * height, scale * width)
        tile.core(whole, scale).copy_(tile.kept(made, scale))
    if whole is None:
        raise ValueError("no tile of the image is given")
    return whole
