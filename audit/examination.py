"""The state of an audit between its passes, and how one pass is run."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from upzoo.audit import pictures
from upzoo.audit.calls import Call
from upzoo.audit.inputs import Inputs, Picture, constants
from upzoo.audit.inputs import pictures as find_pictures
from upzoo.audit.intact import reseed
from upzoo.audit.journal import Plan
from upzoo.audit.layers import Watch
from upzoo.audit.maps import largest_map, leaves, shapes, to_map
from upzoo.audit.phases import PERIODS, Pattern
from upzoo.audit.report import AuditReport
from upzoo.audit.trace import Trace, output_period
from upzoo.audit.words import error_line

#: What a net may raise on an input that does not suit it: anything, and it may leave.
REFUSALS = (Exception, SystemExit)

Progress = Callable[[str], None]


@dataclass
class Pass:
    """A forward pass: who was watched, the map that came out, and all the rest."""

    watch: Watch
    map: Tensor | None
    raw: Any
    drew: bool  # random numbers


@dataclass
class Examination:
    """The state of an audit between its passes."""

    net: nn.Module
    seed: int
    wanted: str | None
    progress: Progress
    report: AuditReport = field(init=False)
    inputs: Inputs = field(init=False)
    pictures: list[Picture] = field(default_factory=list)
    dims: int = 2
    example: Watch = field(init=False)
    drew: bool = False  # random numbers, on the example
    map: Tensor | None = None  # of the example
    why: str = ""  # nothing can be told
    inner: str | None = None  # the module whose output is looked at, where the net gives no map
    constant: Pass | None = None
    trace: Trace | None = None
    leaf: Tensor | None = None  # what the gradient is taken by
    patterns: dict[int, Pattern] = field(default_factory=dict)
    passes: int = 0  # forward and backward, those that a net refused left out

    @property
    def calls(self) -> list[Call]:
        """Of the constant's pass where it met the same layers, else of the example's.

        What no function tells is inferred from sizes, and may be seen in one of them alone.
        """
        met = self.constant.watch.calls if self.constant is not None else []
        ours = self.example.calls
        both = [[c.name for c in calls if c.known] for calls in (met, ours)]
        return met if met and both[0] == both[1] else ours

    @property
    def own(self) -> dict[int, Any]:
        """What each call adds to a constant, by its index."""
        same = self.constant is not None and self.calls is self.constant.watch.calls
        return self.trace.own if self.trace is not None and same else {}

    @property
    def size(self) -> tuple[int, ...]:
        """Of the constant's output, else of the example's."""
        found = self.constant.map if self.constant is not None else self.map
        return () if found is None else tuple(found.shape[2:])

    @property
    def like(self) -> tuple[int, ...] | None:
        """Sizes of the picture that the net takes."""
        return self.pictures[0].sizes if self.pictures else None

    def find_pictures(self, inputs: Inputs) -> list[Picture]:
        """The inputs that have pixels."""
        first = next((m for m in self.net.modules() if isinstance(m, nn.Conv1d)), None)
        return find_pictures(inputs, self.dims, None if first is None else first.in_channels)

    def constant_input(self) -> Inputs:
        """The inputs with a constant in each picture's place.

        A batch norm that was filled from the example has the mean colour for its own mean, and
        would turn it into zero: there the colour is another. A batch of constants would be as many
        times the same map: one is fed, where nothing else is of the batch's length.
        """
        off = 1.0 if self.example.replay.filled else 0.0
        made = constants(self.pictures, off)
        if self.alone:
            made = {key: value[:1].contiguous() for key, value in made.items()}
        return self.inputs.replace(made)

    @property
    def alone(self) -> bool:
        """Whether a batch of pictures is all that the net is given, draws and keeps."""
        kept = self.drew or any(call.kind == "unpooling" for call in self.example.calls)
        return not kept and len(list(self.inputs.tensors())) == 1 and 0 not in self.pictures[0].axes

    def take_output(self, ran: Pass) -> None:
        """Keep the example's map, and what it shows."""
        if ran.map is None and ran.watch.last_map is not None and self._labels(ran.raw):
            self.inner, y = ran.watch.last_map
            self.report.notes.append(
                f"the output holds labels: looked at is {self.inner} before it"
            )
            ran.map = to_map(y, self.like, self.dims)
        if ran.map is not None and self._tokens(ran.map):
            ran.map = None
        if ran.map is None:
            self.why = (
                f"the output is no map: {shapes(ran.raw)}; name one among its outputs, or audit "
                "the part of the net that makes pictures"
            )
            if any(leaf.value.numel() == 0 for leaf in leaves(ran.raw)):
                self.why = f"the output is empty: {shapes(ran.raw)}"
            return
        self.map = ran.map
        found = largest_map(ran.raw, self.like, self.dims, self.wanted)
        self.report.output = self.inner or (found.name if found is not None else "")
        self.report.output_size = list(ran.map.shape)
        if not bool(ran.map.isfinite().all()):
            self.why = "the output holds nan or infinite values"
        x = to_map(self.pictures[0].tensor, self.like, self.dims) if self.pictures else None
        self.report.pictures = pictures.show(ran.map, x, self.own_periods(ran.watch.calls))

    def note_no_gradient(self, error: RuntimeError) -> None:
        """Say, once, that a net writes over what its own derivative needs."""
        note = f"it has no gradient: {error_line(error)}"
        if note not in self.report.notes:
            self.report.notes.append(note)

    def _tokens(self, y: Tensor) -> bool:
        """Whether an output is a sequence of tokens, (B, N, C) as the input: no line of samples."""
        kinds = {type(module) for module in self.net.modules()}
        first = next(iter(self.inputs.tensors()), None)
        return (
            self.dims == 1
            and not any(issubclass(kind, nn.modules.conv._ConvNd) for kind in kinds)
            and any(issubclass(kind, nn.Linear) for kind in kinds)
            and first is not None
            and first.shape[:2] == y.shape[:2]
        )

    def own_periods(self, calls: Sequence[Call]) -> list[int]:
        """Periods at the output that the layers that enlarge could give a grid."""
        size = self.map.shape[2:] if self.map is not None else ()
        found = [output_period(c, c.scale, size) for c in calls if c.up and c.scale > 1]
        return [p for p in found if 2 <= p <= max(PERIODS)]

    def _labels(self, raw: Any) -> bool:
        """Whether an output holds whole numbers by the pixel."""
        return any(
            not leaf.value.is_floating_point() and leaf.value.ndim > 2 for leaf in leaves(raw)
        )

    def forward(self, inputs: Inputs, plan: Plan, seed: int | None = None) -> Pass:
        """One forward pass under watch."""
        reseed(self.seed if seed is None else seed)
        before = _states()
        watch = Watch(self.net, self.like, self.dims, plan)
        y = None
        with watch:
            for picture in self.find_pictures(inputs):
                watch.journal.origins.start(picture.tensor, picture.sizes, "the input")
            raw = self.net(*inputs.args, **inputs.kwargs)
            if self.inner is None:
                found = largest_map(raw, self.like, self.dims, self.wanted)
                y = None if found is None else watch.journal.finish(found.value, found.name)
            elif watch.last_map is not None:
                y = to_map(watch.last_map[1], self.like, self.dims)
        self.passes += 1
        return Pass(watch, y, raw, before != _states())


def net_dims(net: nn.Module, inputs: Inputs) -> int:
    """Spatial axes of a net, by its convolutions where the input does not tell."""
    most = max((x.ndim for x in inputs.tensors() if x.is_floating_point()), default=4)
    counts = {1: 0, 2: 0, 3: 0}
    for module in net.modules():
        kernel = getattr(module, "kernel_size", None)
        if isinstance(kernel, tuple) and len(kernel) in counts:
            counts[len(kernel)] += 1
    if most == 5:
        return 2 if counts[2] > counts[3] else 3
    if most == 4:
        return 2
    if most == 3 and not counts[2]:
        return 1
    return max(counts, key=lambda dims: (counts[dims], dims == 2))


def place_of(net: nn.Module) -> tuple[torch.device, torch.dtype]:
    """The device and the dtype of a net's floats."""
    for tensor in (*net.parameters(), *net.buffers()):
        if tensor.is_floating_point():
            return tensor.device, tensor.dtype
    return torch.device("cpu"), torch.float32


def _states() -> tuple[Any, ...]:
    cuda = (
        [s.tolist() for s in torch.cuda.get_rng_state_all()] if torch.cuda.is_initialized() else []
    )
    numbers = np.random.get_state(legacy=False)
    return torch.get_rng_state().tolist(), random.getstate(), str(numbers), cuda
