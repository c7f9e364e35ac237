"""Take the checkerboard out of a net's weights, where the audit has seen who makes it.

`upzoo.upsampling.equalise` holds the method; here is which layers it is used on, and what it does
to the net's output.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from upzoo.audit.examination import REFUSALS
from upzoo.audit.examine import audit
from upzoo.audit.examples import candidates
from upzoo.audit.inputs import Inputs, gather, pictures
from upzoo.audit.intact import reseed, undisturbed
from upzoo.audit.maps import largest_map
from upzoo.audit.photos import load, normalisation
from upzoo.audit.report import AuditReport
from upzoo.given import checked
from upzoo.upsampling.equalise import KEEP, OPERATORS, Change, equalise_net

#: Kinds of layers in whose place `upzoo.swap` puts an operator.
SWAPPABLE = ("interpolation", "pixel shuffle", "transposed convolution")


def correct(
    net: nn.Module,
    report: AuditReport | None = None,
    keep: str = "weights",
    *,
    example: Any = None,
) -> tuple[nn.Module, list[Change]]:
    """A copy of a net whose kernels leave no checkerboard on a constant, and what was changed.

    The layers are those that ran: transposed convolutions, and convolutions whose output a pixel
    shuffle took, wherever either is registered. A layer that cannot be corrected stays as it is,
    with the reason in its `Change`; so does every contributor that has no kernel.

    Args:
        net: any module; it is left as it is.
        report: of `upzoo.audit(net)`; it is audited on `example` by default.
        keep: "weights": the least change to them; "mean": a constant's level stays too.
        example: its input, where there is no report and it cannot be guessed.

    Returns:
        The corrected copy, and a `Change` for each layer: `name`, ripple `before` and `after`,
        relative `change` of the weights, and why it was `skipped`.

    Raises:
        ValueError: for an unknown `keep`, a report of another net, and as `upzoo.audit`.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> net = nn.Sequential(nn.ConvTranspose2d(1, 4, 3, stride=2), nn.ReLU())
        >>> fixed, (change,) = correct(net, example=torch.rand(1, 1, 32, 32))
        >>> change.name, change.before > 0.1, change.after < 1e-6
        ('0', True, True)
    """
    if keep not in KEEP:
        raise ValueError(f"keep={keep!r}: choose from {', '.join(KEEP)}")
    net = checked(net)
    report = audit(net, example) if report is None else report
    layers: dict[str, int | None] = {}
    known = dict(net.named_modules())
    for layer in report.layers:
        for holder in layer.holders if layer.up else ():
            if holder not in known:
                raise ValueError(
                    f"the report has {holder!r}, which {type(net).__name__} has not: audit this "
                    "net itself"
                )
            module = known[holder]
            if isinstance(module, nn.Conv2d) and layer.kind == "pixel shuffle":
                layers[holder] = int(layer.stride[0])
            elif layer.kind == "transposed convolution" or isinstance(module, OPERATORS):
                layers[holder] = None
    fixed, changes = equalise_net(net, layers=layers, keep=keep)
    kinds = {layer.name: layer.kind for layer in report.layers}
    held = {layer.name for layer in report.layers if layers.keys() & set(layer.holders)}
    for cause in report.causes:
        if cause.layer not in held:
            way = "swap it" if kinds.get(cause.layer) in SWAPPABLE else "write it otherwise"
            reason = f"no kernel of its own that could be levelled: {way}, or train past it"
            changes.append(Change(cause.layer, math.nan, math.nan, 0.0, reason))
    return fixed, changes


@torch.no_grad()
def output_change(
    before: nn.Module, after: nn.Module, example: Any = None, images: Any = None
) -> float:
    """How far a net's output moved, in dB: its variance over the mean square of new − old.

    30 dB is a thousandth of the old output's variance; infinite where nothing moved.

    Args:
        before: the old net.
        after: the new one.
        example: their input; by default noise, as for `upzoo.audit`.
        images: the user's own pictures, taken in the example's place.

    Raises:
        ValueError: where neither gives a map of one shape.
    """
    power, moved = 0.0, 0.0
    for inputs in examples_of(before, example, images):
        old, new = map_of(before, inputs), map_of(after, inputs)
        if old is None or new is None or old.shape != new.shape:
            raise ValueError("the two nets give no maps of one shape")
        axes = tuple(range(2, old.ndim))
        power += (old - old.mean(axes, keepdim=True)).square().mean().item()
        moved += (new - old).square().mean().item()
    return 10 * math.log10(power / moved) if moved and power else math.inf


def examples_of(net: nn.Module, example: Any = None, images: Any = None) -> list[Inputs]:
    """What to run a net on: the user's pictures in the example's shape, or the example itself.

    Raises:
        ValueError: where the net runs on no guess, or takes no pictures.
        FileNotFoundError: for images that are not there.
    """
    first = gather(example) if example is not None else _first_that_runs(net)
    if images is None:
        return [first]
    found = pictures(first)
    if not found:
        raise ValueError(f"{type(net).__name__} takes no pictures: leave images out")
    like = found[0].tensor
    return [first.replace({id(like): x}) for x in load(images, like, normalisation(net))]


def _first_that_runs(net: nn.Module) -> Inputs:
    with undisturbed(net), torch.no_grad():
        for inputs in candidates(net):
            try:
                net(*inputs.args, **inputs.kwargs)
            except REFUSALS:
                continue
            return inputs
    raise ValueError(f"{type(net).__name__} runs on none of the inputs that were tried: give one")


def map_of(net: nn.Module, inputs: Inputs) -> Tensor | None:
    """The largest map of a net's output, from a seed."""
    with undisturbed(net):
        reseed(0)
        found = pictures(inputs)
        like: Sequence[int] | None = found[0].sizes if found else None
        device = next((p.device for p in net.parameters()), torch.device("cpu"))
        inputs = inputs.to(device)
        y = largest_map(net(*inputs.args, **inputs.kwargs), like, len(like or (0, 0)))
    return None if y is None else y.value.double()
