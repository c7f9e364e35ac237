"""An audit as a picture; two of one net side by side, before and after a correction."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from panels import canvas
from upzoo.audit import AuditReport
from upzoo.audit.figure import draw


def audit_panel(
    *reports: AuditReport,
    titles: Sequence[str] | None = None,
    shown: Sequence[Tensor | None] | None = None,
) -> Tensor:
    """Draw audits: who is to blame, how strong each grid is, and what a constant becomes.

    Args:
        reports: of the same net.
        titles: of the columns.
        shown: what each net makes of a picture.

    Returns:
        (3, height, width) uint8.
    """
    return canvas.pixels(draw(reports, titles, shown))
