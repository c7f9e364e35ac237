"""Calibrate the checkerboard measures: which grids they find, and what they call one wrongly.

python -m benchmarks.artifacts --images FOLDER   # minutes; writes benchmarks/results/artifacts.json
python -m benchmarks.artifacts --report          # draws tables and figures in docs/ from that file

FOLDER holds 200 photographs or more, of 256×256 pixels at least.
"""

import argparse
import copy
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks import artifacts_images as pictures
from benchmarks import artifacts_report as report
from benchmarks.artifacts_detection import AMPLITUDES, COUNTS, PERIODS, detection, false_alarms
from benchmarks.timing import write
from runs import console
from upzoo.metrics.checkerboard.power import decibels
from upzoo.metrics.checkerboard.scores import CheckerboardScores
from upzoo.metrics.checkerboard.terms import averaged, measured, measures

RESULTS = Path("benchmarks/results/artifacts.json")
POOL, SIZE = 200, 256


def sensitivity(count: int = 1000, size: int = 64) -> list[dict[str, Any]]:
    """Every measure on 1/f images with a known grid of period 2 or none."""
    real, x = (pictures.pink(count, size, seed) for seed in (0, 1))
    unit = {name: grid(x, 2) for name, grid in pictures.GRIDS.items()}
    cases = {
        "nothing": x,
        "checker 0.01 σ": x + 0.01 * unit["checker"],
        "checker 0.1 σ": x + 0.1 * unit["checker"],
        "columns 0.1 σ": x + 0.1 * unit["columns"],
        "random-sign 8×8 checker 0.1 σ": x + 0.1 * unit["random sign"],
        "gain ripple 5 %": x + 0.05 * unit["gain ripple"],
        "gain ripple 20 %": x + 0.2 * unit["gain ripple"],
        "noise on one phase 0.1 σ": x + 0.1 * unit["one-phase noise"],
        "white noise 0.1 σ, no grid": pictures.noisy(x, 0.1),
        "blur, no grid": pictures.blurred(x),
        "nearest ×2": pictures.enlarged(x, 2, "nearest"),
    }
    weights = torch.full((1, count), 1 / count)
    mark = averaged(measured(real, (2,)), weights)
    rows = []
    for name, images in cases.items():
        terms = averaged(measured(images, (2,)), weights)
        found = measures(terms, mark, (2,))[2]
        profile = decibels(terms["profile"] / mark["profile"])[0, 1:].abs()
        rows.append(
            {
                "injected": name,
                "profile_db": profile.max().item(),
                "peak_excess_db": found["peak_excess_db"].item(),
                "phase_mean": found["phase_mean"].item(),
                "phase_variance_ratio": found["phase_variance_ratio"].item(),
                "sharpness_db": decibels(terms["spread"] / mark["spread"])[0, 1].item(),
            }
        )
    return rows


def cost(count: int = 1000, size: int = 64, rounds: int = 7) -> dict[str, Any]:
    """Seconds for the whole suite on new colour images; as many real ones were seen before."""
    images = torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))
    threads = torch.get_num_threads()
    found: dict[str, Any] = {"images": count, "size": size, "threads": {}}
    for used in (1, 2):
        torch.set_num_threads(used)
        scores = CheckerboardScores()
        scores.update(images, real=True)
        walls, cpus = [], []
        for _ in range(rounds + 1):
            fresh = copy.deepcopy(scores)
            wall, cpu = time.perf_counter(), time.process_time()
            fresh.update(images, real=False)
            fresh.compute()
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
        found["threads"][used] = {
            "wall": statistics.median(walls[1:]),
            "cpu": statistics.median(cpus[1:]),
        }
    torch.set_num_threads(threads)
    return found


def measure(folder: Path) -> dict[str, Any]:
    """All of it, on one core but for `cost`."""
    torch.set_num_threads(1)
    start = time.process_time()
    photos, scenes = pictures.crops(folder, POOL, SIZE), pictures.drawn(POOL, SIZE)
    results: dict[str, Any] = {
        "pool": POOL,
        "size": SIZE,
        "amplitudes": AMPLITUDES,
        "sensitivity": sensitivity(),
        "photos": detection(photos, PERIODS, COUNTS),
        "drawn": detection(scenes, (2,), COUNTS),
        "false_alarms": {"photos": false_alarms(photos), "drawn": false_alarms(scenes)},
    }
    results["cpu_seconds"] = time.process_time() - start
    results["cost"] = cost()
    return results


def main() -> None:
    """Measure and write, or report what was written."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--images", type=Path, help="folder of photographs")
    what.add_argument("--report", action="store_true", help="tables and figures; measures nothing")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    if args.report:
        report.write(json.loads(args.out.read_text()))
        return
    write(args.out, measure(args.images))


if __name__ == "__main__":
    with console.user_errors():
        main()
