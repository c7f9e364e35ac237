"""What 1,000 runs cost to compare and to take up again: `python -m benchmarks.many_runs`.

The runs are fabricated: records of results/study/ with more seeds, and scores that differ by one
per cent. Processor time of `compare.py`, of which imports are a part; of finding, for each of the
jobs, that it is finished; and the size of what TensorBoard is given of the comparison.

Two things are measured on few and counted for all. A sweep started again, as a command: what each
job more takes until it is skipped, where a line of the sweep says that it is finished, and where
none does, so that Hydra puts its config together. And what a training leaves for TensorBoard: with
the pictures of its default callbacks (of few training images, since pictures are of validation), by
itself and in a sweep, and numbers alone, at as many steps as the defaults have.

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

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from benchmarks.devices import label
from benchmarks.scoring import RESULTS
from benchmarks.timing import here, seconds_of, write
from runs import finished, folders, sweeps
from runs.console import ROOT

#: Jobs of the two sweeps whose difference tells what a job more takes.
FEW, MORE = 2, 22
PICTURES = ["data.train=16", "data.val=16", "data.test=16"]
#: Trainings whose events are weighed.
TRAININGS = {
    "by itself": PICTURES,
    "in a sweep": ["-m", *PICTURES],
    "numbers alone": [
        "callbacks.panels=null", "callbacks.artifacts=null", "artifacts=0",
        "model.width=2", "data.size=[32,32]",
    ],
}  # fmt: skip
SOURCE = ROOT / "results" / "study" / "fcn8s_camvid"


def fabricate(folder: Path, count: int) -> list[dict[str, Any]]:
    """Write so many finished runs of the source's variants; gives their configs."""
    records = [json.loads(p.read_text()) for p in sorted(SOURCE.rglob(folders.RECORD))]
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


def events(folder: Path) -> int:
    """Bytes of TensorBoard's files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("events.out.tfevents*"))


def weigh(folder: Path) -> dict[str, int]:
    """Bytes that a training leaves for TensorBoard, by its kind."""
    for number, options in enumerate(TRAININGS.values()):
        seconds_of(["train.py", *options, f"logs={folder / str(number)}"])
    return {kind: events(folder / str(number)) for number, kind in enumerate(TRAININGS)}


def seconds_a_job(folder: Path, lines: bool) -> float:
    """Processor time that a finished job more takes a sweep that is started again.

    Args:
        folder: for its runs.
        lines: whether its own lines tell of them.
    """
    logs = folder / "logs"
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        cfg = compose("train", [f"logs={logs}", "name=study"])
    (first, *_) = sorted(SOURCE.rglob(folders.RECORD))
    record = json.loads(first.read_text())
    for cfg.seed in range(MORE):
        run = logs / "study" / "variant" / f"seed{cfg.seed}-0"
        run.mkdir(parents=True)
        record["config"] = OmegaConf.to_container(cfg, resolve=True)
        (run / folders.RECORD).write_text(json.dumps(record))
        if lines:
            job = [f"seed={cfg.seed}", f"logs={logs}", "name=study"]
            noted = finished.note(logs / "study", run, finished.digest())
            with (logs / "study" / sweeps.FILE).open("a") as file:
                print(json.dumps({"overrides": job, "status": "finished", **noted}), file=file)
    took = [
        seconds_of(["train.py", "-m", f"seed=range(0,{jobs})", f"logs={logs}", "name=study"])
        for jobs in (FEW, MORE)
    ]
    if len(list(logs.rglob(folders.RECORD))) != MORE:
        raise RuntimeError("a finished job was trained again")
    return (took[1] - took[0]) / (MORE - FEW)


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
        each = weigh(Path(name, "trained"))
        skipping = {
            "by their lines": seconds_a_job(Path(name, "lines"), lines=True),
            "composed": seconds_a_job(Path(name, "composed"), lines=False),
        }
    print(
        f"{count} runs: compared in {compared:.1f} s, found finished in {resumed:.1f} s; "
        f"TensorBoard's run has {size / 1e6:.1f} MB"
    )
    print(
        "the sweep started again: "
        + ", ".join(f"{how} {count * each:.1f} s" for how, each in skipping.items())
        + "; TensorBoard's files of all trainings: "
        + ", ".join(f"{kind} {count * b / 1e6:.0f} MB" for kind, b in each.items())
    )
    result = {
        "runs": count,
        "seconds": {"compare.py": compared, "finding all finished": resumed},
        "tensorboard_bytes": size,
        "seconds_a_skipped_job": skipping,
        "tensorboard_bytes_a_training": each,
    }
    write(RESULTS / f"many_runs_{label(here()['machine'])}.json", result)


if __name__ == "__main__":
    main()
