"""README's table of the nets that ship: `python -m release.page`, from the manifest alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from comparison.pages import inserted, table
from release import listing
from release.card import size_text
from runs import console
from upzoo import zoo
from upzoo.atomic import whole
from upzoo.metrics.catalogue import current, find

README, PART = Path("README.md"), "nets"
#: How the recipes begin whose nets the list alone names: of the study, and of drawn shapes.
ASIDE = "study/"


def nets(entries: Mapping[str, Mapping[str, Any]]) -> str:
    """A row a net that has a recipe of its own, with its first score and how certain that is.

    Args:
        entries: name → entry of the manifest.
    """
    rows = []
    for name, entry in sorted(entries.items()):
        if (entry["recipe"] or ASIDE).startswith(ASIDE):
            continue
        scores = current(entry["scores"])
        first = listing.columns(scores)[0]
        score = find(first)
        cells = [f"{score.heading}, {entry['split']}", score.text(scores[first])]
        cells += [listing.interval(entry) or "–", size_text(listing.size(entry))]
        rows.append([f"`{name}`", *cells])
    return table(["`pretrained=`", "score", "value", "95 % interval", "size"], rows)


def main() -> None:
    """Bring the table up to date."""
    text = inserted(README.read_text(encoding="utf-8"), {PART: nets(zoo.entries())})
    with whole(README) as beside:
        beside.write_text(text, encoding="utf-8")
    print(f"written: {README}")


if __name__ == "__main__":
    with console.user_errors():
        main()
