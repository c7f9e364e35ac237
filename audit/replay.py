"""Run a net's functions as they are, or in endless maps with what norms and switches had before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from upzoo.audit.boundless import (
    ARGUMENTS,
    NORMS,
    Statistics,
    boundless,
    even_max_pool,
    normalise,
    statistics,
)

BATCH_NORM = ("input", "running_mean", "running_var", "weight", "bias", "training")


class Replay:
    """What the norms and switches of one pass were, and the next pass with the same.

    Args:
        example: of the pass over the example: norms and switches stay as they were there, and maps
            repeat beyond their borders. None: functions run as they are.
    """

    def __init__(self, example: Replay | None):
        self.norms: list[Statistics] = []
        self.switches: list[Tensor] = []
        self.filled = 0  # batch norms that had seen no data
        self._example = example

    def call(
        self, func: Any, name: str, args: Sequence[Any], kwargs: dict[str, Any], whole: bool
    ) -> Any:
        """Run a function, as it is or in an endless map; whole: its input goes on already."""
        if name in NORMS:
            self.norms.append(statistics(name, args, kwargs))
        example = self._example
        if example is None:
            if name == "batch_norm":
                self._fill(args, kwargs)
            result = func(*args, **kwargs)
            if name.startswith("max_pool") and isinstance(result, tuple):
                self.switches.append(result[1])
            return result
        if name in NORMS and len(self.norms) <= len(example.norms):
            return normalise(name, args, kwargs, example.norms[len(self.norms) - 1])
        if whole:
            return func(*args, **kwargs)
        if name.endswith("d_with_indices"):
            return self._switched(func, name, args, kwargs, example)
        return boundless(func, args, kwargs)

    def _switched(
        self, func: Any, name: str, args: Sequence[Any], kwargs: dict[str, Any], example: Replay
    ) -> Any:
        """Max-pooling with switches: of a constant every place is one, the example tells which."""
        y, switches = func(*args, **kwargs)
        self.switches.append(switches)
        order = ARGUMENTS.get(name.removesuffix("_with_indices"))
        if order is not None and name.startswith("max"):
            given = dict(zip(order, args, strict=False)) | kwargs
            y = even_max_pool(given["input"], given)
        if len(self.switches) <= len(example.switches):
            kept = example.switches[len(self.switches) - 1]
            switches = kept if kept.shape == switches.shape else switches
        return y, switches

    def _fill(self, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        """Give a batch norm that never saw data the statistics of the example."""
        given = dict(zip(BATCH_NORM, args, strict=False)) | kwargs
        x, mean, var = given["input"], given.get("running_mean"), given.get("running_var")
        if mean is None or var is None or bool(mean.any()) or not bool((var == 1).all()):
            return
        values = x.detach().float().transpose(0, 1).flatten(1)
        if values.shape[1] > 1 and bool(values.isfinite().all()):
            self.filled += 1
            mean.copy_(values.mean(1))
            var.copy_(values.var(1, correction=0).clamp(min=1e-6))
