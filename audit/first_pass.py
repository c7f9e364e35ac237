"""Run a net on its example, or on the guess that serves best: it shows enough, and no more."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from itertools import chain

from torch import Tensor

from upzoo.audit.examination import REFUSALS, Examination, Pass, net_dims, place_of
from upzoo.audit.examples import PLENTY, SIDES
from upzoo.audit.inputs import Inputs, Picture
from upzoo.audit.journal import Plan
from upzoo.audit.maps import largest_map, map_sizes
from upzoo.audit.report import AuditReport
from upzoo.audit.weights import are_random
from upzoo.audit.words import error_line

#: Pixels of a map in which periods show.
FEWEST = 16


def run_example(ex: Examination, given: Inputs) -> None:
    """Run the net on the user's example.

    Raises:
        ValueError: for one that it does not run on.
    """
    ex.progress("example")
    _feed(ex, given)
    try:
        ran = ex.forward(ex.inputs, Plan())
    except REFUSALS as error:
        raise _refusal(ex, "its example", _refused(ex, error)) from None
    _begin(ex, ran)


def run_guess(ex: Examination, guesses: Iterable[Inputs], more: Inputs, choosy: bool) -> None:
    """Run the net on the first guess that it takes.

    Args:
        ex: the audit.
        guesses: the likeliest first.
        more: arguments that join each.
        choosy: whether a guess is left for the end whose output would be far larger than a grid
            needs, or too small for one.

    Raises:
        ValueError: for a net that runs on none.
    """
    ex.progress("example")
    buffers = [(buffer, buffer.clone()) for buffer in ex.net.buffers()]
    refused: list[str] = []
    spare: list[Inputs] = []
    for guess in chain(guesses, spare):
        _feed(ex, Inputs((*guess.args, *more.args), {**guess.kwargs, **more.kwargs}))
        first = choosy and not any(guess is one for one in spare)
        if first and _too_large(ex):
            spare.append(guess)
            continue
        try:
            ran = ex.forward(ex.inputs, Plan())
        except REFUSALS as error:
            refused.append(_refused(ex, error))
        else:
            if not first or not _too_small(ex, ran):
                _begin(ex, ran)
                return
            spare.append(guess)
        for buffer, value in buffers:  # the statistics of batch norms that had seen no data
            buffer.copy_(value)
    many = len(refused) > 1
    what = f"the first of {len(refused)} guesses" if many else "what was guessed"
    raise _refusal(ex, what, refused[0])


def _feed(ex: Examination, inputs: Inputs) -> None:
    """Take inputs for the example."""
    ex.inputs = inputs.to(*place_of(ex.net))
    ex.dims = net_dims(ex.net, ex.inputs)
    ex.pictures = ex.find_pictures(ex.inputs)


def _begin(ex: Examination, ran: Pass) -> None:
    """Begin the report with the example's pass."""
    ex.example, ex.drew = ran.watch, ran.drew
    ex.report = AuditReport(
        net=type(ex.net).__name__,
        weights="",
        random=are_random(ex.net),
        input_size=[list(x.shape) for x in ex.inputs.tensors()],
    )
    ex.take_output(ran)
    if ran.watch.replay.filled:
        ex.report.notes.append(
            f"{ran.watch.replay.filled} batch norms had seen no data: filled from the example"
        )


def _refused(ex: Examination, error: BaseException) -> str:
    """What the net was given, and what it said."""
    if isinstance(error, ValueError) and str(error).startswith("output="):
        raise error
    shape = ", ".join(str(tuple(x.shape)) for x in ex.inputs.tensors())
    return f"{shape}: {error_line(error)}"


def _refusal(ex: Examination, what: str, refused: str) -> ValueError:
    return ValueError(
        f"{type(ex.net).__name__} does not run on {what} {refused}; give an example that suits it, "
        "or input_size"
    )


def _too_small(ex: Examination, ran: Pass) -> bool:
    """Whether a code of one pixel became a map that is too small for its layers' periods."""
    return not ex.pictures and ran.map is not None and max(ran.map.shape[2:]) < FEWEST


def _too_large(ex: Examination) -> bool:
    """Whether a guess would come out far larger than a grid needs, as its corner tells."""
    if not ex.pictures or min(ex.pictures[0].sizes) <= SIDES[ex.dims][-1]:
        return False
    inputs = ex.inputs.replace({id(p.tensor): _corner(p) for p in ex.pictures})
    like = ex.find_pictures(inputs)
    try:  # on a copy that shares the weights: a net may remember the size that it met
        net = copy.deepcopy(ex.net, {id(p): p for p in ex.net.parameters()})
        raw = net(*inputs.args, **inputs.kwargs)
        found = largest_map(raw, like[0].sizes, ex.dims, ex.wanted) if like else None
    except REFUSALS:
        return False
    sizes = None if found is None else map_sizes(found.value, like[0].sizes, ex.dims)
    if sizes is None:
        return False
    scale = max(after / n for after, n in zip(sizes, like[0].sizes, strict=True))
    return scale * max(ex.pictures[0].sizes) > PLENTY[ex.dims]


def _corner(picture: Picture) -> Tensor:
    """A quarter of a picture along each axis."""
    x = picture.tensor
    for axis in picture.axes:
        x = x.narrow(axis, 0, x.shape[axis] // 4)
    return x.contiguous()
