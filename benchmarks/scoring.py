"""What scoring costs beside the net's own forward passes: `python -m benchmarks.scoring ROOT`.

CamVid's validation images through a shipped U-Net, one thread, processor time. Of each image the
forward pass alone, the scores (with a pass of their own) and the checkerboard measures are timed in
turn in one process; the figures are ratios of sums over the images. Memory is the process's peak
after half of the images and after all: a difference would grow with their number. And that of the
command, `evaluate.py` on as many images, audit and picture with it, by all threads.

The record is benchmarks/results/scoring_<features of the processor>.json.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.devices import label
from benchmarks.timing import here, write
from runs import costs
from runs.console import ROOT
from tasks.base import Made
from tasks.rebuild import rebuild
from tasks.scoring import pictures_of
from upzoo import zoo

RESULTS = Path(__file__).parent / "results"
#: Nets whose evaluation is weighed as a command.
COMMANDS = ("unet_bilinear_init.camvid", "fcn8s_bilinear_init.camvid")


def measure(name: str, root: str, count: int) -> dict[str, Any]:
    """Seconds of processor time of each part, and their ratios.

    Args:
        name: of a shipped segmentation net.
        root: folder of its data.
        count: images of the validation split, an even number.
    """
    net, metadata = zoo.read(name)
    task, data = rebuild(metadata, net, root=root)
    dataset = data.prepared("val")
    counters = task.counters("val")
    seconds = {"forward": 0.0, "scores": 0.0, "artifacts": 0.0}
    peaks: list[int] = []

    def timed(part: str, call: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = call()
        seconds[part] += time.process_time() - start
        return result

    def one(index: int, pictures: Any) -> None:
        batch = {key: value[None] for key, value in dataset[index].items()}
        timed("forward", lambda: task(batch["image"]))
        made: Made = timed("scores", lambda: task.count(counters, batch))
        assert made is not None
        timed("artifacts", lambda: pictures.add(*made))

    with torch.inference_mode():
        one(0, pictures_of(task, 1))  # warms both sides up
        seconds.update(dict.fromkeys(seconds, 0.0))
        pictures = pictures_of(task, count)
        for index in range(count):
            one(index, pictures)
            if index + 1 in (count // 2, count):
                peaks.append(costs.peak_memory())
    whole = seconds["scores"] + seconds["artifacts"]
    return {
        "net": name,
        "images": count,
        "seconds": seconds,
        "whole_over_forward": whole / seconds["forward"],
        "artifacts_share": seconds["artifacts"] / whole,
        "peak_bytes": dict(zip(("half", "all"), peaks, strict=True)),
    }


def command_peak(name: str, root: str, count: int) -> int:
    """Most bytes that `evaluate.py` holds, of a shipped net on so many validation images.

    Linux counts what this process holds at its start to it: so it is measured before all else.
    """
    with tempfile.TemporaryDirectory() as logs:
        options = [f"pretrained={name}", f"root={root}", "split=val", f"logs={logs}"]
        command = ["evaluate.py", *options, f"trainer.limit_val_batches={count}"]
        process = subprocess.Popen([sys.executable, *command], cwd=ROOT, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"evaluate.py of {name} failed")
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root")
    parser.add_argument("--net", default="unet_bilinear_init.camvid")
    parser.add_argument("--images", type=int, default=12)
    given = parser.parse_args()
    torch.set_num_threads(1)
    commands = {name: command_peak(name, given.root, given.images) for name in COMMANDS}
    result = measure(given.net, given.root, given.images) | {"command_peak_bytes": commands}
    print(
        f"{result['whole_over_forward']:.2f} times the forward passes, of which the checkerboard "
        f"measures take {result['artifacts_share']:.0%}; peak {result['peak_bytes']['half'] >> 20} "
        f"MiB after half of the images, {result['peak_bytes']['all'] >> 20} after all"
    )
    said = ", ".join(f"{name} {peak / 1e6:.0f} MB" for name, peak in commands.items())
    print(f"evaluate.py's peak: {said}")
    write(RESULTS / f"scoring_{label(here()['machine'])}.json", result)


if __name__ == "__main__":
    main()
