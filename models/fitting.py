"""Which operators a model can take: those whose needs it can serve."""

from collections.abc import Callable
from typing import Any

from torch import nn


def operator_class(upsample: Callable[..., nn.Module]) -> Any:
    """The class that a factory builds: a class itself, or the one inside a partial."""
    return getattr(upsample, "func", upsample)


def refuse_needs(
    upsample: Callable[..., nn.Module], model: str, no_switches: str, no_guide: str
) -> None:
    """Refuse an operator that needs switches or a guide, before anything is built.

    Args:
        upsample: an operator's class, or a partial of one.
        model: name of the model that has neither, for the message.
        no_switches: why the model has no switches.
        no_guide: why the model has no guide.

    Raises:
        ValueError: for an operator with `needs_switches` or `needs_guide`.
    """
    operator = operator_class(upsample)
    name = getattr(operator, "__name__", "this operator")
    for need, what, why in (
        ("needs_switches", "the switches of a matching max-pooling", no_switches),
        ("needs_guide", "a guiding feature at the enlarged size", no_guide),
    ):
        if getattr(operator, need, False):
            raise ValueError(
                f"{model} does not take {name}: it needs {what}, and {why}; choose another operator"
            )
