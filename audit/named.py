"""Audit a net by its name, and the copy that a change makes of it."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

from upzoo.audit.changes import Change, Examined, before_after, first_outputs
from upzoo.audit.correction import output_change
from upzoo.audit.examine import audit
from upzoo.audit.options import options_again, read_arguments, read_photo, read_size
from upzoo.audit.targets import DEFAULT, load_target
from upzoo.audit.terminal import progress
from upzoo.audit.weights import load_into

TITLES = ("before", "after")


def audit_both(
    spec: str,
    change: Change | None,
    *,
    size: str | int | Sequence[int] | None = None,
    images: str | None = None,
    example: str | None = None,
    output: str | None = None,
    weights: str | None = None,
    arguments: Sequence[str] = (),
    seed: int = 0,
) -> tuple[Examined, Examined | None]:
    """Audit a net by its name, telling the stages on standard error where they take long.

    Args:
        spec: as for `targets.load_target`.
        change: makes another net of it and its report, and says in lines what that did; None: no.
        size: of its input: 224, "224x320", "3x224x320".
        images: a picture or a folder of them.
        example: a picture to run it on.
        output: name of the output to look at.
        weights: "DEFAULT", or a file.
        arguments: more inputs, "[NAME=]VALUE", of numbers or shapes.
        seed: of all that is drawn.

    Returns:
        The net as it was and, changed, as it is.

    Raises:
        ValueError: as `audit`, and for a size or an argument that cannot be read.
        FileNotFoundError: for a path where there is nothing.
    """
    args, kwargs = read_arguments(arguments)
    with progress(spec) as tell, warnings.catch_warnings(), _quiet_loggers():
        warnings.simplefilter("ignore")  # of the user's packages
        target = load_target(spec, weights)
        net = target.net
        origin = target.weights
        if weights not in (None, DEFAULT):
            origin = load_into(net, weights)
        inputs = target.example
        if example is not None:
            inputs = read_photo(example, net, size)
        options: dict[str, Any] = {
            "input_size": read_size(size),
            "args": args,
            "kwargs": kwargs,
            "output": output,
            "images": images,
            "seed": seed,
            "progress": tell,
        }
        report = audit(net, inputs, **options)
        report.target, report.weights = spec, origin
        report.options = options_again(size, example, output, weights, arguments)
        before = Examined(net, report, [])
        if change is None:
            return before, None
        new, said, recipe, _ = change(net, report, inputs)
        again = audit(new, inputs, **options)
        again.target, again.weights = spec, "changed"
        more: float | None = None
        shown: tuple[Tensor | None, Tensor | None] = None, None
        if not args and not kwargs:
            with contextlib.suppress(ValueError):
                more = output_change(net, new, inputs, images)
                shown = first_outputs(net, new, inputs, images)
    tell_cost = not any(line.startswith("distilled ") for line in said)
    said = [*said, *before_after(report, again, more, images, tell_cost)]
    return before._replace(shown=shown[0]), Examined(new, again, said, recipe, shown[1])


@contextlib.contextmanager
def _quiet_loggers() -> Iterator[None]:
    """Let packages log nothing below an error."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
