"""Examine anybody's net for checkerboards: which layers make one, and which is to blame.

    import upzoo

    report = upzoo.audit(net)          # or upzoo.audit(net, example)
    print(report)                      # what was examined, the verdict, its causes, what to do
    assert report.ok

`report.findings`, `.causes`, `.layers`, `.to_dict()` and `.figure()` hold the rest. See `examine`
for how it is done, and docs/artifacts.md for what the figures mean.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from upzoo.audit.examine import audit
from upzoo.audit.report import AuditReport, Cause, Finding, Layer

__all__ = ["AuditReport", "Cause", "Finding", "Layer", "audit"]


class _Callable(ModuleType):
    """This package, which is also the function: `upzoo.audit(net)` and `upzoo.audit.report`."""

    def __call__(self, *args: Any, **kwargs: Any) -> AuditReport:
        """Call `upzoo.audit.examine.audit`."""
        return audit(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
