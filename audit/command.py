"""`upzoo audit NET`: examine a net from anybody's project, in the folder where it lies."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from upzoo.audit.changes import check_written, choose_change, written
from upzoo.audit.figure import check_figure, draw
from upzoo.audit.named import TITLES, audit_both
from upzoo.audit.report import AuditReport
from upzoo.audit.terminal import say, show, write
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
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command, and end the program with its status."""
    given = parser().parse_args(arguments)
    try:
        report = examine(given)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
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
    """Load, audit, print and write.

    Raises:
        ValueError: before any work, for options that do not go together and for files that are not
            to be written; then as `audit_both`.
        OSError: for files that are not there, or cannot be written.
    """
    change = choose_change(given.correct, given.swap, given.keep, given.where, given.distil)
    if given.output is not None and change is None:
        raise ValueError(f"--output {given.output} is for a changed net: give --correct or --swap")
    if given.output is not None:
        check_written(given.output, folder=given.swap is not None)
    if given.json is not None and Path(given.json).is_dir():
        raise ValueError(f"--json {given.json} is a folder: give the name of a file")
    if given.figure is not None:
        check_figure(given.figure)
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
