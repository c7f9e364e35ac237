"""How fast whole nets train and run: ours beside the same nets of others, eager and compiled.

python -m benchmarks.models            # writes benchmarks/results/models_<machine>.json
python -m benchmarks.models --only unet dcgan   # measures these and merges them into it
python -m benchmarks.models --device cuda       # on a GPU, with batches eight times as large
python -m benchmarks.models --report   # brings the tables of docs/training.md up to date

All sides of a comparison run in one process, round by round in turn after a warm-up, in the
precision that `trainer.precision=auto` takes here. Ours is channels-last, as in training; a peer
may be either. Beside the eager ones run compiled ones of both. The ratios are medians over the
rounds with their 95 % interval. The nets are in `benchmarks/peer_nets.py`.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks import devices, gpu_report
from benchmarks.devices import COMPILED, CPU
from benchmarks.memory import peak_bytes
from benchmarks.peer_nets import CLASSES, COMPARISONS, NOT_COMPILED, Make, dcgan
from benchmarks.scoring import RESULTS
from benchmarks.sides import DTYPES, Side
from benchmarks.step import NETS, Segmented
from benchmarks.timing import here, in_turn, interval, ratio, write
from comparison.pages import inserted, table
from tasks.precision import resolve_precision
from upzoo.checkpoint import build

PAGE = Path("docs/training.md")
LAST, FIRST = torch.channels_last, torch.contiguous_format
PARTS = ("train", "infer")


def sides_of(makes: Mapping[str, Make], dtype: torch.dtype, compiled: bool) -> dict[str, Any]:
    """Ours channels-last, each peer in both formats; compiled ones of all, channels-last."""
    sides = {}
    for name, make in makes.items():
        sides[name] = make(dtype, LAST)
        if name != "ours":
            sides[f"{name}, channels-first"] = make(dtype, FIRST)
        if compiled and name not in NOT_COMPILED:
            sides[name + COMPILED] = make(dtype, LAST)
            sides[name + COMPILED].compile()
    return sides


def compare(
    sides: Mapping[str, Any],
    images: int,
    rounds: int,
    device: torch.device = CPU,
    budget: float | None = None,
) -> dict[str, Any]:
    """Images per second of both passes, our speed over each side's, and memory.

    A compiled side is compared with our compiled one, if that runs.
    """
    found: dict[str, Any] = {}
    for part in PARTS:
        calls = {name: getattr(side, part) for name, side in sides.items()}
        if device != CPU:
            calls = {name: call for name, call in calls.items() if devices.runs(name, call)}
        seconds = in_turn(calls, rounds, **devices.timed(device, budget, least=0.1))
        found[part] = {}
        for name, times in seconds.items():
            ours = seconds[beside(name, seconds)]
            found[part][name] = {
                "images_per_second": images / statistics.median(times),
                "our_speed_over_it": compared(times, ours),
                "peak_bytes": peak_bytes(calls[name], device),
            }
            if device != CPU:
                found[part][name]["kernel_seconds"] = devices.kernel_seconds(calls[name])
        print(f"  {part}: {', '.join(_line(*item) for item in found[part].items())}", flush=True)
    return found


def beside(side: str, there: Collection[str]) -> str:
    """Which of our sides another is compared with: the compiled one with a compiled one, if it ran.

    >>> beside("peer, compiled", ("ours", "peer, compiled"))
    'ours'
    """
    ours = f"ours{COMPILED}"
    return ours if side.endswith(COMPILED) and ours in there else "ours"


def compared(theirs: list[float], ours: list[float]) -> dict[str, float]:
    """How many times faster ours is: median of the rounds' ratios, its interval, their range."""
    ratios = [a / b for a, b in zip(theirs, ours, strict=True)]
    return {**ratio(theirs, ours), **interval(ratios)}


def _line(name: str, values: Mapping[str, Any]) -> str:
    speed = values["our_speed_over_it"]["median"]
    return f"{name} {values['images_per_second']:.1f} img/s (ours ×{speed:.2f})"


def by_precision(
    rounds: int, device: torch.device = CPU, budget: float | None = None
) -> dict[str, Any]:
    """How many times faster than float32 bfloat16 trains each recipe's net, both channels-last."""
    found = {}
    for name, (kind, spec, shape) in NETS.items():
        if kind is not Segmented:
            continue
        image = torch.randn(devices.batch(shape, device), device=device)
        net = partial(build, {**spec, "num_classes": CLASSES, "in_channels": shape[1]})
        sides = {p: Side(net(), image, dtype, LAST).train for p, dtype in DTYPES.items()}
        seconds = in_turn(sides, rounds, **devices.timed(device, budget, least=0.1))
        found[name] = compared(seconds["32-true"], seconds["bf16-mixed"])
        print(f"{name}: bf16-mixed ×{found[name]['median']:.2f} of float32", flush=True)
    ours = dcgan(device=device)["ours"]
    sides = {p: ours(dtype, LAST).train for p, dtype in DTYPES.items()}
    seconds = in_turn(sides, rounds, **devices.timed(device, budget))
    return {**found, "DCGAN 64×64": compared(seconds["32-true"], seconds["bf16-mixed"])}


def verdict(auto: str, speed: Mapping[str, float]) -> str:
    """Whether "auto" takes the faster precision; "equal" where the interval holds 1."""
    if speed["low"] <= 1 <= speed["high"]:
        return "equal"
    return "yes" if (speed["median"] > 1) == (auto == "bf16-mixed") else "**no**"


def report(record: Mapping[str, Any]) -> dict[str, str]:
    """The tables of `docs/training.md`, by their markers: the CPU's, and a GPU's if there are."""
    machine, found = record["machine"], tables(record)
    where = f"{machine['cpu']}, {record['threads']} threads, torch {record['versions']['torch']}"
    peers = f"{where}:\n\n{found['peers']}"
    return {**found, "peers": peers, "GPU": gpu_report.training(tables)}


def tables(record: Mapping[str, Any]) -> dict[str, str]:
    """The tables of one machine, by name."""
    rows = []
    for name, (_, title, _, _) in COMPARISONS.items():
        found = record["comparisons"].get(name)
        for side in found["train"] if found else ():
            if not side.startswith("ours"):
                speeds = [found[part][side]["our_speed_over_it"] for part in PARTS]
                rows.append((title, side, *map(cell, speeds), *_kernels(found, side)))
    head = ("net", "peer", "training", "inference", "kernels, training", "kernels, inference")
    peers = table(head[: max(map(len, rows), default=4)], rows)
    precision = [
        (name, cell(speed), verdict(record["precision"], speed))
        for name, speed in record["bf16_over_float32"].items()
    ]
    head = ("net", "bf16 over float32, training", f"auto ({record['precision']}) is right")
    return {"peers": peers, "precision": table(head, precision)}


def _kernels(found: Mapping[str, Any], side: str) -> list[str]:
    """How many times as long as ours the GPU itself works for a side; nothing of a CPU."""
    cells = []
    for part in PARTS:
        if "kernel_seconds" in found[part][side]:
            sides = (found[part][side], found[part][beside(side, found[part])])
            theirs, ours = (each["kernel_seconds"] for each in sides)
            cells.append(f"{theirs / ours:.2f}×")
    return cells


def cell(speed: Mapping[str, float]) -> str:
    """1.19× (1.04 to 1.68): the median and its interval, in bold where that is below 1."""
    text = f"{speed['median']:.2f}× ({speed['low']:.2f} to {speed['high']:.2f})"
    return f"**{text}**" if speed["high"] < 1 else text


def main() -> None:
    """Measure and write, or report what was written."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.models", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="at least 6 for an interval of 95 %%")
    parser.add_argument("--only", nargs="+", choices=(*COMPARISONS, "precision"), default=())
    parser.add_argument("--compile", action="store_true", help="compiled ones of all, minutes")
    parser.add_argument("--report", action="store_true", help="tables of the page; no measuring")
    parser.add_argument("--out", type=Path, help="the machine's record unless given")
    devices.add_options(parser)
    options = parser.parse_args()
    device = CPU if options.report else devices.asked(parser, options)
    out = options.out or RESULTS / f"models_{devices.label(here()['machine'], device)}.json"
    if options.report:
        PAGE.write_text(inserted(PAGE.read_text(), report(json.loads(out.read_text()))))
        print(f"written: {PAGE}")
        return
    torch.manual_seed(0)
    precision = str(resolve_precision("auto", device.type))
    alike = {"precision": precision, "threads": torch.get_num_threads(), **here()}
    alike |= devices.arithmetic(device)
    record = {**alike, "comparisons": {}, "bf16_over_float32": {}}
    if options.only and out.exists():
        old = json.loads(out.read_text())
        if any(old.get(key) != value for key, value in alike.items()):
            parser.error(
                f"{out} is of another machine or other versions: measure all, or give --out"
            )
        record = old
    for name, (makes, _, compiled, images) in COMPARISONS.items():
        if name in (options.only or COMPARISONS):
            print(name, flush=True)
            there = makes(device=device)
            sides = sides_of(there, DTYPES[precision], compiled or options.compile)
            record["comparisons"][name] = compare(
                sides, images * devices.times(device), options.rounds, device, options.seconds
            )
            write(out, record)  # a later one may fail
    if not options.only or "precision" in options.only:
        record["bf16_over_float32"] = by_precision(options.rounds, device, options.seconds)
    write(out, record)


if __name__ == "__main__":
    main()
