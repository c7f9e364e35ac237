"""What scoring costs beside the net's own forward passes: `python -m benchmarks.scoring ROOT`.

CamVid's validation images through a shipped U-Net, one thread, processor time. Of each image the
forward pass alone, the scores (with a pass of their own) and the checkerboard measures are timed in
turn in one process; the figures are ratios of sums over the images. Memory is the process's peak
after half of the images and after all: a difference would grow with their number.

The record is benchmarks/results/scoring_<features of the processor>.json.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.timing import here, write
from runs import costs
from tasks.base import Made
from tasks.rebuild import rebuild
from tasks.scoring import pictures_of
from upzoo import zoo

RESULTS = Path(__file__).parent / "results"


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


def features(machine: dict[str, Any]) -> str:
    """What of a processor decides its speed in bf16, as a part of a file's name."""
    known = ("amx_bf16", "avx512_bf16")
    return "_".join(name for name in known if machine[name]) or "plain"


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root")
    parser.add_argument("--net", default="unet_bilinear_init.camvid")
    parser.add_argument("--images", type=int, default=12)
    given = parser.parse_args()
    torch.set_num_threads(1)
    result = measure(given.net, given.root, given.images)
    print(
        f"{result['whole_over_forward']:.2f} times the forward passes, of which the checkerboard "
        f"measures take {result['artifacts_share']:.0%}; peak {result['peak_bytes']['half'] >> 20} "
        f"MiB after half of the images, {result['peak_bytes']['all'] >> 20} after all"
    )
    write(RESULTS / f"scoring_{features(here()['machine'])}.json", result)


if __name__ == "__main__":
    main()
