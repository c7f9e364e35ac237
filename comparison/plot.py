"""The page that a comparison's figures are drawn on, and how an operator looks in all of them.

matplotlib is imported inside functions.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comparison.groups import Variant
from panels import style
from panels.style import DPI, GREY
from upzoo.atomic import whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 900
MAX_FILE_BYTES = 300_000
#: Pixels in a file for each of a page: text is to be read on fine screens, too.
FINE = 2
#: Variants that a chart tells apart.
MOST = 8
#: Where a name may stand: points right and up of its mark, and which of its sides is there.
PLACES = tuple(
    (dx, dy, side) for dy in (9, -9, 22, -22, -35) for dx, side in ((-9, "right"), (9, "left"))
)
#: Pixels below which two marks are one.
SAME_POINT = 7


def look(variant: Variant, variants: Sequence[Variant]) -> dict[str, Any]:
    """Colour, mark and dash of a variant; an operator's further variants are hollow."""
    alike = sorted(v.label for v in variants if v.operator == variant.operator)
    return style.operator(variant.operator, alike.index(variant.label))


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG of 300 kB at most, with fewer colours or pixels if it would be more."""
    data = b""
    for fine in (FINE, 1):
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=fine * DPI)
        data = _small(buffer.getvalue())
        if len(data) <= MAX_FILE_BYTES:
            break
    with whole(path) as beside:
        beside.write_bytes(data)
    return path


def _small(png: bytes) -> bytes:
    """A PNG with as many colours as the limit leaves it, 32 at least."""
    from PIL import Image

    data = png
    for count in (256, 128, 64, 32):
        if len(data) <= MAX_FILE_BYTES:
            break
        smaller = io.BytesIO()
        with Image.open(io.BytesIO(png)) as image:
            image.convert("RGB").quantize(count).save(smaller, "PNG")
        data = smaller.getvalue()
    return data


def page(
    height: int,
    columns: int = 1,
    rows: int = 1,
    left: float = 0.09,
    right: float = 0.985,
    bottom: int = 55,
    gap: float = 0.0,
) -> tuple[Figure, list[Axes]]:
    """A white figure with a flat list of its panels.

    Args:
        height: in pixels, of which 76 are for titles.
        columns: of panels.
        rows: of panels.
        left: share of the width where panels begin.
        right: share of the width where they end.
        bottom: pixels below the panels.
        gap: between rows of panels, as a share of a panel's height.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((WIDTH / DPI, height / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
    figure.subplots_adjust(
        left=left, right=right, top=1 - 76 / height, bottom=bottom / height, wspace=0.08, hspace=gap
    )
    return figure, panels


def title(figure: Figure, text: str, subtitle: str) -> None:
    """A bold line and a grey one, at the top left of the figure."""
    height = figure.get_size_inches()[1] * DPI
    left = 14 / WIDTH
    place: dict[str, Any] = {"ha": "left", "va": "top"}
    figure.text(left, 1 - 9 / height, text, fontsize=11, weight="bold", **place)
    figure.text(left, 1 - 30 / height, subtitle, fontsize=8.5, color=GREY, **place)


def cut(text: str, longest: int) -> str:
    """A label that fits its place; the tables have it whole.

    >>> cut("transposed_conv kernel=3", 18)
    'transposed_conv k…'
    """
    return text if len(text) <= longest else text[: longest - 1] + "…"


def cross(
    axes: Axes, x: float, y: float, dx: float, dy: float, drawn: dict[str, Any], size: float
) -> None:
    """A mark at (x, y) over its intervals ±dx and ±dy; limits are the caller's to set."""
    from matplotlib.lines import Line2D

    if dx:
        axes.add_line(Line2D((x - dx, x + dx), (y, y), color=drawn["color"], linewidth=1.2))
    if dy:
        axes.add_line(Line2D((x, x), (y - dy, y + dy), color=drawn["color"], linewidth=1.2))
    axes.add_line(Line2D((x,), (y,), markersize=size, **drawn))


def rows(axes: Axes, labels: Sequence[str], named: bool, size: float = 9) -> None:
    """A row for each label, the first at the top."""
    shown = [cut(label, 30) for label in labels] if named else []
    axes.set_yticks(range(len(shown)), shown)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, labelsize=size)
    axes.grid(axis="y", visible=False)
    axes.locator_params(axis="x", nbins=5)


def legend(axes: Axes) -> None:
    """Name the variants at the right of the axes."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=8.5)


def name(axes: Axes, points: Sequence[tuple[str, float, float]]) -> None:
    """Write names beside points (name, x, y), a higher point's above where there is such a place.

    Points that fall on one another share a line of names. Limits and scales must be set before.
    """
    from matplotlib.patheffects import withStroke

    halo = withStroke(linewidth=3, foreground="white")
    taken: list[Any] = []  # boxes of names
    transform = axes.transData.transform
    for text, x, y in sorted(_together(axes, points), key=lambda p: -transform(p[1:])[1]):
        for dx, dy, side in PLACES:
            label = axes.annotate(text, (x, y), (dx, dy), textcoords="offset points", ha=side)
            label.set(va="center", fontsize=9, path_effects=[halo])
            box = label.get_window_extent()
            inside = axes.bbox.x0 < box.x0 and box.x1 < axes.bbox.x1
            free = all(
                box.x1 < other.x0 or other.x1 < box.x0 or box.y1 < other.y0 for other in taken
            )
            if (inside and free) or (dx, dy, side) == PLACES[-1]:
                break
            label.remove()
        taken.append(box)


def _together(
    axes: Axes, points: Sequence[tuple[str, float, float]]
) -> list[tuple[str, float, float]]:
    """The points, those less than `SAME_POINT` pixels from an earlier one joined to it."""
    joined: list[tuple[list[str], float, float]] = []
    for text, x, y in points:
        here = axes.transData.transform((x, y))
        for texts, *other in joined:
            if math.dist(here, axes.transData.transform(other)) < SAME_POINT:
                texts.append(text)
                break
        else:
            joined.append(([text], x, y))
    return [(", ".join(texts), x, y) for texts, x, y in joined]
