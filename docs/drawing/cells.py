"""Colours, and tables of numbers as coloured cells: what the figures of the docs have in common."""

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

BLUE, ORANGE, GREEN, RED, VIOLET = "#2f6db3", "#e08214", "#2a9d6f", "#c8403a", "#7a5fb0"
INK, GREY, PALE = "#22282f", "#8a929b", "#eef0f3"
SHADES = LinearSegmentedColormap.from_list("shades", ["#ffffff", "#b9d3ee", BLUE, "#173e6c"])
STYLE = {"font.size": 10, "axes.titlesize": 10.5, "text.color": INK, "savefig.dpi": 160}

Colour = tuple[float, ...]


def tint(colour: str, amount: float) -> Colour:
    """`colour` mixed with white: 0 is white, 1 the colour itself."""
    return tuple(1 - amount * (1 - channel) for channel in to_rgb(colour))


def shades(values: Tensor) -> list[list[Colour]]:
    """Blue by value, white at zero."""
    return SHADES(0.85 * (values / values.max()).numpy())[..., :3].tolist()


def number(value: float) -> str:
    """As few decimals as needed, two at most, with a true minus sign."""
    return f"{value:.2f}".rstrip("0").rstrip(".").replace("-", "−")


def cells(
    ax: Axes,
    values: Tensor,
    colours: Colour | list[list[Colour]],
    *,
    at: tuple[float, float] = (0, 0),
    labels: list[list[str]] | None = None,
) -> None:
    """A table of numbers with its top-left corner `at` (x, y); one unit a cell, y downwards."""
    for i, row in enumerate(values.tolist()):
        for j, value in enumerate(row):
            face = colours[i][j] if isinstance(colours, list) else colours
            x, y = at[0] + j, at[1] + i
            ax.add_patch(Rectangle((x, y), 1, 1, facecolor=face, edgecolor="white", linewidth=1.5))
            word = number(value) if labels is None else labels[i][j]
            ink = "white" if sum(face) < 1.6 else INK
            ax.text(x + 0.5, y + 0.52, word, ha="center", va="center", color=ink)


def outline(ax: Axes, x: float, y: float, w: float, h: float, colour: str) -> None:
    """A frame around cells."""
    ax.add_patch(Rectangle((x, y), w, h, fill=False, edgecolor=colour, linewidth=2.2))


def bare(ax: Axes, width: float, height: float, title: str) -> None:
    """Square cells, y downwards, no axes."""
    ax.set(xlim=(-0.1, width + 0.1), ylim=(height + 0.1, -0.1), aspect="equal")
    ax.axis("off")
    ax.set_title(title, pad=8)


def verdict(ax: Axes, *, even: bool) -> None:
    """A green frame for even, a red one for uneven."""
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(color=GREEN if even else RED, linewidth=2.4)


def legend(figure: Figure, words: str = "") -> None:
    """Say below the axes what the frames mean, and whatever else `words` says."""
    figure.text(0.01, 0.02, words, ha="left", va="bottom", color=GREY)
    for x, colour, word in ((0.8, GREEN, "even"), (0.88, RED, "uneven")):
        figure.text(x, 0.02, f"▢ {word}", ha="left", va="bottom", color=colour, weight="bold")
