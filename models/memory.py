"""How much memory there is, and the refusal of nets that cannot fit into it."""

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


def physical_memory() -> int | None:
    """Bytes of memory of this machine, None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


class WithinMemory(TorchFunctionMode):
    """Refuses a net whose weights ask for more than half of the memory, before any is touched.

    A system that promises more than it has would kill the process, and perhaps others, later.
    Modules of torch reserve their weights by `torch.empty`, which are counted in here.

    Raises:
        ValueError: as soon as the sum is too large.
    """

    def __init__(self) -> None:
        super().__init__()
        self._reserved, self._memory = 0, physical_memory()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Any = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is not torch.empty:
            return func(*args, **(kwargs or {}))
        try:
            made = func(*args, **(kwargs or {}))
        except RuntimeError as error:
            if not re.search("memory|overflow", str(error)):
                raise
            self._refuse()
        if made.device.type == "cpu":
            self._reserved += made.nbytes
        if self._memory is not None and self._reserved > self._memory / 2:
            self._refuse()
        return made

    def _refuse(self) -> None:
        there = "" if self._memory is None else f" of {self._memory / 2**30:.0f} GiB"
        raise ValueError(
            f"the weights of this net would take more than half of this machine's memory{there}: "
            "make it smaller, by its width, widths or depth"
        ) from None
