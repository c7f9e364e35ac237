"""Imports without Python's garbage collector, which takes a third of their time.

Millions of objects are made as torch and Lightning are imported, and all of them stay: the
collector goes through them again and again, and at the end once more.
"""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def without_collecting() -> Iterator[None]:
    """Import in here; what is there afterwards is never looked at by the collector again."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
