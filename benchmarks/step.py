"""What a training step takes beyond its convolutions, and what the rest is.

python -m benchmarks.step      # writes benchmarks/results/step_<machine>.json, prints the table
python -m benchmarks.step --precision bf16-mixed    # …/step_<machine>_bf16-mixed.json
python -m benchmarks.step --device cuda             # on a GPU, with batches eight times as large

A step is the forward pass, the loss, the backward pass, the clipping of gradients and AdamW,
channels-last on one thread; of a GAN, one of each net. The calls of each kind that a
step makes are recorded with their inputs and then run by themselves, forward and backward, in turn
with the whole step and with that of a net under `compile=true`, whose first step finds nothing of
the compiler's work done before. Seconds are processor time; ratios are of one round each. `in_step`
are the operators of torch by what they take within the step.

On a GPU seconds are the wall's, waited for at both ends (`benchmarks.devices`). A net of small maps
keeps a GPU waiting for Python and for launches: what its step takes over its convolutions is that
too, and in `in_step` every operator is waited for by itself. What the compiler has done before is
used there.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._dynamo.utils import counters
from torch._inductor.utils import fresh_cache
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks import devices
from benchmarks.devices import CPU
from benchmarks.sides import DTYPES, mixed
from benchmarks.timing import here, in_turn, ratio, write
from comparison.pages import table
from tasks.adversarial import frozen, non_saturating
from tasks.allocator import keep_freed_memory
from tasks.segmentation import cross_entropy
from upzoo.checkpoint import build

RESULTS = Path("benchmarks/results")
#: Functions of torch by the kind of work.
KINDS: Mapping[str, Sequence[str]] = {
    "convolutions": ("conv2d", "conv_transpose2d", "linear"),  # a generator's first layer is one
    "batch norm": ("batch_norm",),
    "activations": ("relu", "relu_", "leaky_relu", "leaky_relu_"),
    "concatenation": ("cat",),
    "pooling": ("max_pool2d", "max_pool2d_with_indices", "boolean_dispatch"),
    "interpolation": ("interpolate",),
    "loss": ("cross_entropy",),
}
IN_PLACE = {"relu_": F.relu, "leaky_relu_": F.leaky_relu}
FIXED = {"_target_": "models.upsampling.BilinearInit", "_partial_": True}
LEARNED = {"_target_": "models.upsampling.TransposedConv", "_partial_": True}
CLASSES = 11
#: Operators that take a smaller share of the convolutions are not named.
LEAST = 0.005


class Segmented:
    """A net for segmentation in training, on one batch, as `tasks.segmentation` trains it."""

    def __init__(self, shape: tuple[int, ...], device: torch.device = CPU, **spec: Any) -> None:
        torch.manual_seed(0)
        net = build({**spec, "num_classes": CLASSES, "in_channels": shape[1]}).train()
        self.net = net.to(device, memory_format=torch.channels_last)
        images = torch.randn(shape, device=device)
        self.images = images.contiguous(memory_format=torch.channels_last)
        self.mask = torch.randint(0, CLASSES, (shape[0], *shape[2:]), device=device)
        self.cross_entropy = cross_entropy
        self.optimizers = [torch.optim.AdamW(net.parameters(), lr=0.0, fused=True)]

    def compile(self) -> None:
        """As compile=true."""
        self.net.compile()
        self.cross_entropy = torch.compile(cross_entropy)

    def clip(self) -> None:
        """Clip the gradients by their norm."""
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)

    def step(self) -> None:
        """One step."""
        self.net.zero_grad()
        logits = self.net(self.images).contiguous()
        self.cross_entropy(logits, self.mask).backward()
        self.clip()
        self.optimizers[0].step()


class Adversarial:
    """A DCGAN in training, on one batch, as `tasks.generation` trains it without a penalty."""

    def __init__(self, shape: tuple[int, ...], device: torch.device = CPU, **spec: Any) -> None:
        torch.manual_seed(0)
        net = build({**spec, "in_channels": shape[1], "size": list(shape[2:])}).train()
        self.net = net.to(device, memory_format=torch.channels_last)
        images = torch.rand(shape, device=device)
        self.images = images.contiguous(memory_format=torch.channels_last)
        self.noise = torch.randn(shape[0], self.net.latent, device=device)
        self.parts = (self.net.discriminator, self.net.generator)
        self.optimizers = [torch.optim.Adam(p.parameters(), lr=0.0, fused=True) for p in self.parts]
        self.clip = None

    def compile(self) -> None:
        """As compile=true."""
        self.net.compile()

    def step(self) -> None:
        """One step of the discriminator, then one of the generator."""
        discriminator, generator = self.parts
        fake = generator(self.noise)
        loss, _ = non_saturating(discriminator(self.images), discriminator(fake.detach()))
        self._step(0, loss)
        with frozen(discriminator):
            logits = discriminator(fake)
        self._step(1, non_saturating(logits, logits)[1])

    def _step(self, part: int, loss: Tensor) -> None:
        self.optimizers[part].zero_grad()
        loss.backward()
        self.optimizers[part].step()


#: Net -> how it trains, its specification and its batch (B, C, H, W), as the recipes have them.
NETS: Mapping[str, tuple[type, dict[str, Any], tuple[int, int, int, int]]] = {
    "FCN-8s of the recipe": (
        Segmented,
        {"_target_": "models.fcn.FCN", "width": 14, "upsample": FIXED},
        (4, 3, 256, 352),
    ),
    "compact U-Net of the recipe": (
        Segmented,
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
        Segmented,
        {"_target_": "models.unet.UNet", "backbone": "plain", "width": 64, "upsample": LEARNED},
        (1, 3, 176, 240),
    ),
    "DCGAN of the recipe": (
        Adversarial,
        {"_target_": "models.dcgan.DCGAN", "width": 24, "norm": False, "upsample": LEARNED},
        (32, 3, 64, 64),
    ),
}

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


def in_precision(
    work: Callable[[], None], dtype: torch.dtype, device: torch.device = CPU
) -> Callable[[], None]:
    """The work with autocast, as a step of Lightning's has it."""

    def run() -> None:
        with mixed(dtype, device.type):
            work()

    return run


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list | tuple):
        return []
    return [tensor for part in parts for tensor in _tensors(part)]


class Operators(TorchDispatchMode):
    """Adds up the seconds of every operator of torch while active, by name.

    Args:
        clock: that is read before and after each, of processor time by default.
    """

    def __init__(self, clock: Callable[[], float] = time.thread_time) -> None:
        super().__init__()
        self.clock = clock
        self.seconds: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Run an operator and count what it took."""
        start = self.clock()
        result = func(*args, **(kwargs or {}))
        self.seconds[func.overloadpacket.__name__] += self.clock() - start
        return result


def in_step(
    step: Callable[[], None], passes: int = 3, clock: Callable[[], float] = time.thread_time
) -> dict[str, float]:
    """Median seconds of each operator of torch within a step, the slowest first."""
    found = []
    for _ in range(passes):
        with Operators(clock) as operators:
            step()
        found.append(operators.seconds)
    medians = {name: statistics.median(each[name] for each in found) for name in found[0]}
    return dict(sorted(medians.items(), key=lambda item: -item[1]))


def measure(
    kind: type,
    spec: Mapping[str, Any],
    shape: tuple[int, int, int, int],
    rounds: int,
    compiled: bool,
    dtype: torch.dtype = torch.float32,
    device: torch.device = CPU,
    seconds: float | None = None,
) -> dict[str, Any]:
    """Times of a step, of each kind of work by itself, and what they are of the convolutions."""
    batch = devices.batch(shape, device)
    training = kind(batch, device, **spec)
    step = in_precision(training.step, dtype, device)
    recorder = Recorder()
    with recorder:
        step()
    found: dict[str, Any] = {"batch": list(batch)}
    found["parameters"] = sum(p.numel() for p in training.net.parameters())
    sides: dict[str, Callable[[], object]] = {"step": step}
    if compiled:
        counters.clear()
        program = kind(batch, device, **spec)
        program.compile()
        compiled_step = in_precision(program.step, dtype, device)
        start = time.perf_counter()
        if devices.runs(f"step{devices.COMPILED}", compiled_step):
            found["first_compiled_step_seconds"] = time.perf_counter() - start
            found["graph_breaks"] = sum(counters["graph_break"].values())
            sides[f"step{devices.COMPILED}"] = compiled_step
    with mixed(dtype, device.type):
        replays = {name: replay(calls) for name, calls in recorder.calls.items() if calls}
    sides |= {name: in_precision(run, dtype, device) for name, run in replays.items()}
    name = type(training.optimizers[0]).__name__
    sides[name] = lambda: [each.step() for each in training.optimizers]
    plain = [type(each)(_parameters(each), lr=0.0) for each in training.optimizers]
    sides[f"{name}, not fused"] = lambda: [each.step() for each in plain]
    if training.clip is not None:
        sides["clipping"] = training.clip
    how = devices.timed(device, seconds, warmup=2, clock=time.process_time)
    taken = in_turn(sides, rounds, **how)
    found["over_convolutions"] = {
        side: ratio(times, taken["convolutions"]) for side, times in taken.items()
    }
    if f"step{devices.COMPILED}" in taken:
        found["compiled_speed"] = ratio(taken["step"], taken[f"step{devices.COMPILED}"])
    alone = statistics.median(taken["convolutions"])
    clock = time.thread_time if device == CPU else devices.synchronised
    operators = in_step(step, clock=clock)
    found["in_step"] = {
        operator: took / alone for operator, took in operators.items() if took >= LEAST * alone
    }
    return found


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def report(nets: Mapping[str, Mapping[str, Any]]) -> str:
    """A net a column: each kind of work over the convolutions."""
    names = list(dict.fromkeys(n for found in nets.values() for n in found["over_convolutions"]))
    rows = [
        [name, *(_cell(found["over_convolutions"].get(name)) for found in nets.values())]
        for name in names
    ]
    rows.append(
        [
            "compiled: times as fast",
            *(_cell(found.get("compiled_speed")) for found in nets.values()),
        ]
    )
    rest = [
        f"{net}, in the step: "
        + ", ".join(f"{name} {share:.3f}" for name, share in found["in_step"].items())
        for net, found in nets.items()
    ]
    return "\n".join([table(["over the convolutions alone", *nets], rows), "", *rest])


def _cell(found: Mapping[str, float] | None) -> str:
    return "–" if found is None else f"{found['median']:.3f}"


def main() -> None:
    """Measure every net."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.step", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="", help="nets whose name holds this; nothing is written")
    parser.add_argument("--eager", action="store_true", help="compile nothing")
    parser.add_argument("--precision", default="32-true", choices=DTYPES)
    devices.add_options(parser)
    given = parser.parse_args()
    device = devices.asked(parser, given)
    if device == CPU:
        torch.set_num_threads(1)
    keep_freed_memory()  # as train.py
    with fresh_cache() if device == CPU else contextlib.nullcontext():
        _measure_all(given, device)


def _measure_all(given: argparse.Namespace, device: torch.device) -> None:
    """Measure the nets that are asked for, and print the table."""
    how = (given.rounds, not given.eager, DTYPES[given.precision], device, given.seconds)
    machine = devices.label(here()["machine"], device)
    suffix = "" if given.precision == "32-true" else f"_{given.precision}"
    path = RESULTS / f"step_{machine}{suffix}.json"
    about = devices.arithmetic(device) | {"precision": given.precision, "rounds": given.rounds}
    nets: dict[str, Any] = {}
    for name, net in NETS.items():
        if given.only in name:
            nets[name] = measure(*net, *how)
            if not given.only:
                write(path, {**about, "nets": nets})  # a later one may fail
    print(report(nets))


if __name__ == "__main__":
    main()
