"""`upzoo audit NET`: examine a net from anybody's project, in the folder where it lies."""

from __future__ import annotations

import argparse
import contextlib
import re
import shlex
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from upzoo.audit import audit, photos
from upzoo.audit.changes import (
    Change,
    Examined,
    before_after,
    choose_change,
    first_outputs,
    written,
)
from upzoo.audit.correction import output_change
from upzoo.audit.examples import natural_noise
from upzoo.audit.figure import draw
from upzoo.audit.report import AuditReport
from upzoo.audit.targets import DEFAULT, load_target
from upzoo.audit.terminal import progress, say, show, write
from upzoo.audit.weights import load_into
from upzoo.saving import check_target
from upzoo.upsampling.equalise import KEEP

EPILOG = """examples:
  upzoo audit mynets:build                   a function of yours that returns the module
  upzoo audit mynets:build --input photos/   the measures of pictures on your own too
  upzoo audit torchvision:fcn_resnet50 --weights DEFAULT
  upzoo audit mynets:unet --size 160 --args timestep=10
  upzoo audit smp:Unet --json audit.json --figure audit.png --tables
  upzoo audit mynets:build --input photos/ --correct --output better.safetensors
  upzoo audit mynets:build --swap resize_conv --where "decoder.*" --output better/
  upzoo audit mynets:build --input photos/ --correct --distil photos/ --figure both.png

It ends with status 0 where the net is free of checkerboards, 1 where it is not or nobody can tell,
and 2 where it could not be examined."""
TITLES = ("before", "after")
SHAPE = re.compile(r"\d+(x\d+)+")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command, and end the program with its status."""
    given = parser().parse_args(arguments)
    try:
        report = examine(given)
    except (ValueError, FileNotFoundError, ImportError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    sys.exit(0 if report.ok else 1)


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    top = argparse.ArgumentParser(prog="upzoo", description="Upsampling in nets: examine them.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    one = commands.add_parser(
        "audit",
        help="examine a net for checkerboards",
        description="Examine a net for checkerboards: which layers make one.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    one.add_argument(
        "net", help="module:function, torchvision:NAME, smp:NAME, timm:NAME, or a path"
    )
    one.add_argument("--input", metavar="PATH", help="a picture of yours, or a folder of them")
    one.add_argument("--example", metavar="FILE", help="the picture to run the net on")
    one.add_argument("--size", metavar="N|HxW|CxHxW", help="of the net's input")
    one.add_argument("--map", metavar="NAME", help="the output to look at: aux, features.2")
    one.add_argument("--weights", metavar="DEFAULT|FILE", help="to be put into the net")
    one.add_argument(
        "--args",
        nargs="*",
        default=[],
        metavar="[NAME=]VALUE",
        help="more inputs: a number, or a shape such as 1x77x768, which is noise",
    )
    one.add_argument("--seed", type=int, default=0, help="of all that is drawn")
    one.add_argument("--tables", action="store_true", help="print every layer and period")
    one.add_argument("--json", metavar="FILE", help="write the report")
    one.add_argument("--figure", metavar="FILE", help="draw it")
    one.add_argument("--correct", action="store_true", help="level the kernels of a copy, see both")
    one.add_argument("--keep", choices=KEEP, default="weights", help="as close as can be")
    one.add_argument("--swap", metavar="OPERATOR", help="put another into a copy, see both")
    one.add_argument("--where", default="*", metavar="PATTERN", help="of the modules to swap in")
    one.add_argument(
        "--distil",
        metavar="PATH",
        help="train the copy on the old net's outputs for these pictures; drawn: for noise",
    )
    one.add_argument(
        "--output",
        metavar="PATH",
        help="write the copy's weights: .safetensors, .pth; of a swap also a folder",
    )
    return top


def examine(given: argparse.Namespace) -> AuditReport:
    """Load, audit, print and write."""
    change = choose_change(given.correct, given.swap, given.keep, given.where, given.distil)
    if given.output is not None and change is None:
        raise ValueError(f"--output {given.output} is for a changed net: give --correct or --swap")
    if given.output is not None and (given.swap is None or Path(given.output).suffix):
        check_target(given.output)
    before, after = audit_both(
        given.net,
        change,
        size=given.size,
        images=given.input,
        example=given.example,
        output=given.map,
        weights=given.weights,
        arguments=given.args,
        seed=given.seed,
    )
    reports = [before.report]
    show(before.report, tables=given.tables, advice=after is None)
    if after is not None:
        say(after.said)
        show(after.report, tables=given.tables, advice=False)
        reports.append(after.report)
        if given.output is not None:
            say(written(given.output, after))
    if given.json is not None:
        write(reports[-1], given.json)
    if given.figure is not None:
        shown = None if after is None else (before.shown, after.shown)
        draw(reports, TITLES if after else None, shown).savefig(given.figure)
    return reports[-1]


def audit_target(
    spec: str,
    *,
    size: str | int | Sequence[int] | None = None,
    images: str | None = None,
    example: str | None = None,
    output: str | None = None,
    weights: str | None = None,
    arguments: Sequence[str] = (),
    seed: int = 0,
) -> AuditReport:
    """Audit a net by its name: `audit_both` without a change."""
    before, _ = audit_both(
        spec,
        None,
        size=size,
        images=images,
        example=example,
        output=output,
        weights=weights,
        arguments=arguments,
        seed=seed,
    )
    return before.report


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
            inputs = _photo(example, net, size)
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


def options_again(
    size: Any,
    example: str | None = None,
    output: str | None = None,
    weights: str | None = None,
    arguments: Sequence[str] = (),
) -> str:
    """Options as the command takes them, for one that goes on from this audit.

    Example:
        >>> options_again(96, weights="DEFAULT"), options_again(None)
        (' --size 96 --weights DEFAULT', '')
    """
    shape = "x".join(map(str, size)) if isinstance(size, list | tuple) else size
    given = {"size": shape, "example": example, "map": output, "weights": weights}
    said = [f" --{name} {shlex.quote(str(v))}" for name, v in given.items() if v is not None]
    more = [" --args " + " ".join(map(shlex.quote, arguments))] if arguments else []
    return "".join([*said, *more])


@contextlib.contextmanager
def _quiet_loggers() -> Any:
    """Let packages log nothing below an error."""
    import logging

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _photo(path: str, net: torch.nn.Module, size: Any) -> Tensor:
    """A picture as the net takes it: at its own size, or at the one that is asked for."""
    first = next((m for m in net.modules() if isinstance(m, torch.nn.Conv2d)), None)
    channels = first.in_channels if first is not None else 3
    if channels not in (1, 3):
        raise ValueError(f"example={path}: the net takes {channels} channels, no pictures")
    x = photos.read(photos.files(path)[0], channels)
    asked = read_size(size)
    height, width = (n // 32 * 32 for n in x.shape[-2:])
    if asked is not None:
        height, width = (asked, asked) if isinstance(asked, int) else asked[-2:]
    like = torch.empty(1, channels, max(height, 32), max(width, 32))
    return next(iter(photos.load(x[0], like, photos.normalisation(net))))


def read_size(size: str | int | Sequence[int] | None) -> int | list[int] | None:
    """224, "224x320" or "3x224x320" as numbers.

    Example:
        >>> read_size("224"), read_size("3x64x96"), read_size(None)
        (224, [3, 64, 96], None)
    """
    if size is None or isinstance(size, int):
        return size
    parts = size.split("x") if isinstance(size, str) else list(size)
    try:
        numbers = [int(part) for part in parts]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise ValueError(f"size={size}: give pixels, 224, HxW, or CxHxW")
    return numbers[0] if len(numbers) == 1 else numbers


def read_arguments(texts: Sequence[str]) -> tuple[list[Any], dict[str, Any]]:
    """More inputs from "[NAME=]VALUE": whole numbers, floats, true and false, or shapes of noise.

    Example:
        >>> args, kwargs = read_arguments(["1x4", "scale=0.5", "timestep=10"])
        >>> args[0].shape, kwargs
        (torch.Size([1, 4]), {'scale': tensor([0.5000]), 'timestep': tensor([10])})
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    generator = torch.Generator().manual_seed(0)
    for text in texts:
        name, found, value = text.rpartition("=")
        read = _read_value(value, text, generator)
        if found:
            kwargs[name] = read
        else:
            args.append(read)
    return args, kwargs


def _read_value(value: str, text: str, generator: torch.Generator) -> Any:
    if SHAPE.fullmatch(value):
        shape = [int(n) for n in value.split("x")]
        if len(shape) > 2 and shape[0] == 1 and min(shape[2:]) > 1:
            return natural_noise(shape[1], shape[2:], generator)
        return torch.randn(shape, generator=generator)
    if value.lower() in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[value.lower()]
    try:
        return torch.tensor([int(value) if re.fullmatch(r"-?\d+", value) else float(value)])
    except ValueError:
        raise ValueError(
            f"args={text}: give a number, true, false, none, or a shape such as 1x77x768"
        ) from None
