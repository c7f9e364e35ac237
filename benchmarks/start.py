"""How long the commands take to start, in processor time: `python -m benchmarks.start`.

Each command runs in a process of its own, on one thread; user and system time of the whole process
count, medians of several runs. The import of torch alone is measured beside them, in turn. What
`import upzoo` adds to it is less than such processes differ by, and is timed within one; so is
the first step of a training with all its defaults.
The record is benchmarks/results/start_<features of the processor>.json.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from benchmarks.devices import label
from benchmarks.scoring import RESULTS
from benchmarks.timing import here, seconds_of, spread, write
from runs.console import ROOT

#: One step of training, and nothing after it.
STEP = [
    "train.py", "debug=fast", "trainer.max_epochs=1", "trainer.limit_train_batches=1",
    "artifacts=0",
    "data.train=16", "data.val=2", "data.test=2", "callbacks=none", "logger=none", "name=start",
]  # fmt: skip


#: Says what the package takes that torch has not.
PACKAGE = """
import time, torch
start = time.process_time()
import upzoo
print(time.process_time() - start)
"""


#: Trains, and stops after the first step.
FIRST_STEP = """
import os, runpy, sys, time
from runs import imports
with imports.without_collecting():
    from torch.optim.optimizer import register_optimizer_step_post_hook
def stop(*_):
    print(time.process_time(), flush=True)
    os._exit(0)
register_optimizer_step_post_hook(stop)
sys.argv = sys.argv[1:]
runpy.run_path("train.py", run_name="__main__")
"""


def seconds_told(code: str, *arguments: str) -> float:
    """Processor time as a Python process itself says it, in its last line."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT, check=True, capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return float(done.stdout.split()[-1])


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder, "photo.png")
        Image.new("RGB", (480, 360), (90, 120, 150)).save(photo)
        predict = ["evaluate.py", "pretrained=unet_bilinear_init.camvid", f"input={photo}"]
        commands = {
            "import torch": ["-c", "import torch"],
            "train.py --help": ["train.py", "--help"],
            "evaluate.py input=photo": [*predict, f"output={folder}/mask.png"],
            "train.py, one step and its scores": [*STEP, f"logs={folder}/logs"],
        }
        told = {
            "import upzoo, beyond torch": (PACKAGE,),
            "train.py, to the end of its first step": (
                FIRST_STEP, "train.py", "name=start", f"logs={folder}/logs",
            ),
        }  # fmt: skip
        taken: dict[str, list[float]] = {name: [] for name in (*commands, *told)}
        for _ in range(given.rounds):
            for name, code in told.items():
                taken[name].append(seconds_told(*code))
            for name, arguments in commands.items():
                taken[name].append(seconds_of(arguments))
    result = {name: spread(values) for name, values in taken.items()}
    for name, each in result.items():
        print(f"{each['median']:7.3f} s  {name}")
    write(RESULTS / f"start_{label(here()['machine'])}.json", {"seconds": result})


if __name__ == "__main__":
    main()
