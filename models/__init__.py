"""UpZoo: decoders whose upsampling is one argument, and what it does to their output.

>>> import upzoo
>>> "dysample" in upzoo.list_operators()
True

Importing it imports nothing else: torch comes with the first name that is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from upzoo import audit, metrics, upsampling
    from upzoo.architectures import create, list_architectures, list_operators
    from upzoo.audit.correction import correct
    from upzoo.distilling import distil
    from upzoo.swapping import swap
    from upzoo.zoo import list_models, load

__all__ = [
    "audit",
    "correct",
    "create",
    "distil",
    "list_architectures",
    "list_models",
    "list_operators",
    "load",
    "metrics",
    "swap",
    "upsampling",
]

#: Public names and the modules that hold them; a module's own name stands for itself.
PUBLIC = {
    "audit": "upzoo.audit",
    "correct": "upzoo.audit.correction",
    "create": "upzoo.architectures",
    "distil": "upzoo.distilling",
    "list_architectures": "upzoo.architectures",
    "list_models": "upzoo.zoo",
    "list_operators": "upzoo.architectures",
    "load": "upzoo.zoo",
    "metrics": "upzoo.metrics",
    "swap": "upzoo.swapping",
    "upsampling": "upzoo.upsampling",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in PUBLIC:
        raise AttributeError(f"module 'upzoo' has no attribute {name!r}")
    module = importlib.import_module(PUBLIC[name])
    return module if PUBLIC[name] == f"upzoo.{name}" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
