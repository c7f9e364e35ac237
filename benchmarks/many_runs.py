"""What 1,000 runs cost to compare and to take up again: `python -m benchmarks.many_runs`.

The runs are fabricated: records of results/short/ with more seeds, and scores that differ by one
per cent. Processor time of `compare.py`, of which imports are a part; of finding, for each of the
jobs, that it is finished; and the size of what TensorBoard is given of the comparison.

The record is benchmarks/results/many_runs_<features of the processor>.json.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.scoring import RESULTS, features
from benchmarks.start import seconds_of
from benchmarks.timing import here, write
from runs import folders, sweeps
from runs.console import ROOT

SOURCE = ROOT / "results" / "short" / "fcn8s_camvid"


def fabricate(folder: Path, count: int) -> list[dict[str, Any]]:
    """Write so many finished runs of the source's variants; gives their configs."""
    records = [json.loads(p.read_text()) for p in sorted(SOURCE.glob("*/*/" + folders.RECORD))]
    variants = {json.dumps(r["config"]["upsample"], sort_keys=True): r for r in records}
    draw, configs = random.Random(0), []
    for number in range(count):
        seed, place = divmod(number, len(variants))
        first = list(variants.values())[place]
        text = json.dumps(first | {"metrics": varied(first["metrics"], draw)})
        record = json.loads(text)
        record["choices"]["seed"] = record["config"]["seed"] = seed
        run = folder / f"variant{place}" / f"seed{seed}-{number}"
        run.mkdir(parents=True)
        (run / folders.RECORD).write_text(json.dumps(record))
        configs.append(record["config"])
    return configs


def varied(value: Any, draw: random.Random) -> Any:
    """Scores with one per cent of noise."""
    if isinstance(value, dict):
        return {name: varied(each, draw) for name, each in value.items()}
    return value * (1 + draw.gauss(0, 0.01)) if isinstance(value, float) else value


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    count = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "study")
        configs = fabricate(folder, count)
        logs = Path(name, "logs")
        compared = seconds_of(["compare.py", str(folder), "pictures=0", f"logs={logs}"])
        start = time.process_time()
        found = [sweeps.finished_run(folder, config) for config in configs]
        resumed = time.process_time() - start
        if None in found:
            raise RuntimeError("a finished run was not found")
        size = sum(path.stat().st_size for path in logs.rglob("*") if path.is_file())
    print(
        f"{count} runs: compared in {compared:.1f} s, found finished in {resumed:.1f} s; "
        f"TensorBoard's run has {size / 1e6:.1f} MB"
    )
    result = {
        "runs": count,
        "seconds": {"compare.py": compared, "finding all finished": resumed},
        "tensorboard_bytes": size,
    }
    write(RESULTS / f"many_runs_{features(here()['machine'])}.json", result)


if __name__ == "__main__":
    main()
