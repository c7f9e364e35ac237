"""Imports that take no longer than what is used of them.

Millions of objects are made as torch and Lightning are imported, and all of them stay: the garbage
collector goes through them again and again, a third of the time. And torchmetrics, which Lightning
imports, imports in turn every metric of sound, text and pictures, with SciPy and torchvision.
Lightning imports torch's compiler, and that Triton, 76 MB that only compiled nets use.
"""

import contextlib
import gc
import importlib
import importlib.util
import logging
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

#: Packages that are imported in pieces, and where the names are that we and Lightning ask for.
PIECES = {
    "torchmetrics": {
        "MeanMetric": "torchmetrics.aggregation",
        "Metric": "torchmetrics.metric",
        "MetricCollection": "torchmetrics.collections",
    },
    "torchmetrics.functional": {},
    "torchmetrics.functional.image": {},
    "torchmetrics.image": {
        "PeakSignalNoiseRatio": "torchmetrics.image.psnr",
        "StructuralSimilarityIndexMeasure": "torchmetrics.image.ssim",
    },
}


@contextlib.contextmanager
def without_collecting() -> Iterator[None]:
    """Import in here; what is there afterwards is never looked at by the collector again."""
    gc.disable()
    in_pieces()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextlib.contextmanager
def without_triton() -> Iterator[None]:
    """Import in here as if Triton were not installed, in a process that compiles no net."""
    there = "triton" in sys.modules
    logger = logging.getLogger("torch.utils.flop_counter")  # which warns that it is missing
    level = logger.level
    if not there:
        sys.modules["triton"] = None  # type: ignore[assignment]  # the import system's own way
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        if not there:
            del sys.modules["triton"]
            logger.setLevel(level)


class _Pieces(ModuleType):
    """A package whose own code runs when a name is asked for that none of the pieces has."""

    def __getattr__(self, name: str) -> Any:
        pieces = PIECES[self.__name__]
        if name in pieces:
            importlib.import_module("torchmetrics.utilities")  # which `metric` needs before it
            return getattr(importlib.import_module(pieces[name]), name)
        if name.startswith("__"):  # such as __version__, which torchmetrics has from its own code
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        self.__class__ = ModuleType  # type: ignore[assignment]
        assert self.__spec__ is not None
        assert self.__spec__.loader is not None
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def in_pieces() -> None:
    """Let torchmetrics be imported in pieces from now on, unless it is imported already."""
    if "torchmetrics" in sys.modules:
        return
    for name in PIECES:
        spec = importlib.util.find_spec(name)
        if spec is None:
            return
        package = importlib.util.module_from_spec(spec)
        package.__class__ = _Pieces
        sys.modules[name] = package
    vars(sys.modules["torchmetrics"])["_logger"] = logging.getLogger("torchmetrics")
