"""How all figures look: inks, colours, marks and fonts; and an operator alike in each of them.

Nothing is imported here that is slow; the operators' names are, when one is first drawn.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Any

DPI = 100
INK, GREY, PALE = "#22282f", "#6b747d", "#dfe3e8"
#: Okabe and Ito's colours, told apart by the colour-blind; without yellow, pale on white.
COLOURS = ("#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKS = ("o", "s", "^")
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1.2)))
#: Marks and dash of an operator's further variants.
VARIANT_MARKS, VARIANT_DASH = ("D", "v", "P", "X", "<", ">"), (0, (6, 1.5, 1, 1.5))
#: Colours of curves that are of no operator, and of marks on dark pictures.
CURVES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
MARKED = ("#3fd0ff", "#7dff6a", "#e8e8e8", "#ffb000")
#: Colour maps of values with both signs, with one sign, and of power in dB.
SIGNED, UNSIGNED, POWER = "RdBu_r", "viridis", "magma"

#: Of everything that is drawn, for `matplotlib.rc_context`.
RC: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.5,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "grid.color": PALE,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "xtick.labelsize": 9,
    "ytick.color": INK,
    "ytick.labelsize": 9,
}


def operator(name: str, variant: int = 0) -> dict[str, Any]:
    """Colour, mark and dash of an operator, by its place among `upzoo.upsampling.OPERATORS`.

    The first seven have full lines and circles, the next seven dashes and squares.

    Args:
        name: of the operator; others than ours have a place by their name.
        variant: 0 for its first variant; further ones are hollow.
    """
    place = _places().get(name, zlib.crc32(name.encode()))
    colour, row = COLOURS[place % len(COLOURS)], place // len(COLOURS) % len(MARKS)
    if variant:
        mark, dash = VARIANT_MARKS[(variant - 1) % len(VARIANT_MARKS)], VARIANT_DASH
    else:
        mark, dash = MARKS[row], DASHES[row]
    face = "white" if variant else colour
    return {"color": colour, "marker": mark, "linestyle": dash, "markerfacecolor": face}


@lru_cache
def _places() -> dict[str, int]:
    from upzoo.upsampling import OPERATORS

    return {name: place for place, name in enumerate(OPERATORS)}
