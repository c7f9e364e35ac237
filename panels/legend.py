"""A legend of classes: swatches with names, wrapped into lines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from panels import canvas

#: Pixels: around the legend, of a line, of a swatch's side, of the text.
GAP, LINE, SWATCH, TEXT = 8, 26, 15, 14


def places(width: int, names: Sequence[str], size: int = 1) -> tuple[list[tuple[int, int]], int]:
    """Where the swatches go, from left to right: [(x in pixels, line)], and the number of lines.

    Args:
        width: of the page in pixels; a name that is wider than it has a line of its own.
        names: of the classes.
        size: how many times larger than on a page for the screen.
    """
    ruler = canvas.figure(1, 1)
    found, x, line = [], GAP * size, 0
    for name in names:
        text = int(canvas.text_width(ruler, name, TEXT * size))
        needed = (SWATCH + 6 + 18) * size + text
        if x + needed > width and x > GAP * size:
            x, line = GAP * size, line + 1
        found.append((x, line))
        x += needed
    return found, line + 1


def swatch(page: np.ndarray, x: int, y: int, colour: np.ndarray, size: int = 1) -> None:
    """Paint a framed swatch into a page (H, W, 3) uint8; `colour` is (3,) or of the inner size."""
    side = SWATCH * size
    square = page[y : y + side, x : x + side]
    square[:] = 110  # the frame, for colours close to white
    square[size : side - size, size : side - size] = colour


def strip(width: int, names: Sequence[str], colours: np.ndarray, size: int = 1) -> np.ndarray:
    """A legend as a picture of its own, (height, width, 3) uint8.

    Args:
        width: in pixels.
        names: of the classes.
        colours: (len(names), 3) uint8.
        size: how many times larger than for the screen.
    """
    found, lines = places(width, names, size)
    page = np.full(((lines * LINE + GAP) * size, width, 3), 255, dtype=np.uint8)
    drawn = canvas.figure(width, page.shape[0])
    for name, colour, (x, line) in zip(names, colours, found, strict=True):
        top = size * (GAP // 2 + line * LINE + (LINE - SWATCH) // 2)
        swatch(page, x, top, colour, size)
        at = x + (SWATCH + 6) * size, top + SWATCH * size / 2
        canvas.write(drawn, *at, name, px=TEXT * size)
    return canvas.over(page, drawn).permute(1, 2, 0).numpy()
