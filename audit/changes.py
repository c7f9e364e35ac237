"""Changes that the commands make to a net: what they do, what it did, and how it is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from upzoo.atomic import whole
from upzoo.audit.correction import correct, examples_of, map_of
from upzoo.audit.examples import natural_noise
from upzoo.audit.inputs import Inputs, pictures
from upzoo.audit.photos import load, normalisation
from upzoo.audit.report import AuditReport
from upzoo.distilling import BATCH, HELD_OUT, distil
from upzoo.saving import check_target, save_state
from upzoo.swapping import swap
from upzoo.upsampling.equalise import change_line

NOTICED = 30.0  # dB below the output's variance, from which on a change may be seen


#: Pictures that a distillation looks at, its steps, drawn pictures, and codes of a batch.
MOST, STEPS, PICTURES, CODES = 512, 300, 512, 32
DRAWN = "drawn"


class Changed(NamedTuple):
    """Another net, what was done in lines, the recipe of a swap, and what must stay as it is."""

    net: torch.nn.Module
    said: list[str]
    recipe: dict[str, Any] | None = None
    frozen: tuple[str, ...] = ()


#: (net, its report, its example) -> another net.
Change = Callable[[torch.nn.Module, AuditReport, Any], Changed]


class Examined(NamedTuple):
    """A net, what an audit found, what a change did in lines, and the recipe of a swap.

    `shown` is what it makes of the first picture, (C, *spatial).
    """

    net: torch.nn.Module
    report: AuditReport
    said: list[str]
    recipe: dict[str, Any] | None = None
    shown: torch.Tensor | None = None


def choose_change(
    correction: bool,
    operator: str | None,
    keep: str = "weights",
    where: str = "*",
    images: str | None = None,
) -> Change | None:
    """The change that options ask for; None where they ask for none.

    Args:
        correction: level the kernels.
        operator: put this one in.
        keep: of a correction.
        where: of a swap.
        images: what to distil the changed net on afterwards, as for `distilled`.

    Raises:
        ValueError: where they ask for two, or for a distillation of nothing.
    """
    change = _first_change(correction, operator, keep, where)
    if images is None:
        return change
    if change is None:
        raise ValueError(f"distil={images} wins back what a change cost: ask for one too")

    def both(net: torch.nn.Module, report: AuditReport, example: Any) -> Changed:
        changed = change(net, report, example)
        if operator is None:
            return distilled(changed, net, example, images)
        teacher, said = without_checkerboard(net, report, example, images)
        return distilled(changed._replace(said=[*changed.said, *said]), teacher, example, images)

    return both


def _first_change(correction: bool, operator: str | None, keep: str, where: str) -> Change | None:
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


def without_checkerboard(
    net: torch.nn.Module, report: AuditReport, example: Any, images: str
) -> tuple[torch.nn.Module, list[str]]:
    """What a swapped net learns from, and lines of it: it would learn a checkerboard too.

    Where the net has one that levelled kernels take away, it is the corrected and distilled net;
    else the net itself.
    """
    if report.verdict != "checkerboard":
        return net, []
    try:
        fixed = corrected(net, report)
    except ValueError:
        return net, ["learned from the old net, whose checkerboard no levelled kernel takes away"]
    teacher = distilled(fixed._replace(said=[]), net, example, images)
    return teacher.net, [f"learned from the old net with levelled kernels, {teacher.said[0]}"]


def distilled(changed: Changed, teacher: torch.nn.Module, example: Any, images: str) -> Changed:
    """The changed net after some hundred steps on the old one's outputs, and a line of it.

    Args:
        changed: the net; what a correction levelled stays.
        teacher: the net as it was.
        example: the input that the audit ran on; None: a guess.
        images: a folder of pictures, or "drawn": noise and codes like the example.

    Raises:
        ValueError: for a net that takes no pictures, where it is given a folder.
        FileNotFoundError: for a folder that is not there.
    """
    first = examples_of(teacher, example)[0]
    found = pictures(first)
    if images == DRAWN:
        batches = _drawn(first)
    elif not found:
        raise ValueError(f"distil={images}: the net takes no pictures; distil={DRAWN} draws codes")
    else:
        like = found[0].tensor
        each = load(images, like[:1], normalisation(teacher), MOST)
        batches = [first.replace({id(like): torch.cat(g)}) for g in _in_batches(list(each))]
    calls = [call_arguments(b) for b in batches]
    net, told = distil(changed.net, teacher, calls, STEPS, frozen=changed.frozen)
    line = (
        f"distilled {told.steps} steps on {len(batches)} batches: relative error "
        f"{told.before:.3g} before, {told.after:.3g} after, on those held out"
    )
    return changed._replace(net=net, said=[*changed.said, line])


def _in_batches(each: list[torch.Tensor]) -> list[list[torch.Tensor]]:
    """In batches of a few, so that there are five at least where that can be."""
    size = max(1, min(BATCH, len(each) // 5))
    return [each[i : i + size] for i in range(0, len(each), size)]


def _drawn(first: Inputs) -> list[Inputs]:
    """Batches drawn like the example: pictures as it was, codes from its mean and spread.

    Codes cost nothing: no step sees one twice.
    """
    generator = torch.Generator().manual_seed(1)

    def like(x: torch.Tensor) -> torch.Tensor:
        if x.ndim > 3 and min(x.shape[2:]) > 1:
            each = [natural_noise(x.shape[1], x.shape[2:], generator) for _ in range(len(x))]
            drawn = torch.cat(each) - 0.5
        else:
            drawn = torch.randn(rows or len(x), *x.shape[1:], generator=generator)
        return (drawn * x.std().cpu() + x.mean().cpu()).to(x)

    floats = [x for x in first.tensors() if x.is_floating_point() and x.numel() > 1]
    codes = not pictures(first) and len(floats) == len(first.tensors())
    rows = CODES if codes else 0
    count = round(STEPS / (1 - HELD_OUT)) if codes else PICTURES // len(floats[0]) // BATCH
    count = max(5, count)
    return [first.replace({id(x): like(x) for x in floats}) for _ in range(count)]


def example_of(net: torch.nn.Module, example: Any) -> Any:
    """What `swap` runs the net on: as the audit would."""
    return call_arguments(examples_of(net, example)[0])


def call_arguments(inputs: Inputs) -> Any:
    """Inputs as a tuple, or as a dict of keywords.

    Raises:
        ValueError: for both.
    """
    if inputs.args and inputs.kwargs:
        names = ", ".join(inputs.kwargs)
        raise ValueError(
            f"the net takes {names} by keyword beside others: call the function itself"
        )
    return inputs.args or inputs.kwargs


def check_written(path: str, folder: bool) -> None:
    """Refuse, before any work, a path that `written` could not write.

    Args:
        path: of a file or a folder that is not there yet.
        folder: whether it may be one: a swap's.

    Raises:
        ValueError: for a name that is taken, and as `upzoo.saving.check_target`.
    """
    if not folder or Path(path).suffix:
        check_target(path)
    elif Path(path).exists():
        raise ValueError(f"output={path} exists: give the name of a new folder")


def written(path: str, changed: Examined) -> list[str]:
    """Write the weights, of a swap with its recipe, and say how to read them.

    Args:
        path: of a file, or for a swap of a folder too.
        changed: the net.

    Raises:
        ValueError: as `check_written`.
    """
    if changed.recipe is None:
        return [f"weights: {save_state(path, changed.net)}"]
    check_written(path, folder=True)
    target = Path(path)
    if not target.suffix:
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
    levelled = tuple(c.name for c in changes if c.skipped is None)
    return Changed(fixed, [change_line(c) for c in changes], frozen=levelled)


def before_after(
    before: AuditReport,
    after: AuditReport,
    moved: float | None,
    images: object,
    tell_cost: bool = True,
) -> list[str]:
    """What a change did, in lines: the checkerboard, and the output where it was measured.

    Args:
        before: the old net's audit.
        after: the new one's.
        moved: the output's change in dB.
        images: that it was measured on; None: the example.
        tell_cost: say what may win it back.
    """
    old, new = (max((f.db for f in r.findings), default=0.0) for r in (before, after))
    lines = [f"checkerboard: {old:.1f} dB before, {new:.1f} dB after"]
    if moved is None:
        return [*lines, "change of the output: not measured, the two give no maps of one shape"]
    where = "your pictures" if images is not None else "the example"
    lines.append(
        f"change of the output on {where}: {round(moved, 1) + 0.0:.1f} dB (variance over change)"
    )
    if moved < NOTICED and tell_cost:
        lines.append(
            "that may cost quality; distil=FOLDER of pictures (--distil), or upzoo.distil, may win "
            "some of it back"
        )
    return lines


@torch.no_grad()
def first_outputs(
    before: torch.nn.Module, after: torch.nn.Module, example: Any, images: Any
) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """What two nets make of the first picture, (C, *spatial) each; None for what is no map."""
    inputs = examples_of(before, example, images)[0]
    old, new = map_of(before, inputs), map_of(after, inputs)
    return (None if old is None else old[0]), (None if new is None else new[0])
