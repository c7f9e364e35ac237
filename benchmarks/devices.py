"""What is measured on: the CPU, or with `--device cuda` a GPU of NVIDIA's.

A GPU works on while the program goes on, so its clock waits for it at either end of what is timed;
in between calls follow each other as in a training, and what they cost the program shows only
where the GPU is the quicker of the two, as it is with small nets and maps. Batches are larger
there than on a CPU. Float32 is what torch makes of it by default: convolutions round their inputs
to TF32's 10 bits, matrix products do not; the record says so.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

CPU = torch.device("cpu")
#: How many times the images of a CPU's batch a GPU is given.
TIMES = 8
#: What of a processor decides its speed in bf16.
FEATURES = ("amx_bf16", "avx512_bf16")
#: Ends the name of a compiled side.
COMPILED = ", compiled"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add --device and --seconds."""
    add_device(parser)
    parser.add_argument(
        "--seconds", type=float, help="that the rounds of one comparison may take together"
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add --device."""
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))


def asked(parser: argparse.ArgumentParser, given: argparse.Namespace) -> torch.device:
    """The device of the options; ends in one line where there is none."""
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch finds no NVIDIA GPU here: leave it out for the CPU")
    return torch.device("cuda", 0) if given.device == "cuda" else CPU


def synchronised() -> float:
    """Seconds on the wall's clock once the GPU has done all that it was asked for."""
    torch.cuda.synchronize()
    return time.perf_counter()


def runs(name: str, call: Callable[[], None]) -> bool:
    """Call a side once, so that a warm-up does not take its compilation for the time of a call.

    Returns:
        Whether it ran: what torch's compiler for GPUs fails on is left out with a line.

    Raises:
        RuntimeError: of a side that is not compiled.
    """
    try:
        call()
    except (RuntimeError, AssertionError) as error:
        if not name.endswith(COMPILED):
            raise
        print(f"  left out, {name}: {str(error).strip().splitlines()[0]}", flush=True)
        return False
    return True


def timed(device: torch.device, seconds: float | None = None, **on_cpu: Any) -> dict[str, Any]:
    """Options of `in_turn`: those for the CPU; on a GPU its clock, and calls enough to follow it.

    Args:
        device: that is measured on.
        seconds: the budget, if there is another one than the CPU's.
        on_cpu: options as they are for the CPU.
    """
    options = on_cpu if seconds is None else {**on_cpu, "budget": seconds}
    if device.type == "cpu":
        return options
    return {**options, "clock": synchronised, "warmup": 5, "least": 0.02}


def kernel_seconds(call: Callable[[], object], calls: int = 5) -> float:
    """Seconds that a GPU itself works for one call, without what Python and launches take.

    Args:
        call: that has run before.
        calls: that the seconds are the mean of.
    """
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        for _ in range(calls):
            call()
        torch.cuda.synchronize()
    taken = [
        event.self_device_time_total
        for event in profiler.key_averages()
        if event.device_type == DeviceType.CUDA and not event.is_user_annotation
    ]
    return sum(taken) / 1e6 / calls


def batch(shape: Sequence[int], device: torch.device) -> tuple[int, ...]:
    """The shape of a batch (B, …) there."""
    return (shape[0] * times(device), *shape[1:])


def times(device: torch.device) -> int:
    """How many times as many images a batch has there."""
    return 1 if device.type == "cpu" else TIMES


def label(machine: Mapping[str, Any], device: torch.device = CPU) -> str:
    """The machine as a part of a record's name: h100, or the features of its processor.

    >>> label({"gpu": "NVIDIA H100 80GB HBM3"}, torch.device("cuda"))
    'h100'
    >>> label({"amx_bf16": False, "avx512_bf16": False})
    'plain'
    """
    if device.type == "cpu":
        return "_".join(name for name in FEATURES if machine[name]) or "plain"
    words = re.sub(r"[^a-z0-9]+", " ", machine["gpu"].lower()).split()
    return next((word for word in words if any(c.isdigit() for c in word)), words[-1])


def arithmetic(device: torch.device) -> dict[str, Any]:
    """What a record says of the device: nothing of the CPU, of a GPU how it takes float32."""
    if device.type == "cpu":
        return {}
    rounded = torch.backends.cudnn.allow_tf32
    products = torch.get_float32_matmul_precision() != "highest"
    kinds = {True: "TF32", False: "float32"}
    return {
        "device": "cuda",
        "float32": f"{kinds[rounded]} in convolutions, {kinds[products]} in matrix products",
    }
