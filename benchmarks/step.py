"""What a training step takes beyond its convolutions, and what the rest is.

python -m benchmarks.step      # writes benchmarks/results/step_<machine>.json, prints the table

A step is the forward pass, the loss, the backward pass, the clipping of gradients and AdamW, in
float32 and channels-last on one thread. The calls of each kind that a forward pass makes are
recorded with their inputs and then run by themselves, forward and backward, in turn with the whole
step. Seconds are processor time; ratios are of one round each.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from benchmarks.report import table
from benchmarks.timing import here, in_turn, ratio, write
from upzoo.checkpoint import build

RESULTS = Path("benchmarks/results")
#: Functions of torch by the kind of work.
KINDS: Mapping[str, Sequence[str]] = {
    "convolutions": ("conv2d", "conv_transpose2d"),
    "batch norm": ("batch_norm",),
    "activations": ("relu", "relu_", "leaky_relu", "leaky_relu_"),
    "concatenation": ("cat",),
    "pooling": ("max_pool2d", "max_pool2d_with_indices", "boolean_dispatch"),
    "loss": ("cross_entropy",),
}
IN_PLACE = {"relu_": F.relu, "leaky_relu_": F.leaky_relu}
FIXED = {"_target_": "models.upsampling.BilinearInit", "_partial_": True}
#: Net -> its specification and its batch (B, C, H, W), as the recipes have them.
NETS: Mapping[str, tuple[dict[str, Any], tuple[int, int, int, int]]] = {
    "FCN-8s of the recipe": (
        {"_target_": "models.fcn.FCN", "width": 14, "upsample": FIXED},
        (4, 3, 256, 352),
    ),
    "compact U-Net of the recipe": (
        {
            "_target_": "models.unet.UNet",
            "backbone": "compact",
            "width": 12,
            "decoder_widths": [[16], [32], [48, 48], [64, 64], [96]],
            "upsample": FIXED,
        },
        (4, 3, 256, 352),
    ),
    "U-Net of 31 M parameters": (
        {
            "_target_": "models.unet.UNet",
            "backbone": "plain",
            "width": 64,
            "upsample": {"_target_": "models.upsampling.TransposedConv", "_partial_": True},
        },
        (1, 3, 176, 240),
    ),
}
CLASSES = 11

Call = tuple[Callable[..., Tensor], tuple[Any, ...], dict[str, Any]]


class Recorder(TorchFunctionMode):
    """Notes the calls of each kind while active, with copies of their inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, list[Call]] = {kind: [] for kind in KINDS}

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Run a function of torch, and keep it with its inputs if its kind is timed."""
        name, kwargs = getattr(func, "__name__", ""), kwargs or {}
        for kind, names in KINDS.items():
            if name in names:
                held = {**kwargs, **({"inplace": False} if "inplace" in kwargs else {})}
                self.calls[kind].append((IN_PLACE.get(name, func), _copy(tuple(args)), _copy(held)))
        return func(*args, **kwargs)


def _copy(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)
    if isinstance(value, list | tuple):
        return type(value)(_copy(each) for each in value)
    return {k: _copy(v) for k, v in value.items()} if isinstance(value, dict) else value


def replay(calls: Sequence[Call]) -> Callable[[], None]:
    """The calls one after the other, forward and backward, by themselves."""
    with torch.no_grad():
        gradients = [torch.ones_like(func(*args, **kwargs)) for func, args, kwargs in calls]

    def run() -> None:
        for (func, args, kwargs), gradient in zip(calls, gradients, strict=True):
            y = func(*args, **kwargs)
            leaves = [t for t in _tensors((args, kwargs)) if t.requires_grad]
            if leaves:
                torch.autograd.grad(y, leaves, gradient)

    return run


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list | tuple):
        return []
    return [tensor for part in parts for tensor in _tensors(part)]


def measure(
    spec: Mapping[str, Any], shape: tuple[int, int, int, int], rounds: int
) -> dict[str, Any]:
    """Seconds of a step, of each kind of work by itself, and what they are of the convolutions."""
    torch.manual_seed(0)
    net = build({**spec, "num_classes": CLASSES, "in_channels": shape[1]}).train()
    net = net.to(memory_format=torch.channels_last)
    x = torch.randn(shape).contiguous(memory_format=torch.channels_last)
    mask = torch.randint(0, CLASSES, (shape[0], *shape[2:]))
    optimizers = {
        name: torch.optim.AdamW(net.parameters(), lr=0.0, fused=fused)
        for name, fused in (("AdamW", False), ("AdamW, fused", True))
    }

    def forward() -> Tensor:
        return F.cross_entropy(net(x).contiguous(), mask, ignore_index=255)  # as tasks do

    def step() -> None:
        net.zero_grad()
        forward().backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizers["AdamW"].step()

    recorder = Recorder()
    with recorder:
        forward()
    step()
    sides: dict[str, Callable[[], object]] = {"step": step}
    sides |= {kind: replay(calls) for kind, calls in recorder.calls.items() if calls}
    sides |= {name: optimizer.step for name, optimizer in optimizers.items()}
    sides["clipping"] = lambda: nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    seconds = in_turn(sides, rounds, warmup=2, clock=time.process_time)
    over = {name: ratio(found, seconds["convolutions"]) for name, found in seconds.items()}
    parameters = sum(p.numel() for p in net.parameters())
    return {"parameters": parameters, "batch": list(shape), "over_convolutions": over}


def report(nets: Mapping[str, Mapping[str, Any]]) -> str:
    """A net a column: each kind of work over the convolutions."""
    names = list(dict.fromkeys(n for found in nets.values() for n in found["over_convolutions"]))
    rows = [
        [name, *(_cell(found["over_convolutions"].get(name)) for found in nets.values())]
        for name in names
    ]
    return table(["over the convolutions alone", *nets], rows)


def _cell(found: Mapping[str, float] | None) -> str:
    return "–" if found is None else f"{found['median']:.3f}"


def main() -> None:
    """Measure every net."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.step", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    torch.set_num_threads(1)
    nets = {name: measure(spec, shape, given.rounds) for name, (spec, shape) in NETS.items()}
    machine = here()["machine"]
    features = [name for name in ("amx_bf16", "avx512_bf16") if machine[name]]
    path = RESULTS / f"step_{features[0] if features else 'plain'}.json"
    write(path, {"rounds": given.rounds, "nets": nets})
    print(report(nets))


if __name__ == "__main__":
    main()
