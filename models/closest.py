"""The one place that guesses what a mistyped name was meant to be."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: object, known: Iterable[str], most: int = 1) -> str:
    """A question that names the closest of the known names; empty where none is close.

    >>> did_you_mean("dysampel", ["carafe", "dysample"])
    "did you mean 'dysample'? "
    >>> did_you_mean("x", ["carafe", "dysample"])
    ''
    """
    close = difflib.get_close_matches(str(name), list(known), most, 0.5)
    return f"did you mean {' or '.join(map(repr, close))}? " if close else ""
