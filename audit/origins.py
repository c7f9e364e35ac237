"""Where a tensor comes from: the last map on its way, and the module that gave it.

Reshaping, `einsum`, `repeat_interleave`, `kron`, FFT, indexing and the like are not known one by
one. Each tensor carries the sizes of the maps that it was made of, through whatever function; where
a map arrives at a module at a multiple of that size, something in between enlarged it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from upzoo.audit.calls import whole_ratio_of_maps
from upzoo.audit.maps import Sizes

#: (batch, spatial sizes) -> name of the module whose output is the last one on the way.
Origin = dict[tuple[int, Sizes], str]
#: Functions that read their second argument at places that the first one's pixels ask for.
ASKING = {
    *("matmul", "__matmul__", "bmm", "baddbmm", "scaled_dot_product_attention", "einsum"),
    *("grid_sample", "cross_attention"),
}


class Origins:
    """The origins of the tensors of one pass."""

    def __init__(self) -> None:
        self._of: Any = WeakIdKeyDictionary()
        self._shapes: dict[tuple[int, Sizes], set[tuple[int, ...]]] = {}  # of maps, axes sorted

    def of(self, x: Any) -> Origin:
        """The origin of a tensor, empty where nothing is known."""
        return self._of.get(x, {}) if isinstance(x, Tensor) else {}

    def start(self, x: Tensor, sizes: Sizes | None, name: str) -> None:
        """Let a tensor be the output of a module: a map, or else the maps it was made of."""
        if sizes is not None and min(sizes) > 1:
            self._of[x] = {(x.shape[0], sizes): name}
            self._shapes.setdefault((x.shape[0], sizes), set()).add(tuple(sorted(x.shape)))
        else:
            self._of[x] = dict.fromkeys(self.of(x), name)

    def inherit(self, result: Any, args: Iterable[Any], function: str) -> None:
        """Let a function's result be made of what its arguments were made of."""
        merged: Origin = {}
        for x in _tensors(args):
            merged |= self.of(x)
            if merged and function in ASKING:
                break
        if merged:
            for y in _tensors([result]):
                self._of[y] = merged

    def grown(self, x: Tensor, sizes: Sizes) -> tuple[str, Sizes, tuple[int, ...], bool] | None:
        """What the map of these sizes was enlarged from, or thinned out from.

        Returns:
            Name and sizes of the origin, the ratio by axis, and whether it was enlarged.
        """
        known = {s: name for (batch, s), name in self.of(x).items() if batch == x.shape[0]}
        turned = tuple(sorted(x.shape))  # axes in another order are no enlargement
        if any(turned in self._shapes.get((x.shape[0], s), ()) for s in known):
            return None
        for before, name in known.items():
            scales = whole_ratio_of_maps(before, sizes)
            if scales is not None:
                return name, before, scales, True
        if sizes in known:
            return None
        thinned = [
            (b, n, r) for b, n in known.items() if (r := whole_ratio_of_maps(sizes, b)) is not None
        ]
        if thinned and len(thinned) == len(known):
            before, name, scales = thinned[0]
            return name, before, scales, False
        return None


def _tensors(args: Iterable[Any]) -> Iterable[Tensor]:
    for x in args:
        if isinstance(x, Tensor):
            yield x
        elif isinstance(x, list | tuple):
            yield from (each for each in x if isinstance(each, Tensor))
