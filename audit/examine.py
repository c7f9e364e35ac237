"""The audit itself: which passes are run, and what is made of them.

1. The example, as it is: the layers, the output's spread, what pictures show.
2. A constant in its place: a picture becomes its mean colour; a net that takes none, a generator,
   is fed a constant map at its first enlarging layer. All that repeats at the output is a grid.
3. The same with another seed, where the net draws random numbers: what differs is noise. Where
   places differ by more than a visible grid would, what makes them differ is levelled instead:
   learned maps, positions, draws.
4. One backward pass from the grid: who is to blame. Where no layer is, one more forward pass, to
   say between which modules the grid appears.
5. One backward pass from a smooth gradient: which layers hand it out unevenly.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from upzoo.audit.constants import hidden, run_constant
from upzoo.audit.examination import Examination, Progress
from upzoo.audit.examples import candidates
from upzoo.audit.findings import find, run_photos
from upzoo.audit.first_pass import run_example, run_guess
from upzoo.audit.gradients import follow_gradient
from upzoo.audit.inputs import Inputs, gather
from upzoo.audit.intact import undisturbed
from upzoo.audit.levelling import levelled
from upzoo.audit.measure import describe_layers, judge
from upzoo.audit.report import AuditReport
from upzoo.audit.weights import load_into
from upzoo.audit.words import listed
from upzoo.given import checked


def audit(
    net: nn.Module,
    example: Any = None,
    *,
    input_size: int | Sequence[int] | None = None,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    output: str | None = None,
    weights: str | Path | Mapping[str, Any] | None = None,
    images: str | Path | Sequence[Tensor] | Tensor | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> AuditReport:
    """Examine any net for checkerboards; it is left bit for bit as it was.

    Args:
        net: any module. It runs in evaluation mode, six times at most, forward and backward
            together, and once more for each of `images`.
        example: its input: a tensor, a tuple, a dict of keywords, a list; by default noise with the
            spectrum of photographs, of a size that the net's layers and configuration tell; once
            more the net runs on a corner of that, so that what it makes is not needlessly large.
        input_size: of that noise: pixels, (H, W), or (C, H, W).
        args: more positional inputs, behind the example.
        kwargs: more keyword inputs.
        output: name of the output to look at, "aux" or "features.2"; by default the largest map.
        weights: a state dict, or the file of one, to be examined in the net's place.
        images: the user's own pictures: a folder, a file, or tensors (C, H, W) in [0, 1].
        seed: of all that is drawn.
        progress: told the name of each stage as it starts.

    Returns:
        The report. Figures in dB say how far a pattern stands out of a photograph's spectrum: from
        6 on it is called a checkerboard.

    Raises:
        ValueError: in one line, for what is no module, an example that the net cannot run on, an
            output that is not there, weights that do not fit.
        FileNotFoundError: for weights or images that are not there.

    Example:
        >>> up = nn.ConvTranspose2d(1, 1, 3, stride=2, bias=False)
        >>> _ = nn.init.ones_(up.weight)
        >>> report = audit(up, 1 + torch.rand(1, 1, 32, 32))
        >>> report.ok, report.findings[0].period, report.severity
        (False, 2, 'strong')
    """
    net = checked(net)
    with undisturbed(net, seed), torch.no_grad():
        origin = "the net's own" if weights is None else load_into(net, weights)
        for parameter in net.parameters():
            if parameter.is_leaf:
                parameter.requires_grad_(False)
        examination = Examination(net, seed, output, progress or (lambda stage: None))
        if example is None:
            more = Inputs(tuple(args), dict(kwargs or {}))
            choosy = input_size is None
            run_guess(examination, candidates(net, input_size), more, choosy)
        else:
            run_example(examination, gather(example, args, kwargs))
        report = examination.report
        report.weights = origin
        with contextlib.ExitStack() as stack:  # graphs need the values that they were made with
            if examination.map is not None:
                run_constant(examination)
                if examination.constant is not None and hidden(examination):
                    level(examination, stack)
                find(examination)
            if any(not call.up for call in examination.calls):
                follow_gradient(examination)
        report.layers = describe_layers(
            examination.calls, examination.own, examination.size, report
        )
        if images is not None:
            run_photos(examination, images)
        report.passes = examination.passes
        judge(report, examination.why)
    return report


def level(examination: Examination, stack: contextlib.ExitStack) -> None:
    """Feed the constant again, with all held level that differs from place to place by itself."""
    assert examination.constant is not None
    names = stack.enter_context(levelled(examination.net, examination.dims))
    held = names[:3]
    if examination.constant.drew:
        held.append("random draws")
    if any(call.kind == "unpooling" for call in examination.calls):
        held.append("switches")
    if not held:
        return
    run_constant(examination, level=True)
    said = listed(held)
    examination.report.notes.append(f"held level, since they hid what repeats: {said}")
