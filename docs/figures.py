"""Draw the figures of `transposed_convolution.md`, and the scale of `artifacts.md`.

    python docs/figures.py              # all of them
    python docs/figures.py spectrum     # those named

Every number in them comes from the functions that the operators use. `docs/drawing/` draws them.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).parents[1]))
from drawing import equivalents, kernels, padding, severity, stamps
from drawing.cells import STYLE

FOLDER = Path(__file__).parent / "figures"
FIGURES: tuple[Callable[[], Figure], ...] = (
    stamps.stamping,
    equivalents.zero_insertion,
    equivalents.matrix,
    stamps.overlap,
    kernels.gains,
    padding.same_crop,
    kernels.checkerboard,
    kernels.spectrum,
    severity.severities,
)


def main(names: list[str]) -> None:
    """Draw the figures of these names, or all, each to a file of its function's name."""
    FOLDER.mkdir(exist_ok=True)
    known = [*(draw.__name__ for draw in FIGURES), "stamps"]
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"error: {unknown[0]}: no such figure (there are: {', '.join(known)})")
    with mpl.rc_context(STYLE):
        for draw in FIGURES:
            if not names or draw.__name__ in names:
                # Without the software's name the file depends on its picture alone.
                draw().savefig(FOLDER / f"{draw.__name__}.png", metadata={"Software": None})
        if not names or "stamps" in names:
            stamps.animate(FOLDER / "stamps.gif")


if __name__ == "__main__":
    main(sys.argv[1:])
