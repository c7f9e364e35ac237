"""What scoring costs beside the net's own forward passes: `python -m benchmarks.scoring ROOT`.

CamVid's validation images through a shipped U-Net, one thread, processor time. Of each image the
forward pass alone, the scores (with a pass of their own) and the checkerboard measures are timed in
turn in one process; the figures are ratios of sums over the images. Memory is the process's peak
after half of the images and after all: a difference would grow with their number. And that of the
command, `evaluate.py` on as many images, audit and picture with it, by all threads.

With `--device cuda` net, scores and measures are on the GPU, seconds are the wall's, waited for at
both ends, and the command is not weighed.

The record is benchmarks/results/scoring_<features of the processor, or GPU>.json.
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

from benchmarks import devices
from benchmarks.devices import CPU
from benchmarks.timing import here, write
from runs import console, costs
from runs.console import ROOT
from tasks.base import Made
from tasks.rebuild import rebuild
from tasks.scoring import pictures_of
from upzoo import zoo

RESULTS = Path(__file__).parent / "results"
#: Nets whose evaluation is weighed as a command.
COMMANDS = ("unet_bilinear_init.camvid", "fcn8s_bilinear_init.camvid")


def measure(name: str, root: str, count: int, device: torch.device = CPU) -> dict[str, Any]:
    """Seconds of each part, and their ratios.

    Args:
        name: of a shipped segmentation net.
        root: folder of its data.
        count: images of the validation split, an even number.
        device: that the net and its scores are on.
    """
    clock, peak = time.process_time, costs.peak_memory
    if device != CPU:
        clock, peak = devices.synchronised, torch.cuda.max_memory_allocated
    net, metadata = zoo.read(name)
    task, data = rebuild(metadata, net, root=root)
    task.to(device)
    dataset = data.prepared("val")
    counters = task.counters("val")
    seconds = {"forward": 0.0, "scores": 0.0, "artifacts": 0.0}
    peaks: list[int] = []

    def timed(part: str, call: Callable[[], Any]) -> Any:
        start = clock()
        result = call()
        seconds[part] += clock() - start
        return result

    def one(index: int, pictures: Any) -> None:
        batch = {key: value[None].to(device) for key, value in dataset[index].items()}
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
                peaks.append(peak())
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
    if status:  # it has said why
        sys.exit(os.waitstatus_to_exitcode(status))
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root")
    parser.add_argument("--net", default="unet_bilinear_init.camvid")
    parser.add_argument("--images", type=int, default=12)
    devices.add_device(parser)
    given = parser.parse_args()
    device = devices.asked(parser, given)
    torch.set_num_threads(1)
    weighed = COMMANDS if device == CPU else ()
    commands = {name: command_peak(name, given.root, given.images) for name in weighed}
    result = devices.arithmetic(device) | measure(given.net, given.root, given.images, device)
    result["command_peak_bytes"] = commands
    print(
        f"{result['whole_over_forward']:.2f} times the forward passes, of which the checkerboard "
        f"measures take {result['artifacts_share']:.0%}; peak {result['peak_bytes']['half'] >> 20} "
        f"MiB after half of the images, {result['peak_bytes']['all'] >> 20} after all"
    )
    for name, peak in commands.items():
        print(f"evaluate.py's peak: {name} {peak / 1e6:.0f} MB")
    write(RESULTS / f"scoring_{devices.label(here()['machine'], device)}.json", result)


if __name__ == "__main__":
    with console.user_errors():
        main()
