"""What was measured on a GPU, beside the CPU's figures: nothing where there is no such record."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.devices import TIMES
from comparison.pages import table

RESULTS = Path(__file__).parent / "results"
DTYPES = {"float32": "fp32", "bfloat16": "bf16"}
PASSES = ("forward", "training")
#: Below it a median is called slower.
SLOWER = 0.95
Record = Mapping[str, Any]


def records(kind: str, folder: Path = RESULTS) -> Iterator[Record]:
    """The records of a benchmark that were taken on a GPU.

    Args:
        kind: of the benchmark, the beginning of its files' names.
        folder: of the records.
    """
    for path in sorted(folder.glob(f"{kind}_*.json")):
        record = json.loads(path.read_text())
        if record.get("device") == "cuda":
            yield record


def where(record: Record) -> str:
    """A heading, and how it was measured."""
    machine, versions = record["machine"], record["versions"]
    return (
        f"### On an {machine['gpu']}\n\nTorch {versions['torch']}, channels-last; "
        f"float32 is {record['float32']}."
    )


def operators(folder: Path = RESULTS) -> str:
    """Each operator against what one writes by hand, at the first size; then what is slower."""
    return "\n\n".join(part for record in records("operators", folder) for part in _sized(record))


def _sized(record: Record) -> list[str]:
    found: dict[str, dict[tuple[str, str], Record]] = {}
    slower = []
    first = record["operators"][0]["setting"]
    for row in record["operators"]:
        rival = next((r for r in ("by hand", "reference") if r in row["times_faster"]), None)
        if rival is None:
            continue
        speed = row["times_faster"][rival]["median"]
        share = row["peak_bytes"]["ours"] / max(row["peak_bytes"][rival], 1)
        name = f"`{row['operator']}`" + ("" if rival == "by hand" else " (its reference)")
        if row["setting"] == first:
            cells = found.setdefault(name, {})
            cells[row["dtype"], row["pass"]] = {"speed": speed, "memory": share}
        if speed < SLOWER:
            slower.append(
                f"{name} {row['setting']}, {DTYPES[row['dtype']]} {row['pass']} {speed:.2f}×"
            )
    columns = [(dtype, part) for dtype in DTYPES for part in PASSES]
    rows = [
        (
            name,
            *(f"{cells[column]['speed']:.2f}×" if column in cells else "–" for column in columns),
            *(f"{cells[d, 'training']['memory']:.2f}" for d in DTYPES if (d, "training") in cells),
        )
        for name, cells in found.items()
    ]
    head = (
        f"{first}: times as fast as by hand",
        *(f"{DTYPES[dtype]} {part}" for dtype, part in columns),
        *(f"{short} memory" for short in DTYPES.values()),
    )
    roof = record["roofline"]
    best = (
        f"Of the same run: {roof['float32'] / 1e12:.0f} TFLOP/s in fp32, "
        f"{roof['bfloat16'] / 1e12:.0f} in bf16, {roof['copy'] / 1e9:.0f} GB/s copying."
    )
    rest = f"Slower at any size: {'; '.join(slower)}." if slower else "None is slower at any size."
    return [f"{where(record)} {best}", table(head, rows), rest]


def training(tables: Any, folder: Path = RESULTS) -> str:
    """Whole nets beside their peers, both precisions, and what a step is of its convolutions.

    Args:
        tables: record of whole nets → its tables by name, `benchmarks.models.tables`.
        folder: of the records.
    """
    parts = []
    for record in records("models", folder):
        found = tables(record)
        batches = f"Batches are {TIMES} times those of the CPU."
        parts += [f"{where(record)} {batches} {_certainty(record)}", found["peers"]]
        parts += [found["precision"]] if record["bf16_over_float32"] else []
    steps = list(records("step", folder))
    if steps:
        rows = [
            (f"{net}, {record['precision']}", *(_over(found, side) for side in _SIDES))
            for record in steps
            for net, found in record["nets"].items()
        ]
        head = ("a step over its convolutions alone", *_SIDES)
        parts.append(table(head, rows))
    return "\n\n".join(parts)


def _certainty(record: Record) -> str:
    """With what probability the intervals of a record hold the median."""
    levels = {
        against["our_speed_over_it"]["level"]
        for comparison in record["comparisons"].values()
        for sides in comparison.values()
        for against in sides.values()
    }
    return f"The intervals hold the median with at least {min(levels):.0%}."


_SIDES = ("step", "step, compiled", "batch norm", "loss")


def _over(found: Record, side: str) -> str:
    over = found["over_convolutions"].get(side)
    return "–" if over is None else f"{over['median']:.2f}"
