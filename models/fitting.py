"""Which operators a model can take: those whose needs it can serve."""

from collections.abc import Callable
from typing import Any

from torch import nn

from upzoo.counts import check_counts


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


def check_sizes(scale: int, **values: Any) -> None:
    """Refuse a scale or other sizes that are no whole numbers of at least 1, in one line.

    Raises:
        ValueError: with the option and its value.
    """
    if scale is None:
        raise ValueError(
            "scale=None must be an integer of at least 1; data=t91 and data=photos set it"
        )
    check_counts(scale=scale, **values)


def check_head(head: int | None) -> None:
    """Refuse a kernel of the last convolution that has no centre.

    Raises:
        ValueError: for anything but an odd integer or None.
    """
    if head is not None and (isinstance(head, bool) or not isinstance(head, int) or head % 2 != 1):
        raise ValueError(f"head={head!r} must be an odd kernel, such as 3, or null for none")


def initialise(net: nn.Module) -> None:
    """He's normal start for every convolution: variance 2 / (k²·in_channels), bias zero."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def steps_of(scale: int) -> list[int]:
    """Scales of the operators that make `scale` together: a power of two in steps of ×2.

    >>> steps_of(2), steps_of(3), steps_of(4)
    ([2], [3], [2, 2])
    """
    if scale > 1 and scale & (scale - 1) == 0:
        return [2] * (scale.bit_length() - 1)
    return [scale]
