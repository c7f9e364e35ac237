"""The one place that refuses what is no count: whole numbers from a least one on."""

from typing import Any


def is_count(value: object, least: int = 1) -> bool:
    """Whether a value is a whole number of at least `least`; true and false are none.

    >>> is_count(2), is_count(0), is_count(True), is_count(2.0)
    (True, False, False, False)
    """
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def check_counts(of: str = "", /, **values: Any) -> None:
    """Refuse options that are no whole numbers of at least 1, in one line.

    Args:
        of: what stands before the option's name, such as "task." or "Carafe: ".
        **values: by the options' names.

    Raises:
        ValueError: with the option and its value.
    """
    for name, value in values.items():
        if not is_count(value):
            raise ValueError(f"{of}{name}={value!r} must be an integer of at least 1")
