"""Minutes of training to a score: a recipe of ours beside the plain training of a peer.

python -m benchmarks.time_to_quality set5 PATH   # or camvid, mnist: writes the task's record
python -m benchmarks.time_to_quality --page      # docs/training.md and its figure, from the records

Ours is the command itself, with a constant rate and averaged weights, so that one training is
scored at many lengths (`tasks.budgets`); the seconds are its own, scoring left out. The peer trains
as its authors do, on the same images, and is scored by the same measures as soon as it has trained
as long. Both take one thread. Seconds are of the clock: nothing else should run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.peer_trainings import Peer, PlainESPCN, PlainGAN, PlainUNet
from benchmarks.timing import write
from comparison.pages import inserted, table
from data.camvid import CamVid
from data.mnist import MNIST
from data.t91 import T91
from runs import console

RESULTS = Path("benchmarks/results")
FIGURE = Path("docs/figures/time_to_quality.png")
PAGE = Path("docs/training.md")
#: What turns a recipe into one whose every point is a finished net, and leaves its pictures out.
AT_EVERY_LENGTH = (
    "average=0",
    "average_power=7",
    "artifacts=0",
    "callbacks.best=null",
    "callbacks.panels=null",
    "callbacks.artifacts=null",
    "trainer.check_val_every_n_epoch=1000",
)


@dataclass(frozen=True)
class Task:
    """A recipe, the peer beside it, and the score that a user waits for.

    Attributes:
        title: for the figure.
        overrides: of train.py.
        steps: where ours is scored, increasing; the last is the training's end.
        score: split and name.
        wanted: the score to reach.
        falls: whether lower is better.
        peer: the other side.
        data: what the peer trains on, from its folder.
        unit: for the axis, and what the score is multiplied with there.
    """

    title: str
    overrides: tuple[str, ...]
    steps: tuple[int, ...]
    score: tuple[str, str]
    wanted: float
    falls: bool
    peer: type[Peer]
    data: Any
    unit: tuple[str, float]


TASKS: Mapping[str, Task] = {
    "camvid": Task(
        "FCN-8s on CamVid",
        (
            "experiment=fcn8s_camvid",
            "task.schedule=constant",
            "task.warmup=20",
            "trainer.max_epochs=64",
        ),
        (90, 180, 360, 720, 1440, 2160, 2880),
        ("val", "miou"),
        0.60,
        False,
        PlainUNet,
        lambda root: CamVid(
            root=root, size=(256, 352), augment={"scale": (0.5, 1.25), "colour": 0.2}
        ),
        ("mean IoU of the validation images, %", 100),
    ),
    "mnist": Task(
        "DCGAN on MNIST",
        ("experiment=dcgan_mnist", "trainer.limit_train_batches=500", "trainer.max_epochs=16"),
        (250, 500, 1000, 2000, 4000, 8000),
        ("val", "fid"),
        5.0,
        True,
        PlainGAN,
        lambda root: MNIST(root=root, size=(64, 64), batch_size=64),
        ("Fréchet distance to validation digits", 1),
    ),
    "set5": Task(
        "ESPCN ×3 on T91",
        ("experiment=espcn_t91", "task.schedule=constant", "trainer.max_epochs=16"),
        (125, 250, 500, 1000, 2000, 4000, 8000, 16000),
        ("set5", "psnr"),
        32.5,
        False,
        PlainESPCN,
        lambda root: T91(root=root, patch=17, batch_size=16),
        ("PSNR on Set5, dB", 1),
    ),
}


def train_ours(task: Task, root: Path) -> list[dict[str, float]]:
    """Train by the command that a user types; what its record says of every length."""
    split, name = task.score
    with tempfile.TemporaryDirectory() as logs:
        command = [sys.executable, "train.py", *task.overrides, *AT_EVERY_LENGTH]
        command += [f"budgets=[{','.join(map(str, task.steps))}]"]
        command += [f"data.root={root.resolve()}", f"logs={logs}", "name=time_to_quality"]
        one_thread = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        subprocess.run(command, check=True, env={**os.environ, **one_thread})
        (path,) = Path(logs).rglob("record.json")
        budgets = json.loads(path.read_text())["budgets"]
    return [{"seconds": b["seconds"], "score": b["metrics"][split][name]} for b in budgets]


def train_peer(peer: Peer, marks: Sequence[float]) -> list[dict[str, float]]:
    """Train until the last mark, in seconds without the scoring; its score at every mark."""
    curve: list[dict[str, float]] = []
    spent, since = 0.0, time.perf_counter()
    while True:
        for batch in peer.data.train_dataloader():
            peer.step(batch)
            now = time.perf_counter()
            spent, since = spent + now - since, now
            if spent < marks[len(curve)]:
                continue
            curve.append({"seconds": spent, "score": peer.score()})
            print(
                f"{type(peer).__name__}  {spent / 60:5.1f} min  {curve[-1]['score']:.4f}",
                flush=True,
            )
            if len(curve) == len(marks):
                return curve
            since = time.perf_counter()


def minutes_to(curve: Sequence[Mapping[str, float]], wanted: float, falls: bool) -> float | None:
    """Minutes at the first length whose score is as good as wanted; None where none is.

    >>> minutes_to([{"seconds": 60, "score": 0.5}, {"seconds": 90, "score": 0.7}], 0.6, False)
    1.5
    """
    sign = -1 if falls else 1
    reached = [p["seconds"] / 60 for p in curve if sign * p["score"] >= sign * wanted]
    return min(reached, default=None)


def measure(name: str, root: Path) -> None:
    """Train both sides and write the task's record."""
    task = TASKS[name]
    torch.manual_seed(0)
    data = task.data(root)
    data.setup()  # says first what is not there
    ours = train_ours(task, root)
    peer = task.peer(data)
    theirs = train_peer(peer, [point["seconds"] for point in ours])
    curves = {"ours": ours, "peer": theirs}
    to = {side: minutes_to(curve, task.wanted, task.falls) for side, curve in curves.items()}
    print(f"minutes to {task.wanted:g}: {to}")
    results = {"title": task.title, "peer": peer.title, "wanted": task.wanted, "falls": task.falls}
    results |= {"score": list(task.score), "unit": list(task.unit)}
    write(record(name), results | {"curves": curves, "minutes": to})


def record(name: str) -> Path:
    """Where a task's record is."""
    return RESULTS / f"time_to_quality_{name}.json"


def kept() -> list[dict[str, Any]]:
    """The records that there are, in the order of the tasks."""
    return [json.loads(record(name).read_text()) for name in TASKS if record(name).exists()]


def rows(results: Sequence[Mapping[str, Any]]) -> str:
    """The page's table: minutes of both sides, and what the peer has when ours is there."""

    def minutes(value: float | None, curve: Sequence[Mapping[str, float]]) -> str:
        return f"> {curve[-1]['seconds'] / 60:.1f}" if value is None else f"{value:.1f}"

    lines = []
    for result in results:
        label, factor = result["unit"]
        ours, peer = result["curves"]["ours"], result["curves"]["peer"]
        ends = [f"{factor * curve[-1]['score']:.4g}" for curve in (ours, peer)]
        lines.append(
            [
                f"{result['title']}; {result['peer']}",
                f"{label}: {factor * result['wanted']:g}",
                minutes(result["minutes"]["ours"], ours),
                minutes(result["minutes"]["peer"], peer),
                f"{ends[0]} and {ends[1]} after {ours[-1]['seconds'] / 60:.1f} min",
            ]
        )
    return table(["ours; the peer", "wanted", "ours, min", "peer, min", "at the end"], lines)


def draw(records: Sequence[Mapping[str, Any]]) -> None:
    """One panel for each record: score against minutes, on a log scale."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(records), figsize=(4.2 * len(records), 3.8), squeeze=False)
    for ax, result in zip(axes[0], records, strict=True):
        label, factor = result["unit"]
        for side, colour, marker in (("ours", "#2f6db3", "o"), ("peer", "#8a929b", "s")):
            curve = result["curves"][side]
            name = "UpZoo's recipe" if side == "ours" else result["peer"]
            minutes = [point["seconds"] / 60 for point in curve]
            scores = [factor * point["score"] for point in curve]
            ax.plot(minutes, scores, color=colour, marker=marker, ms=5, label=name)
        ax.axhline(factor * result["wanted"], color="black", lw=0.8, ls=":")
        ax.set_xscale("log")
        plain(ax.xaxis)
        if result["falls"]:
            ax.set_yscale("log")
            plain(ax.yaxis)
        ax.set(title=result["title"], xlabel="minutes of training, one thread", ylabel=label)
        ax.margins(y=0.2)  # room for the legend
        ax.set_ylim(bottom=max(0, ax.get_ylim()[0]))  # no score is below 0
        ax.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(FIGURE, dpi=110, metadata={"Software": None})
    print(f"written: {FIGURE}")


def plain(axis: Any) -> None:
    """Label a logarithmic axis with plain numbers, at 1, 2 and 5 of each decade."""
    import matplotlib as mpl

    axis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(mpl.ticker.NullFormatter())


def main() -> None:
    """Measure one task, or draw what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", nargs="?", choices=TASKS)
    parser.add_argument("root", nargs="?", type=Path, help="the data's folder")
    parser.add_argument("--page", action="store_true", help="write the page from the records")
    options = parser.parse_args()
    if options.page:
        draw(kept())
        PAGE.write_text(inserted(PAGE.read_text(), {"time to quality": rows(kept())}))
    elif options.task is None or options.root is None:
        parser.error("give a task and its data's folder, or --page")
    else:
        torch.set_num_threads(1)
        measure(options.task, options.root)


if __name__ == "__main__":
    with console.user_errors():
        main()
