"""Changes that the commands make to a net: what they do, what it did, and how it is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from upzoo.atomic import whole
from upzoo.audit.correction import correct, examples_of
from upzoo.audit.report import AuditReport
from upzoo.saving import save_state
from upzoo.swapping import swap
from upzoo.upsampling.equalise import change_line

NOTICED = 30.0  # dB below the output's variance, from which on a change may be seen


class Changed(NamedTuple):
    """Another net, what was done in lines, and the recipe of a swap."""

    net: torch.nn.Module
    said: list[str]
    recipe: dict[str, Any] | None = None


#: (net, its report, its example) -> another net.
Change = Callable[[torch.nn.Module, AuditReport, Any], Changed]


class Examined(NamedTuple):
    """A net, what an audit found, what a change did to it in lines, and the recipe of a swap."""

    net: torch.nn.Module
    report: AuditReport
    said: list[str]
    recipe: dict[str, Any] | None = None


def choose_change(
    correction: bool, operator: str | None, keep: str = "weights", where: str = "*"
) -> Change | None:
    """The change that options ask for; None where they ask for none.

    Raises:
        ValueError: where they ask for two.
    """
    if correction and operator is not None:
        raise ValueError("correct and swap are two changes: ask for one at a time")
    if correction:
        return lambda net, report, example: corrected(net, report, keep)
    if operator is None:
        return None

    def change(net: torch.nn.Module, report: AuditReport, example: Any) -> Changed:
        inputs = example_of(net, example)
        new, swaps = swap(net, operator, where, example=inputs)
        return Changed(new, [str(swaps)], swaps.recipe)

    return change


def example_of(net: torch.nn.Module, example: Any) -> Any:
    """What `swap` runs the net on: as the audit would."""
    inputs = examples_of(net, example)[0]
    return inputs.kwargs if not inputs.args else inputs.args


def written(path: str, changed: Examined) -> list[str]:
    """Write the weights, of a swap with its recipe, and say how to read them.

    Args:
        path: of a file, or for a swap of a folder too.
        changed: the net.
    """
    if changed.recipe is None:
        return [f"weights: {save_state(path, changed.net)}"]
    target = Path(path)
    if not target.suffix:
        if target.exists():
            raise ValueError(f"output={path} exists: give the name of a new folder")
        target.mkdir(parents=True)
        target = target / "weights.safetensors"
    recipe = target.with_suffix(".recipe.json")
    with whole(recipe) as beside:
        beside.write_text(json.dumps(changed.recipe, indent=1), encoding="utf-8")
    return [
        f"weights: {save_state(target, changed.net)}",
        f"recipe: {recipe}; net2, _ = upzoo.swap(net, recipe=json.load(open({str(recipe)!r})))",
    ]


def corrected(net: torch.nn.Module, report: AuditReport, keep: str = "weights") -> Changed:
    """The corrected copy, and a line for each layer.

    Raises:
        ValueError: for a net without a layer that can be corrected.
    """
    fixed, changes = correct(net, report, keep)
    if all(c.skipped is not None for c in changes):
        reasons = "".join(f"; {c.name}: {c.skipped}" for c in changes)
        raise ValueError(
            f"no kernel of this net can be corrected: it has no learned transposed convolution "
            f"and no pixel shuffle that could be{reasons}"
        )
    return Changed(fixed, [change_line(c) for c in changes])


def before_after(
    before: AuditReport, after: AuditReport, moved: float | None, images: object
) -> list[str]:
    """What a change did, in lines: the checkerboard, and the output where it was measured."""
    old, new = (max((f.db for f in r.findings), default=0.0) for r in (before, after))
    lines = [f"checkerboard: {old:.1f} dB before, {new:.1f} dB after"]
    if moved is None:
        return [*lines, "change of the output: not measured, the two give no maps of one shape"]
    where = "your pictures" if images is not None else "the example"
    lines.append(
        f"change of the output on {where}: {round(moved, 1) + 0.0:.1f} dB (variance over change)"
    )
    if moved < NOTICED:
        lines.append(
            "that may cost quality; upzoo.distil(changed, net, images) may win some of it back "
            "(give the layers of a correction as frozen=)"
        )
    return lines
