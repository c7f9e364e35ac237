"""Every operator beside what a user would write by hand: time, peak memory, and the roofline.

python -m benchmarks.operators              # minutes; writes benchmarks/results/operators.json
python -m benchmarks.operators --only NAME  # measures one operator and merges it into that file
python -m benchmarks.operators --device cuda # on a GPU; writes …/operators_<GPU>.json
python -m benchmarks.operators --report     # draws tables and plot in docs/ from these files

Forward is measured without gradients, "training" is forward and backward. Everything is
channels-last, weights and input of one dtype. A rival that leaves its map channels-first hands the
work of reordering it to the next layer: it and the operator are timed with a 3×3 convolution behind
them, too.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks import devices, peers, report
from benchmarks.devices import CPU
from benchmarks.facts import build, extras, flops
from benchmarks.handwritten import Rival, rivals
from benchmarks.memory import peak_bytes
from benchmarks.timing import here, in_turn, ratio, spread, write
from upzoo.upsampling import OPERATORS
from upzoo.upsampling.base import is_channels_last

RESULTS = Path("benchmarks/results/operators.json")
DTYPES = (torch.float32, torch.bfloat16)
PASSES = ("forward", "training")


class Setting(NamedTuple):
    """Channels, scale and the input's size."""

    in_channels: int
    out_channels: int
    scale: int
    batch: int
    height: int
    width: int

    def __str__(self) -> str:
        return (
            f"{self.in_channels}→{self.out_channels} ×{self.scale}, "
            f"{self.batch}×{self.height}×{self.width}"
        )

    def input(self, dtype: torch.dtype, device: torch.device = CPU) -> Tensor:
        """A random input that wants a gradient."""
        shape = (self.batch, self.in_channels, self.height, self.width)
        x = torch.randn(shape, dtype=dtype, device=device)
        return x.contiguous(memory_format=torch.channels_last).requires_grad_()


SETTINGS = (
    Setting(64, 64, 2, 8, 32, 32),
    Setting(128, 64, 2, 4, 16, 16),
    Setting(21, 21, 8, 1, 16, 16),
    Setting(21, 21, 32, 1, 16, 16),
    Setting(16, 16, 2, 1, 128, 128),
    Setting(8, 8, 2, 1, 4, 4),
)
#: Beside them, where unfolded copies of 32×32 output pixels for each input pixel fit the memory.
CONTENT_AWARE = ("carafe", "fade", "sapa")
LARGEST = Setting(21, 21, 32, 1, 4, 4)
#: Maps that give a GPU something to do.
ON_GPU = (
    Setting(64, 64, 2, 8, 128, 128),
    Setting(128, 64, 2, 8, 64, 64),
    Setting(21, 21, 8, 8, 64, 64),
    Setting(21, 21, 32, 8, 16, 16),
)
QUICK = (Setting(16, 16, 2, 1, 8, 8), Setting(8, 8, 2, 1, 4, 4))


class ByHand(nn.Module):
    """A rival as users keep one: in a module, whose call then costs what ours does."""

    def __init__(self, rival: Rival, operator: nn.Module, given: Mapping[str, Tensor]):
        super().__init__()
        self.rival, self.operator, self.given = rival, operator, given

    def forward(self, x: Tensor) -> Tensor:
        """What the rival makes of `x` with the operator's weights."""
        return self.rival(self.operator, x, self.given)


class Effort(NamedTuple):
    """Rounds, seconds that a side is called for in a round, seconds for all rounds."""

    rounds: int = 7
    least: float = 0.01
    budget: float = 0.6


def as_trained(
    side: Callable[[Tensor], Tensor], x: Tensor, modules: list[nn.Module]
) -> Callable[[], None]:
    """Forward and backward of `side`, which leaves no gradient behind."""
    with torch.no_grad():
        gradient = torch.randn_like(side(x))

    def run() -> None:
        side(x).backward(gradient)
        x.grad = None
        for module in modules:
            module.zero_grad(set_to_none=True)

    return run


def as_applied(side: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[], Tensor]:
    """Forward alone."""

    def run() -> Tensor:
        with torch.no_grad():
            return side(x)

    return run


def compare(
    sides: Mapping[str, Callable[[Tensor], Tensor]],
    x: Tensor,
    modules: list[nn.Module],
    effort: Effort,
) -> list[dict[str, Any]]:
    """Time and memory of each side in both passes; the first side is ours."""
    rows = []
    how = devices.timed(x.device, warmup=2, least=effort.least, budget=effort.budget)
    for name in PASSES:
        if name == "forward":
            calls = {key: as_applied(side, x) for key, side in sides.items()}
        else:
            calls = {key: as_trained(side, x, modules) for key, side in sides.items()}
        seconds = in_turn(calls, effort.rounds, **how)
        others = list(sides)[1:]
        rows.append(
            {
                "pass": name,
                "seconds": {key: spread(times) for key, times in seconds.items()},
                "times_faster": {key: ratio(seconds[key], seconds["ours"]) for key in others},
                "peak_bytes": {key: peak_bytes(call, x.device) for key, call in calls.items()},
            }
        )
    return rows


def operator_rows(
    name: str, setting: Setting, dtype: torch.dtype, effort: Effort, device: torch.device = CPU
) -> list[dict]:
    """One operator at one setting beside its rivals."""
    operator = build(name, setting.in_channels, setting.out_channels, setting.scale)
    operator.to(device, dtype, memory_format=torch.channels_last)
    x = setting.input(dtype, device)
    given = extras(operator, x)
    sides = {"ours": lambda x: operator(x, **given)}
    for key, rival in rivals(name, operator, x).items():
        sides[key] = ByHand(rival, operator, given)
    if device != CPU:
        sides = {key: s for key, s in sides.items() if key == "ours" or runs(s, x, operator)}
    with torch.no_grad():
        maps = {key: side(x) for key, side in sides.items()}
    output = maps["ours"].nbytes
    weights = sum(p.nbytes for p in operator.parameters())
    facts = {
        "operator": name,
        "setting": str(setting),
        "dtype": str(dtype).removeprefix("torch."),
        "flops": flops(operator, x, given),
        "bytes": x.nbytes + sum(t.nbytes for t in given.values()) + weights + output,
    }
    rows = [{**facts, **row} for row in compare(sides, x, [operator], effort)]
    reordered = [key for key, y in maps.items() if not is_channels_last(y) and key != "ours"]
    del maps
    if reordered and is_channels_last(x):
        asked = {key: sides[key] for key in ("ours", *reordered)}
        for row, then in zip(rows, convolved(asked, x, operator, effort), strict=True):
            row["then_convolution"] = {key: then[key] for key in ("seconds", "times_faster")}
    return rows


def runs(rival: Callable[[Tensor], Tensor], x: Tensor, operator: nn.Module) -> bool:
    """Whether a GPU has the kernels and the memory for a rival; says so in a line where not."""
    try:
        as_trained(rival, x, [operator])()
    except RuntimeError as error:
        print(f"left out, {type(operator).__name__}'s rival: {str(error).splitlines()[0]}")
        return False
    return True


def convolved(
    sides: Mapping[str, Callable[[Tensor], Tensor]], x: Tensor, operator: nn.Module, effort: Effort
) -> list[dict[str, Any]]:
    """`compare` of sides that a 3×3 convolution follows, as many channels to as many."""
    channels = operator.out_channels
    conv = nn.Conv2d(channels, channels, 3, padding=1)
    conv.to(x.device, x.dtype, memory_format=torch.channels_last)
    followed = {key: lambda x, side=side: conv(side(x)) for key, side in sides.items()}
    return compare(followed, x, [operator, conv], effort)


def peer_rows(
    setting: Setting, dtype: torch.dtype, effort: Effort, device: torch.device = CPU
) -> list[dict]:
    """Blocks of other libraries, those that are installed, beside ours."""
    rows = []
    for theirs, ours, peer, block in peers.pairs(setting.in_channels, setting.out_channels):
        modules = [peer, block]
        for module in modules:
            module.to(device, dtype, memory_format=torch.channels_last)
        facts = {"peer": theirs, "ours": ours, "setting": str(setting)}
        facts["dtype"] = str(dtype).removeprefix("torch.")
        x = setting.input(dtype, device)
        found = compare({"ours": block, "peer": peer}, x, modules, effort)
        rows += [{**facts, **row} for row in found]
    return rows


def roofline(n: int, megabytes: int, device: torch.device = CPU) -> dict[str, float]:
    """What the machine can do at best: operations of a matrix product, bytes of a copy a second."""
    found, how = {}, devices.timed(device, warmup=2)
    for dtype in DTYPES:
        a, b = torch.randn(2, n, n, dtype=dtype, device=device).unbind()
        times = in_turn({"product": lambda a=a, b=b: a @ b}, 7, **how)["product"]
        found[str(dtype).removeprefix("torch.")] = 2 * n**3 / min(times)
    source = torch.randn(megabytes * 2**18, device=device)
    target = torch.empty_like(source)
    times = in_turn({"copy": lambda: target.copy_(source)}, 7, **how)["copy"]
    found["copy"] = 2 * source.nbytes / min(times)  # read and written
    return found


def measure(
    settings: tuple[Setting, ...],
    names: list[str],
    effort: Effort,
    size: int,
    device: torch.device = CPU,
    out: Path | None = None,
) -> dict:
    """All of it; what there is after each setting and dtype is written to `out`."""
    results: dict[str, Any] = {
        **devices.arithmetic(device),
        "setting": {"threads": torch.get_num_threads(), "layout": "channels-last"},
        "effort": effort._asdict(),
        "roofline": roofline(size, size // 8, device),
        "operators": [],
        "peers": [],
    }
    for setting in settings:
        for dtype in DTYPES:
            print(f"{setting}, {dtype}", flush=True)
            for name in names:
                if setting == LARGEST and name not in CONTENT_AWARE:
                    continue
                if OPERATORS[name].needs_guide and setting.scale > 8 and setting != LARGEST:
                    continue  # its reference would take gigabytes
                try:
                    results["operators"] += operator_rows(name, setting, dtype, effort, device)
                except RuntimeError as error:  # what CUDA has no kernel for, or no memory
                    if device == CPU:
                        raise
                    failed = results.setdefault("failed", [])
                    failed.append(f"{name}, {setting}, {dtype}: {str(error).splitlines()[0]}")
                    print(failed[-1], flush=True)
            if setting in settings[:2] and names == list(OPERATORS):
                results["peers"] += peer_rows(setting, dtype, effort, device)
            if out is not None:
                write(out, results)  # a later one may fail
    return results


def merged(record: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, Any]:
    """The record with the rows of the operators that were measured anew.

    Rows from another machine or other versions keep these, and the roofline of their own run.

    Args:
        record: what is in the file.
        results: as `measure` gives them, with `machine` and `versions`.
    """
    own = {key: results[key] for key in ("machine", "versions", "setting", "roofline")}
    alike = all(own[key] == record[key] for key in ("machine", "versions", "setting"))
    rows = [row if alike else {**row, "elsewhere": own} for row in results["operators"]]
    again = {row["operator"] for row in rows}
    kept = [row for row in record["operators"] if row["operator"] not in again]
    places = [
        {value: place for place, value in enumerate(dict.fromkeys(values))}
        for values in (
            [row["setting"] for row in (*record["operators"], *rows)],
            [row["dtype"] for row in (*record["operators"], *rows)],
            OPERATORS,
        )
    ]

    def place(row: Mapping[str, Any]) -> tuple[int, ...]:
        keys = (row["setting"], row["dtype"], row["operator"])
        return tuple(known[key] for known, key in zip(places, keys, strict=True))

    return {**record, "operators": sorted([*kept, *rows], key=place)}


def main() -> None:
    """Measure and write, or report what was written."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", action="store_true", help="tables and plot; measures nothing")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it works")
    parser.add_argument("--only", nargs="+", choices=OPERATORS, default=list(OPERATORS))
    parser.add_argument("--out", type=Path, help="the machine's record unless --quick")
    devices.add_options(parser)
    args = parser.parse_args()
    if args.report:
        report.write(json.loads((args.out or RESULTS).read_text()))
        return
    device = devices.asked(parser, args)
    record = RESULTS
    if device != CPU:
        record = RESULTS.with_stem(f"operators_{devices.label(here()['machine'], device)}")
    out = args.out or (None if args.quick else record)
    everything = args.only == list(OPERATORS)
    torch.manual_seed(0)
    if args.quick:
        results = measure(QUICK, args.only, Effort(3, 0.001, 0.1), 512, device)
    else:
        effort = Effort() if args.seconds is None else Effort(budget=args.seconds)
        settings, size = ((*SETTINGS, LARGEST), 2048) if device == CPU else (ON_GPU, 8192)
        whole = out if everything else None
        results = measure(settings, args.only, effort, size, device, whole)
    if out and out.exists() and not everything:
        results = merged(json.loads(out.read_text()), {**here(), **results})
    if out:
        write(out, results)
    print(report.speed_table(results, "float32"), report.speed_table(results, "bfloat16"), sep="\n")


if __name__ == "__main__":
    main()
