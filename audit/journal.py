"""What a pass over a net writes down: its calls in order, and where every map comes from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from upzoo.audit.calls import Call, channel_means, whole_ratio
from upzoo.audit.functions import steps_of
from upzoo.audit.maps import Sizes, map_sizes
from upzoo.audit.origins import Origins
from upzoo.audit.replay import Replay

Replace = Callable[[int, Tensor], Tensor]
See = Callable[[int, Call, Tensor], Tensor]
Thin = Callable[[Call, Tensor], None]


@dataclass
class Plan:
    """What a pass does to the net besides watching it.

    Attributes:
        replace: (index of a call that enlarges, its input) -> the input to use.
        see: (index, call, its output) -> the output to use.
        thin: (call, an alias of its input) of each call that thins out.
        example: the pass over the example: let maps repeat beyond their borders, and norms and
            switches stay as they were there. None: the net runs as it is.
        maps: (name of a module, its output) of every module that gives a map.
        level: let random numbers be the same at all places.
    """

    replace: Replace = lambda index, x: x
    see: See = lambda index, call, y: y
    thin: Thin = lambda call, x: None
    example: Replay | None = None
    maps: Callable[[str, Tensor], None] | None = None
    level: bool = False


class Journal:
    """The calls of a pass that enlarge a map or thin it out.

    Args:
        plan: what to do at each besides noting it.
        like: spatial sizes of the net's picture, if it takes one.
        dims: its spatial axes.
    """

    def __init__(self, plan: Plan, like: Sequence[int] | None, dims: int) -> None:
        self.plan = plan
        self.calls: list[Call] = []
        self.origins = Origins()
        self._like, self._dims = like, dims
        self._sliced: list[tuple[Tensor, Call]] = []

    def forget_maps(self) -> None:
        """Let go of the maps that were kept to be recognised within the pass."""
        self._sliced.clear()

    def sizes(self, value: Any) -> Sizes | None:
        """Spatial sizes of a value that is a map; None for any other."""
        return map_sizes(value, self._like, self._dims)

    def note(
        self,
        name: str,
        kind: str,
        up: bool,
        x: Tensor,
        y: Any,
        again: Callable[[Tensor], Any] | None,
        facts: dict[str, Any],
    ) -> Any:
        """Add a call, and return its output after `see` had its say."""
        out = main_map(y)
        call = Call(
            name=name or "net",
            kind=kind,
            up=up,
            mean=channel_means(x),
            input_size=tuple(x.shape[2:]),
            output_size=tuple(out.shape[2:]),
            again=again,
            **facts,
        )
        self.calls.append(call)
        if not up:
            self.plan.thin(call, x)
            self.origins.start(out, call.output_size, call.name)
            return y
        shown = self.plan.see(len(self.calls) - 1, call, out)
        self.origins.start(shown, call.output_size, call.name)
        return (shown, *y[1:]) if isinstance(y, tuple) else shown

    def arrive(self, x: Any, name: str) -> Any:
        """A map on its way into a module: note what enlarged it since the module before."""
        sizes = self.sizes(x)
        found = None if sizes is None or min(sizes) < 2 else self.origins.grown(x, sizes)
        if found is None:
            return x
        before, size, scales, up = found
        y = self.bracket(f"between {before} and {name}", x, size, sizes or (), scales, up)
        self.origins.start(y, sizes, f"the input of {name}")
        return y

    def bracket(
        self,
        name: str,
        x: Tensor,
        before: Sizes,
        after: Sizes,
        scales: tuple[int, ...],
        up: bool,
        kind: str = "reshaping or indexing",
    ) -> Tensor:
        """Note an enlargement or thinning that no known function did."""
        call = Call(name, kind, up, scales, None, before, after, known=False)
        self.calls.append(call)
        y = self.plan.see(len(self.calls) - 1, call, x) if up else x
        self.origins.start(y, after, name)
        return y

    def finish(self, y: Tensor, name: str) -> Tensor:
        """The map that the net gave, (B, C, *spatial): what enlarged it after the last module."""
        sizes = tuple(y.shape[2:])
        found = self.origins.grown(y, sizes)
        if found is None:
            return y
        before, size, scales, up = found
        return self.bracket(f"between {before} and the output", y, size, sizes, scales, up)

    def slice(self, func: Any, args: Sequence[Any], within: str) -> Any:
        """Take every n-th pixel: `x[..., ::2, ::2]`."""
        x, index = args
        steps = steps_of(x, index)
        sizes = self.sizes(x)
        if sizes is None or max(steps, default=1) < 2 or max(sizes) < 2:
            return func(x, index)
        alias = x.view_as(x) if x.requires_grad else x
        y = func(alias, index)
        after = self.sizes(y)
        if after is None or len(after) != len(sizes) or not isinstance(y, Tensor):
            return y
        scales = whole_ratio(after, sizes)
        if scales is None:
            return y
        name = f"{within}[::{max(scales)}]"
        for source, call in self._sliced:
            if source is x and call.name == name:
                self.plan.thin(call, alias)
                return y
        call = Call(name, "slicing", False, scales, None, sizes, after)
        self._sliced.append((x, call))
        self.calls.append(call)
        self.plan.thin(call, alias)
        self.origins.start(y, after, name)
        return y


def main_map(y: Any) -> Any:
    """What a module or function gave; of several the first."""
    return y[0] if isinstance(y, tuple) and y else y
