"""Fair timing on a noisy machine: both sides warmed up, in turn, medians of several rounds."""

import json
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reporting import environment


def in_turn(
    sides: Mapping[str, Callable[[], object]], rounds: int = 5, warmup: int = 1
) -> dict[str, list[float]]:
    """Seconds of each side in each round; a round runs every side once, one after the other."""
    for _ in range(warmup):
        for side in sides.values():
            side()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            start = time.perf_counter()
            side()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(numerator: list[float], denominator: list[float]) -> dict[str, float]:
    """Median of the ratios round by round, with their range."""
    ratios = [a / b for a, b in zip(numerator, denominator, strict=True)]
    return {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}


def write(path: Path, results: Mapping[str, Any]) -> None:
    """Write results as JSON, with the machine and the versions they were measured on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {"machine": environment.machine(), "versions": environment.versions()}
    path.write_text(json.dumps({**facts, **results}, indent=2) + "\n")
    print(f"written: {path}")
