"""Feed a net a constant, and follow the grid that it makes of it from layer to layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from upzoo.audit.boundless import Statistics
from upzoo.audit.calls import Call, channel_means
from upzoo.audit.layers import Replace, See, Watch
from upzoo.metrics.checkerboard.grid import Ripple, periods, ripple, whole_cells, without_grid
from upzoo.metrics.checkerboard.response import constant, main_map

SMALLEST = 12  # pixels of the constant map that a generator's first layer is fed
PIXELS = 16  # of the constant map that a layer by itself is fed, at least


@dataclass
class Probe:
    """One pass of a constant through a net.

    Attributes:
        fed: where it went in.
        calls: the layers that it met.
        outputs: the ripple of each one's output at all periods so far, None where not measurable.
        own: the same at the layer's own periods.
        output: what came out.
    """

    fed: str
    calls: list[Call]
    outputs: list[Ripple | None]
    own: list[Ripple | None]
    output: Tensor


def run(
    net: nn.Module,
    inputs: Sequence[Tensor],
    replace: Replace | None = None,
    see: See | None = None,
    norms: Sequence[Statistics] | None = None,
) -> tuple[Watch, Tensor]:
    """One forward pass under watch: what was seen, and the output."""
    with Watch(net, replace, see, norms) as watch:
        output = main_map(net(*inputs))
    return watch, output


def is_picture(x: Tensor) -> bool:
    """Whether an input has pixels: (B, C, *spatial) with 8 or more along each axis."""
    return x.ndim >= 3 and min(x.shape[2:]) >= 8


def constant_pass(
    net: nn.Module, inputs: Sequence[Tensor], example: Watch, flatten: int | None = None
) -> Probe | None:
    """Feed a constant, and measure the ripple of every enlarging layer's output.

    A picture becomes its mean colour. Other inputs stay as they are, and the first layer that
    enlarges a map gets a constant one instead, larger than it would see, if the net allows that.
    Maps repeat beyond their borders, so that a constant is one wherever a layer looks, and norms
    keep the example's statistics.

    Args:
        net: the net.
        inputs: of the example.
        example: the pass over the example.
        flatten: index of a call whose own grid is taken off its output.

    Returns:
        None where there is nothing to feed.
    """
    outputs: list[Ripple | None] = []
    own: list[Ripple | None] = []
    met: list[Call] = []

    def see(index: int, call: Call, y: Tensor) -> Tensor:
        met.append(call)
        total = total_scales(met, up=True)[-1] if call.up else 1
        outputs.append(middle_ripple(y, total) if call.up else None)
        own.append(middle_ripple(y, call.scale) if call.up else None)
        if index == flatten and own[-1] is not None:
            return without_grid(y, call.scale, margin(y))
        return y

    feeds = list(_feeds(inputs, example.calls))
    for left, (fed, fields, replace) in zip(reversed(range(len(feeds))), feeds, strict=True):
        for of_this_feed in (met, outputs, own):
            of_this_feed.clear()
        try:
            _, output = run(net, fields, replace, see, example.norms)
        except RuntimeError:
            if not left:
                raise
            continue  # a net with sizes built in: the next feed keeps them
        return Probe(fed, met, outputs, own, output)
    return None


def _feeds(
    inputs: Sequence[Tensor], calls: Sequence[Call]
) -> Iterator[tuple[str, list[Tensor], Replace | None]]:
    """Ways to feed a constant, the best first: its name, inputs, and what to replace."""
    if is_picture(inputs[0]):
        yield "input", [_mean_colour(x) for x in inputs], None
        return
    one = [x[:1] for x in inputs]
    first = next((i for i, call in enumerate(calls) if call.up), None)
    if first is None:
        return
    call = calls[first]
    for least in (SMALLEST, 1):
        size = [max(n, least) for n in call.input_size]

        def replace(index: int, x: Tensor, size: list[int] = size) -> Tensor:
            return constant(call.mean, size).to(x) if index == first else x

        yield call.name, one, replace


def _mean_colour(x: Tensor) -> Tensor:
    if not x.is_floating_point() or not is_picture(x):
        return x[:1]
    return constant(channel_means(x), x.shape[2:]).contiguous()


def total_scales(calls: Sequence[Call], up: bool) -> list[int]:
    """Product of the scales along the chain of layers that ends with each call.

    A layer follows on the earlier one whose output has nearly the size of its input.
    """
    totals: list[int] = []
    for call in calls:
        before = [
            total
            for earlier, total in zip(calls, totals, strict=False)
            if earlier.up == up and _alike(earlier.output_size, call.input_size)
        ]
        totals.append(call.scale * max(before, default=1))
    return totals


def output_scale(calls: Sequence[Call], size: Sequence[int]) -> int:
    """The scale of the enlarging layers that end in a map of about this size."""
    totals = zip(calls, total_scales(calls, up=True), strict=True)
    ends = [total for call, total in totals if call.up and _alike(call.output_size, size)]
    return max(ends, default=1)


def _alike(a: Sequence[int], b: Sequence[int]) -> bool:
    """Whether two sizes differ by cropping or padding only: less than a third."""
    return len(a) == len(b) and all(
        3 * x <= 4 * y and 3 * y <= 4 * x for x, y in zip(a, b, strict=True)
    )


def margin(y: Tensor) -> int:
    """An eighth of the map on every side: operators may see their own border."""
    return min(y.shape[2:]) // 8


def middle_ripple(y: Tensor, scale: int) -> Ripple | None:
    """Ripple of the middle of a map, up to the largest period that fits in there."""
    if y.ndim < 3:
        return None
    edge = margin(y)
    fitting = [p for p in periods(scale) if whole_cells(min(y.shape[2:]), p, edge) > 0]
    return ripple(y, max(fitting), edge) if fitting else None


def own_response(call: Call) -> float | None:
    """Ripple that a layer by itself makes of its mean input, as a constant map."""
    if call.again is None or call.scale < 2:
        return None
    taps = max(call.kernel or (1,))
    size = PIXELS + 2 * (taps // call.scale)
    found = middle_ripple(call.again(constant(call.mean, [size] * len(call.stride))), call.scale)
    return None if found is None else found.total
