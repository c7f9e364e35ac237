"""How fast FCN-8s trains: by precision, memory format and allocator, and in our loop or a bare one.

python -m benchmarks.training            # writes benchmarks/results/training.json
"""

import argparse
import contextlib
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.timing import in_turn, ratio, write
from tasks.allocator import keep_freed_memory
from tasks.callbacks import Repeatable, Throughput
from tasks.precision import resolve_precision
from tasks.scoring import quiet
from tasks.segmentation import Segmentation
from upzoo.checkpoint import build

CLASSES = 11
SPEC = {
    "_target_": "models.fcn.FCN",
    "num_classes": CLASSES,
    "upsample": {"_target_": "models.upsampling.BilinearInit", "_partial_": True},
}
DATA = SimpleNamespace(classes=tuple(map(str, range(CLASSES))), ignore_index=255)


class Images(Dataset):
    """The same random images again and again: loading costs nothing."""

    def __init__(self, count: int, size: tuple[int, int]) -> None:
        self.count = count
        self.image = torch.randn(3, *size)
        self.mask = torch.randint(0, CLASSES, size)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"image": self.image, "mask": self.mask}


def plain_steps(
    net: nn.Module, batch: dict[str, torch.Tensor], steps: int, dtype: torch.dtype
) -> None:
    """Training steps as anybody would write them by hand."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    net.train()
    for _ in range(steps):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            logits = net(batch["image"])
        F.cross_entropy(logits.float(), batch["mask"], ignore_index=255).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()


def by_precision(batch: int, size: tuple[int, int], steps: int, rounds: int) -> dict[str, object]:
    """Seconds of hand-written steps in three settings of the same net."""
    mask = torch.randint(0, CLASSES, (batch, *size))
    settings = {
        "fp32 channels-first": (torch.float32, torch.contiguous_format),
        "fp32 channels-last": (torch.float32, torch.channels_last),
        "bf16 channels-last": (torch.bfloat16, torch.channels_last),
    }
    sides = {}
    for name, (dtype, layout) in settings.items():
        net = build(SPEC).to(memory_format=layout)
        image = torch.randn(batch, 3, *size).contiguous(memory_format=layout)
        data = {"image": image, "mask": mask}
        sides[name] = lambda n=net, d=data, t=dtype: plain_steps(n, d, steps, t)
    seconds = in_turn(sides, rounds)
    first = seconds["fp32 channels-first"]
    return {
        "images_per_second": {
            name: steps * batch / statistics.median(times) for name, times in seconds.items()
        },
        "speed_over_fp32_channels_first": {
            name: ratio(first, times) for name, times in seconds.items()
        },
    }


def obey(batch: int, size: tuple[int, int], steps: int, keep: bool) -> None:
    """Train as many steps for every line read, and answer with a line."""
    if keep:
        keep_freed_memory()
    dtype = torch.bfloat16 if "bf16" in str(resolve_precision("auto")) else torch.float32
    net = build(SPEC).to(memory_format=torch.channels_last)
    image = torch.randn(batch, 3, *size).contiguous(memory_format=torch.channels_last)
    data = {"image": image, "mask": torch.randint(0, CLASSES, (batch, *size))}
    for _ in sys.stdin:
        plain_steps(net, data, steps, dtype)
        print("done", flush=True)


def by_allocator(batch: int, size: tuple[int, int], steps: int, rounds: int) -> dict[str, object]:
    """Seconds of hand-written steps in two processes, of which one keeps what it frees."""
    sides = {}
    with contextlib.ExitStack() as stack:
        for name in ("default", "keep"):
            command = [sys.executable, "-m", "benchmarks.training", "--obey", name]
            command += ["--batch", f"{batch}", "--size", *map(str, size), "--steps", f"{steps}"]
            child = stack.enter_context(
                subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
                )
            )

            def ask(child: subprocess.Popen = child) -> None:
                child.stdin.write("\n")
                assert child.stdout.readline() == "done\n"

            sides[name] = ask
        seconds = in_turn(sides, rounds)
    return {
        "images_per_second": {
            name: steps * batch / statistics.median(times) for name, times in seconds.items()
        },
        "speed_of_kept_over_default": ratio(seconds["default"], seconds["keep"]),
    }


def fit(batch: int, size: tuple[int, int], steps: int, precision: str) -> Iterator[None]:
    """Our Lightning loop with its callbacks and logger; every `next` trains `steps` steps."""
    task = Segmentation(build(SPEC), DATA)
    loader = DataLoader(Images(batch * steps, size), batch)
    while True:
        trainer = pl.Trainer(
            accelerator="cpu",
            max_epochs=1,
            precision=precision,
            gradient_clip_val=1.0,
            logger=False,
            limit_val_batches=0,
            callbacks=[Repeatable(0), Throughput()],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(task, loader)
        yield


def against_bare_loop(batch: int, size: tuple[int, int], steps: int, rounds: int) -> dict:
    """Speed of our loop as a share of the hand-written loop's, same net and precision."""
    precision = str(resolve_precision("auto"))
    dtype = torch.bfloat16 if "bf16" in precision else torch.float32
    net = build(SPEC).to(memory_format=torch.channels_last)
    loader = DataLoader(Images(batch * steps, size), batch)
    ours = fit(batch, size, steps, precision)

    def bare() -> None:
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
        net.train()
        for data in loader:
            image = data["image"].contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
                logits = net(image)
            loss = F.cross_entropy(logits.float(), data["mask"], ignore_index=255)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()

    seconds = in_turn({"lightning": lambda: next(ours), "bare": bare}, rounds)
    return {
        "precision": precision,
        "images_per_second": {
            name: steps * batch / statistics.median(times) for name, times in seconds.items()
        },
        "lightning_speed_over_bare": ratio(seconds["bare"], seconds["lightning"]),
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", type=int, nargs=2, default=(360, 480))
    parser.add_argument("--steps", type=int, default=4, help="training steps in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/training.json"))
    parser.add_argument("--obey", choices=("default", "keep"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    quiet()
    size = tuple(args.size)
    numbers = (args.batch, size, args.steps)
    if args.obey:
        obey(*numbers, keep=args.obey == "keep")
        return
    setting = {name: getattr(args, name) for name in ("batch", "size", "steps", "rounds")}
    results = {
        "setting": {"net": "fcn8s compact, bilinear_init", **setting},
        "precision": by_precision(*numbers, args.rounds),
        "allocator": by_allocator(*numbers, args.rounds),
        "loop": against_bare_loop(*numbers, args.rounds),
    }
    for part in ("precision", "allocator", "loop"):
        print(part, results[part])
    write(args.out, results)


if __name__ == "__main__":
    main()
