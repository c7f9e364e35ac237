"""From a matplotlib figure to pixels, with no pyplot and no global state.

matplotlib is imported inside functions, since a program that draws nothing should not wait for it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from panels.style import DPI, INK

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure(width: int, height: int) -> Figure:
    """Open a white figure of exactly width × height pixels, drawn by Agg."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # the hundredth of a pixel keeps the division from rounding down to a pixel less
    opened = Figure(((width + 0.01) / DPI, (height + 0.01) / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(opened)
    return opened


def pixels(drawn: Figure) -> Tensor:
    """Draw a figure into a uint8 picture (3, H, W)."""
    drawn.canvas.draw()
    rgba = np.asarray(drawn.canvas.buffer_rgba())  # type: ignore[attr-defined]
    return torch.from_numpy(rgba[..., :3].copy()).permute(2, 0, 1).contiguous()


def over(page: np.ndarray, drawn: Figure) -> Tensor:
    """Draw a figure's text onto a page (H, W, 3) uint8 of its size, in place; gives (3, H, W).

    As `Figure.figimage` would put the page below it, in a tenth of the memory.
    """
    drawn.patch.set_alpha(0)
    drawn.canvas.draw()
    rgba = np.asarray(drawn.canvas.buffer_rgba())  # type: ignore[attr-defined]
    written = rgba[..., 3] > 0
    ink = rgba[written].astype(int)
    alpha = ink[:, 3:]
    # α·ink + (1 − α)·page, rounded
    page[written] = (alpha * ink[:, :3] + (255 - alpha) * page[written] + 127) // 255
    return torch.from_numpy(page).permute(2, 0, 1).contiguous()


def write(drawn: Figure, x: float, y: float, text: str, px: float = 14, **style: object) -> None:
    """Put text at a point, in pixels from the top left corner; dollar signs are no maths."""
    width, height = drawn.get_size_inches() * DPI
    style = {"color": INK, "va": "center", "parse_math": False} | style
    drawn.text(x / width, 1 - y / height, text, fontsize=px * 72 / DPI, **style)  # type: ignore[arg-type]


def rounded(value: float, largest: float) -> str:
    """A number beside others up to `largest`, which has two digits or more; no negative zero.

    >>> rounded(-0.0004, 0.091), rounded(0.0625, 0.5625), rounded(1e-6, 1.0), rounded(37.4, 120)
    ('0.000', '0.06', '0.0', '37')
    """
    decimals = max(0, 1 - math.floor(math.log10(largest))) if largest > 0 else 0
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


def text_width(drawn: Figure, text: str, px: float = 14) -> float:
    """Measure text, in pixels."""
    from matplotlib.font_manager import FontProperties

    font = FontProperties(size=px * 72 / DPI)
    renderer = drawn.canvas.get_renderer()  # type: ignore[attr-defined]
    return renderer.get_text_width_height_descent(text, font, ismath=False)[0]
