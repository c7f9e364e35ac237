"""Tables and plot of `docs/operators.md`, from what `benchmarks.operators` measured."""

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import gpu_report
from benchmarks.facts import CHANNELS, SCALE, facts
from benchmarks.handwritten import REFERENCES
from benchmarks.plot import draw
from comparison.pages import inserted, table
from upzoo.upsampling import OPERATORS, Upsample
from upzoo.upsampling.base import Summary

PAGE = Path("docs/operators.md")
FIGURE = Path("docs/figures/operators_speed.png")
DTYPES = ("float32", "bfloat16")
Results = Mapping[str, Any]


class Target(NamedTuple):
    """A figure that a fast path is held to, for forward and backward."""

    what: str
    operator: str
    setting: str
    rival: str
    dtype: str
    faster: float
    memory: float | None = None


COMMON, LARGE = "64→64 ×2, 8×32×32", "21→21 ×32, 1×16×16"
NEAREST = "`resize_conv` nearest 3×3 against two steps"
TARGETS = (
    Target(NEAREST, "resize_conv", COMMON, "by hand", "bfloat16", 1.7, 0.6),
    Target(NEAREST, "resize_conv", COMMON, "by hand", "float32", 1.5, 0.6),
    *(
        Target(f"fixed `bilinear_init` against {what}", "bilinear_init", LARGE, rival, dtype, least)
        for rival, what, least in (
            ("dense", "the dense kernel", 4.0),
            ("by hand", "the depthwise kernel", 2.0),
        )
        for dtype in DTYPES
    ),
    *(
        Target("`carafe` against plain unfolding", "carafe", COMMON, "by hand", dtype, 3.0, 0.5)
        for dtype in DTYPES
    ),
    *(
        Target("`dysample` against its plain form", "dysample", COMMON, "by hand", dtype, 1.0, 1.0)
        for dtype in DTYPES
    ),
)


def find(results: Results, operator: str, setting: str, dtype: str, part: str) -> Any:
    """The one row of an operator, or None."""
    wanted = {"operator": operator, "setting": setting, "dtype": dtype, "pass": part}
    for row in results["operators"]:
        if all(row[key] == value for key, value in wanted.items()):
            return row
    return None


def count(value: float) -> str:
    """A count with three digits: 0, 512, 32.8k, 1.05M."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:#.3g}".rstrip(".") + unit
    return f"{value:.0f}"


def milliseconds(seconds: float) -> str:
    """Three digits: 0.123, 1.23, 12.3, 123."""
    return f"{1000 * seconds:#.3g}".rstrip(".")


def took(row: Mapping[str, Any]) -> str:
    """Milliseconds of an operator; † marks those of another run than the page's."""
    mark = " †" if "elsewhere" in row else ""
    return milliseconds(row["seconds"]["ours"]["median"]) + mark


def times(row: Mapping[str, Any], rival: str) -> str:
    """How many times faster than a rival ours is, the median; a dash without that rival."""
    found = row["times_faster"].get(rival)
    return f"{found['median']:.2f}×" if found else "–"


def memory(row: Mapping[str, Any], rival: str) -> float:
    """Our peak memory over a rival's."""
    return row["peak_bytes"]["ours"] / row["peak_bytes"][rival]


def roofline_share(results: Results, row: Mapping[str, Any]) -> str:
    """Least time of a forward pass, by its arithmetic or its bytes, over the time it takes."""
    roof = row.get("elsewhere", results)["roofline"]
    least = max(row["flops"] / roof[row["dtype"]], row["bytes"] / roof["copy"])
    return f"{least / row['seconds']['ours']['median']:.0%}"


def settings(results: Results) -> list[str]:
    """The settings measured, in their order."""
    return list(dict.fromkeys(row["setting"] for row in results["operators"]))


def summary(operator: type[Upsample]) -> Summary:
    """What an operator computes; by its docstring's first sentence, where it has no summary."""
    own = vars(operator).get("summary")  # not that of a class that it extends
    if own is not None:
        return own
    first = " ".join(inspect.getdoc(operator).split("\n\n")[0].split())
    found = re.fullmatch(r"(.*?)(?: \((.*)\))?\.", first)
    return Summary(found[1] if found else first, "–", (found and found[2]) or "–")


def summaries_table() -> str:
    """What each operator computes, from its class."""
    rows = ((f"`{name}`", *summary(operator)) for name, operator in OPERATORS.items())
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(["| operator | output | parameters | source |", "|---|---|---|---|", *lines])


def facts_table(results: Results) -> str:
    """What each operator is and how fast, 64 -> 64 channels at scale 2: two tables."""
    known, fast = [], []
    for name, operator in OPERATORS.items():
        found = facts(name)
        fewest, most = found["reach"]
        ripple = "–" if found["ripple"] is None else f"{found['ripple']:.2f}"
        forward, training = (
            find(results, name, COMMON, "float32", part) for part in ("forward", "training")
        )
        known.append(
            (
                f"`{name}`",
                count(found["parameters"]),
                count(found["flops_per_pixel"]),
                f"{fewest}, even" if fewest == most else f"{fewest}–{most}, **uneven**",
                "0" if ripple == "0.00" else ripple,
                operator.no_onnx or "yes",
            )
        )
        speed = ("–", "–", "–")  # not measured yet
        if forward and training:
            share = roofline_share(results, forward)
            speed = took(training), times(training, "by hand"), share
        fast.append((f"`{name}`", operator.nondeterministic or "deterministic", *speed))
    what = f"{CHANNELS}→{CHANNELS}, ×{SCALE}"
    head = (what, "parameters", "FLOPs per output pixel", "overlap", "DC ripple at start")
    speeds = (what, "CUDA backward", "training, ms", "against by hand")
    tables = table((*head, "ONNX"), known), table((*speeds, "forward, of the roofline"), fast)
    return "\n\n".join(tables)


def targets_table(results: Results) -> str:
    """The figures that fast paths are held to, reached or not."""
    rows = []
    for t in TARGETS:
        row = find(results, t.operator, t.setting, t.dtype, "training")
        if row is None:
            continue
        found, share = row["times_faster"][t.rival], memory(row, t.rival)
        reached = found["median"] >= t.faster and (t.memory is None or share <= t.memory)
        rows.append(
            (
                t.what,
                t.setting,
                t.dtype,
                f"{found['median']:.2f}× ({found['min']:.2f}–{found['max']:.2f})",
                f"{t.faster:g}×",
                f"{share:.2f}",
                "–" if t.memory is None else f"{t.memory:g}",
                "yes" if reached else "**no**",
            )
        )
    head = ("", "setting", "type", "speed", "wanted", "peak memory", "wanted", "reached")
    return table(head, rows)


def fast_table(results: Results) -> str:
    """Every fast path against its readable reference, at every setting."""
    rows = []
    for name, rival in REFERENCES.items():
        for setting in settings(results):
            row = find(results, name, setting, DTYPES[0], "training")
            if row is None or rival not in row["peak_bytes"]:
                continue
            cells = []
            for dtype in DTYPES:
                for part in ("forward", "training"):
                    row = find(results, name, setting, dtype, part)
                    slow = row["times_faster"][rival]["median"] < 0.95
                    speed = times(row, rival)
                    cells.append(f"**{speed}**" if slow else speed)
                cells.append(f"{memory(row, rival):.2f}")
            rows.append((f"`{name}`", setting, *cells))
    parts = ("forward", "training", "memory")
    head = ("", "setting", *(f"{dtype} {part}" for dtype in ("fp32", "bf16") for part in parts))
    return table(head, rows)


def followed_table(results: Results) -> str:
    """Operators and rivals that leave their map channels-first, a 3×3 convolution behind both."""
    cells: dict[tuple[str, str, str], dict[tuple[str, str], str]] = {}
    for row in results["operators"]:
        then = row.get("then_convolution", {"times_faster": {}})
        for rival in then["times_faster"]:
            alone, followed = times(row, rival), times(then, rival)
            found = cells.setdefault((row["operator"], rival, row["setting"]), {})
            found[row["dtype"], row["pass"]] = f"{followed} ({alone})"
    if not cells:
        return "Not in this record yet."
    columns = [(dtype, part) for dtype in DTYPES for part in ("forward", "training")]
    head = ("", "rival", "setting", *(f"{dtype}, {part}" for dtype, part in columns))
    rows = (
        (f"`{name}`", rival, setting, *(found.get(column, "–") for column in columns))
        for (name, rival, setting), found in cells.items()
    )
    return table(head, rows)


def speed_table(results: Results, dtype: str) -> str:
    """Milliseconds of forward and backward by operator and setting, and against by hand."""
    first = results["operators"][0]["operator"]  # the largest map is for some alone
    columns = [s for s in settings(results) if find(results, first, s, dtype, "training")]
    rows = []
    for name in dict.fromkeys(row["operator"] for row in results["operators"]):
        found = [find(results, name, setting, dtype, "training") for setting in columns]
        cells = (f"{took(row)} ({times(row, 'by hand')})" if row else "–" for row in found)
        rows.append((f"`{name}`", *cells))
    return table((f"{dtype}, training, ms", *columns), rows)


def peers_table(results: Results) -> str:
    """Blocks of other libraries beside ours; a line where none was installed."""
    if not results["peers"]:
        return "No peer was installed in this run."
    pairs: dict[tuple[str, str, str], dict[tuple[str, str], Any]] = {}
    for row in results["peers"]:
        pair = pairs.setdefault((row["peer"], row["ours"], row["setting"]), {})
        pair[row["dtype"], row["pass"]] = row
    tables = []
    for dtype in DTYPES:
        rows = [
            (
                *names,
                *(times(found[dtype, part], "peer") for part in ("forward", "training")),
                f"{memory(found[dtype, 'training'], 'peer'):.2f}",
            )
            for names, found in pairs.items()
        ]
        head = ("peer", "ours", "setting", "forward", "training", "memory")
        tables.append(f"{dtype}:\n\n{table(head, rows)}")
    return "\n\n".join(tables)


def machine_line(results: Results) -> str:
    """Where the figures come from."""
    others: dict[str, list[str]] = {}
    for row in results["operators"]:
        if "elsewhere" in row:
            names = others.setdefault(_machine(row["elsewhere"]), [])
            names += [row["operator"]] if row["operator"] not in names else []
    lines = [f"Measured on {_machine(results)}"]
    lines += [f"† {', '.join(f'`{n}`' for n in names)}: {where}" for where, names in others.items()]
    return "\n\n".join(lines)


def _machine(results: Results) -> str:
    machine, roof = results["machine"], results["roofline"]
    amx = "with" if machine["amx_bf16"] else "without"
    return (
        f"{machine['cpu']}, {results['setting']['threads']} threads, "
        f"{amx} AMX, torch {results['versions']['torch']}, "
        f"channels-last. Roofline of the same run: {roof['float32'] / 1e9:.0f} GFLOP/s in fp32, "
        f"{roof['bfloat16'] / 1e9:.0f} in bf16, {roof['copy'] / 1e9:.1f} GB/s copying."
    )


def parts(results: Results) -> dict[str, str]:
    """Every generated part of the page, by its marker."""
    return {
        "summaries": summaries_table(),
        "facts": facts_table(results),
        "machine": machine_line(results),
        "targets": targets_table(results),
        "fast paths": fast_table(results),
        "followed": followed_table(results),
        "speed": "\n\n".join(speed_table(results, dtype) for dtype in DTYPES),
        "GPU": gpu_report.operators(),
        "peers": peers_table(results),
    }


def write(results: Results) -> None:
    """Bring the page and its plot up to date."""
    PAGE.write_text(inserted(PAGE.read_text(), parts(results)))
    draw(results, COMMON, FIGURE)
    print(f"written: {PAGE}, {FIGURE}")
