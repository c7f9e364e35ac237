"""Checkerboards to look at: marked spectra, phase maps, a step, overlap counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from panels import canvas, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE, GAP, LEFT, HEAD, FOOT = 300, 84, 58, 84, 48  # pixels: of a picture, around it
WHOLE = "%.0f"  # how counts are written
CAPTION = 13  # pixels of its letters
LOWEST_DB = 70.0  # what is shown below the highest power


def spectrum_panel(
    powers: Mapping[str, Tensor], periods: Sequence[int] = (2, 4, 8), title: str = "spectrum"
) -> Tensor:
    """Draw mean power spectra in dB, constant part in the middle, harmonics of periods ringed.

    All share one scale, which ends 70 dB below the highest power. Each frequency has the ring of
    the smallest period that has it.

    Args:
        powers: name -> (H, W), such as `power_spectrum(images).mean(0)`, real and generated.
        periods: of the checkerboards that are marked.
        title: written above.

    Returns:
        (3, height, width) uint8, for `SummaryWriter.add_image`.

    Raises:
        ValueError: no spectrum, or one that is not (H, W).
    """
    _check(powers, 2, "(H, W)")
    shown = {
        name: np.fft.fftshift(10 * np.log10(np.maximum(_array(power), 1e-30)))
        for name, power in powers.items()
    }
    highest = max(float(db.max()) for db in shown.values())
    lowest = max(min(float(db.min()) for db in shown.values()), highest - LOWEST_DB)
    sizes = ", ".join(str(period) for period in sorted(set(periods)))
    caption = f"power in dB, over cycles per pixel; rings, large to small: period {sizes}"
    drawn = _page(len(shown), title, caption)
    for place, (name, db) in enumerate(shown.items()):
        axes = _axes(drawn, place, name)
        image = axes.imshow(
            db,
            cmap=style.POWER,
            vmin=lowest,
            vmax=highest,
            extent=_extent(*db.shape),
            interpolation="nearest",
        )
        _mark(axes, periods)
        axes.set_xticks([-0.5, 0, 0.5])
        axes.set_yticks([-0.5, 0, 0.5])
        axes.set_xlim(-0.53, 0.53)
        axes.set_ylim(0.53, -0.53)
        _bar(drawn, axes, image, [lowest, highest], "%.0f")
    return canvas.pixels(drawn)


def _extent(height: int, width: int) -> tuple[float, float, float, float]:
    """Edges of the pixels in cycles per pixel, so that the constant part is centred on 0."""
    left, top = -(width // 2) / width, -(height // 2) / height
    right, bottom = left + 1, top + 1
    x, y = 0.5 / width, 0.5 / height
    return left - x, right - x, bottom - y, top - y


def _mark(axes: Axes, periods: Sequence[int]) -> None:
    """Ring every frequency (i/p, j/p) ≠ 0, the larger the smaller its period."""
    seen = {(0.0, 0.0)}
    for place, period in enumerate(sorted(set(periods))):
        steps = [i / period for i in range(-(period // 2), period // 2 + 1)]
        points = [(x, y) for x in steps for y in steps if (x, y) not in seen]
        seen.update(points)
        axes.plot(
            [x for x, _ in points],
            [y for _, y in points],
            "o",
            markersize=max(9 - 2 * place, 3),
            markerfacecolor="none",
            markeredgecolor=style.MARKED[place % len(style.MARKED)],
            markeredgewidth=1.0,
            linestyle="none",
            clip_on=False,
        )


def phase_panel(
    maps: Mapping[str, Tensor],
    title: str = "phases",
    caption: str = "rows and columns are the phases of a pixel",
    least: float = 0.0,
) -> Tensor:
    """Draw maps over the phases on one scale, symmetric if values have both signs.

    Args:
        maps: name -> (p, p): the additive checkerboard, or the energy of fine detail, of a period.
        title: written above.
        caption: below it.
        least: that the scale reaches at least, so that rounding noise is drawn flat.

    Returns:
        (3, height, width) uint8.

    Raises:
        ValueError: no map, or one that is not (p, p).
    """
    _check(maps, 2, "(p, p)")
    drawn = _page(len(maps), title, caption)
    shown = {name: _array(values) for name, values in maps.items()}
    scale = min(float(v.min()) for v in shown.values()), max(float(v.max()) for v in shown.values())
    scale = scale[0], max(scale[1], least)
    for place, (name, values) in enumerate(shown.items()):
        _map(drawn, place, name, values, "%.2g", scale)
    return canvas.pixels(drawn)


def overlap_panel(counts: Mapping[str, Tensor], title: str = "overlap") -> Tensor:
    """Draw how many stamps of a kernel reach each pixel, with the numbers where they fit.

    Args:
        counts: name -> (h, w) counts: of each phase, or of every pixel of an output.
        title: written above.

    Returns:
        (3, height, width) uint8.

    Raises:
        ValueError: no map, or one that is not (h, w).
    """
    _check(counts, 2, "(h, w)")
    drawn = _page(
        len(counts), title, "stamps that add up in a pixel; an even overlap is one colour"
    )
    most = max(float(values.max()) for values in counts.values())
    for place, (name, values) in enumerate(counts.items()):
        _map(drawn, place, name, _array(values), WHOLE, (0.0, most))
    return canvas.pixels(drawn)


def step_panel(
    curves: Mapping[str, Tensor], start: int = 0, title: str = "response to a step"
) -> Tensor:
    """Draw one row of what a decoder makes of an edge between two constants.

    Args:
        curves: name -> (W,) values along a row, or (n, W) for several rows: one for each phase.
        start: position of the first value, in pixels.
        title: written above.

    Returns:
        (3, height, width) uint8.

    Raises:
        ValueError: no curve, or one that is neither (W,) nor (n, W).
    """
    if not curves:
        raise ValueError("nothing to draw: name one (W,) or (n, W) tensor or more")
    for name, curve in curves.items():
        if curve.ndim not in (1, 2) or not curve.numel():
            raise ValueError(f"{name!r} is {tuple(curve.shape)}, expected (W,) or (n, W)")
    width = max(2 * SIDE, 520)
    drawn = canvas.figure(LEFT + width + 24, HEAD + SIDE + FOOT)
    _titles(drawn, title, "value against pixel; a checkerboard shows as teeth on the plateaus")
    w, h = drawn.get_size_inches() * style.DPI
    axes = drawn.add_axes((LEFT / w, FOOT / h, width / w, SIDE / h))
    for place, (name, curve) in enumerate(curves.items()):
        rows = np.atleast_2d(_array(curve))
        x = np.arange(start, start + rows.shape[1])
        for number, row in enumerate(rows):
            axes.plot(
                x,
                row,
                color=style.CURVES[place % len(style.CURVES)],
                lw=1.3,
                marker="o",
                markersize=3,
                alpha=1 - 0.5 * number / len(rows),
                label=name if number == 0 else None,
            )
    axes.grid(color=style.PALE, lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
    axes.legend(frameon=False, fontsize=9)
    return canvas.pixels(drawn)


def _check(named: Mapping[str, Tensor], dims: int, shape: str) -> None:
    if not named:
        raise ValueError(f"nothing to draw: name one {shape} tensor or more")
    for name, values in named.items():
        if values.ndim != dims or not values.numel():
            raise ValueError(f"{name!r} is {tuple(values.shape)}, expected {shape}")


def _array(values: Tensor) -> np.ndarray:
    return values.detach().float().cpu().numpy()


def _page(count: int, title: str, caption: str) -> Figure:
    """An empty page for `count` square pictures in a row."""
    ruler = canvas.figure(1, 1)
    said = 40 + int(canvas.text_width(ruler, caption, CAPTION))
    drawn = canvas.figure(max(LEFT + count * (SIDE + GAP), said), HEAD + SIDE + FOOT)
    _titles(drawn, title, caption)
    return drawn


def _titles(drawn: Figure, title: str, caption: str) -> None:
    canvas.write(drawn, 20, 22, title, px=18, weight="bold")
    canvas.write(drawn, 20, 46, caption, px=CAPTION, color=style.GREY)


def _axes(drawn: Figure, place: int, name: str) -> Axes:
    """The axes of one picture, its name above."""
    width, height = drawn.get_size_inches() * style.DPI
    left = LEFT + place * (SIDE + GAP)
    canvas.write(drawn, left, HEAD - 11, name, px=14)
    axes = drawn.add_axes((left / width, FOOT / height, SIDE / width, SIDE / height))
    axes.tick_params(labelsize=8, length=2)
    return axes


def _map(
    drawn: Figure,
    place: int,
    name: str,
    values: np.ndarray,
    form: str,
    scale: tuple[float, float],
) -> None:
    """A small map with a colour bar, and its numbers where they fit."""
    axes = _axes(drawn, place, name)
    low, high = scale
    colours = style.UNSIGNED
    if low < 0 < high:
        high = max(high, -low)
        low, colours = -high, style.SIGNED
    if high <= low:
        high = low + (abs(low) or 1.0)
    image = axes.imshow(values, cmap=colours, vmin=low, vmax=high, interpolation="nearest")
    many = max(values.shape) > 9
    axes.set_xticks([] if many else range(values.shape[1]))
    axes.set_yticks([] if many else range(values.shape[0]))
    if max(values.shape) <= 4:
        for (row, column), value in np.ndenumerate(values):
            light = (value - low) / (high - low)
            dark = abs(light - 0.5) > 0.3 if colours == style.SIGNED else light < 0.6
            colour = "white" if dark else style.INK
            said = canvas.rounded(float(value), high) if form != WHOLE else form % value
            style_of = {"ha": "center", "va": "center", "fontsize": 11, "color": colour}
            axes.text(column, row, said, **style_of)  # type: ignore[arg-type]
    _bar(drawn, axes, image, [low, high], form)


def _bar(drawn: Figure, axes: Axes, image: object, ticks: list[float], form: str) -> None:
    axes.apply_aspect()
    width = drawn.get_size_inches()[0] * style.DPI
    shown = axes.get_position()
    bar = drawn.add_axes((shown.x1 + 8 / width, shown.y0, 10 / width, shown.height))
    colourbar = drawn.colorbar(image, cax=bar, ticks=ticks, format=form)  # type: ignore[arg-type]
    colourbar.ax.tick_params(labelsize=8, length=2)
    colourbar.outline.set_linewidth(0.5)
