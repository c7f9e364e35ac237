"""Fair timing on a noisy machine: both sides warmed up, in turn, medians of several rounds."""

import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runs import environment
from runs.console import ROOT

FEWEST_ROUNDS = 3


def in_turn(
    sides: Mapping[str, Callable[[], object]],
    rounds: int = 5,
    warmup: int = 1,
    *,
    least: float = 0.0,
    budget: float = math.inf,
    clock: Callable[[], float] | None = None,
) -> dict[str, list[float]]:
    """Seconds of each side in each round; a round runs every side once, one after the other.

    Args:
        sides: what to run, by name.
        rounds: how many rounds.
        warmup: calls of each side before, at least one; one is enough where it eats the budget.
        least: a side that takes fewer seconds is called again until a round takes as many; its
            seconds are those of one call.
        budget: seconds that all rounds may take together; fewer rounds then, but never below
            `FEWEST_ROUNDS`.
        clock: what is measured, `time.perf_counter` by default; `time.process_time` on a machine
            that others work on too.
    """
    clock = clock or time.perf_counter
    calls, one_round = {}, 0.0
    for name, side in sides.items():
        for _ in range(max(warmup, 1)):
            start = clock()
            side()
            took = clock() - start
            if took > budget / rounds:
                break
        calls[name] = max(1, math.ceil(least / took))
        one_round += calls[name] * took
    if one_round * rounds > budget:
        rounds = min(rounds, max(FEWEST_ROUNDS, int(budget / one_round)))
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            start = clock()
            for _ in range(calls[name]):
                side()
            seconds[name].append((clock() - start) / calls[name])
    return seconds


def ratio(numerator: list[float], denominator: list[float]) -> dict[str, float]:
    """Median of the ratios round by round, with their range."""
    return spread([a / b for a, b in zip(numerator, denominator, strict=True)])


def interval(values: list[float], level: float = 0.95) -> dict[str, float]:
    """Interval of the median from the order of the values alone, whatever their distribution.

    The k-th smallest and the k-th greatest of n hold the median with probability 1 − 2·P(X < k),
    X ~ Bin(n, ½): the least and the greatest of 6 with 97 %. Fewer than 6 reach no 95 %.

    Returns:
        "low", "high", and "level", their probability: at least the one asked for where n allows.
    """
    n, ordered = len(values), sorted(values)
    below, k = 0.5**n, 1  # P(X < 1)
    while below + math.comb(n, k) * 0.5**n <= (1 - level) / 2:
        below += math.comb(n, k) * 0.5**n
        k += 1
    return {"low": ordered[k - 1], "high": ordered[n - k], "level": 1 - 2 * below}


def spread(values: list[float]) -> dict[str, float]:
    """Median and range."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def here() -> dict[str, Any]:
    """The machine and the versions that are measured on."""
    return {"machine": environment.machine(), "versions": dict(environment.versions())}


def write(path: Path, results: Mapping[str, Any]) -> None:
    """Write results as JSON, with the machine and the versions they were measured on.

    Results that say theirs keep them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**here(), **results}, indent=2) + "\n")
    print(f"written: {path}")


def seconds_of(arguments: list[str]) -> float:
    """Processor time of a Python process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
