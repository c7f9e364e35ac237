"""The audit itself: which passes are run, and what is made of them.

1. The example, as it is: the layers, the output's spread, what pictures show.
2. A constant in its place: a picture becomes its mean colour; a net that takes none, a generator,
   is fed a constant map at its first enlarging layer. All that repeats at the output is a grid.
3. The same with another seed, where the net draws random numbers: what differs is noise.
4. One backward pass from the grid: who is to blame. Where no layer is, one more forward pass, to
   say between which modules the grid appears.
5. One backward pass from a smooth gradient: which layers hand it out unevenly.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from upzoo.audit import photos, pictures
from upzoo.audit.calls import Call
from upzoo.audit.examples import candidates
from upzoo.audit.inputs import Inputs, Picture, constants, gather
from upzoo.audit.inputs import pictures as find_pictures
from upzoo.audit.intact import reseed, undisturbed
from upzoo.audit.layers import Plan, Watch
from upzoo.audit.maps import largest_map, leaves, shapes, to_map
from upzoo.audit.measure import (
    describe_layers,
    input_gradient,
    judge,
    middle,
)
from upzoo.audit.phases import PERIODS, Pattern, busiest, cell_means, patterns
from upzoo.audit.pictures import Shown
from upzoo.audit.report import CAUSE, PHOTOGRAPH, AuditReport, Cause, Finding, decibels, severity
from upzoo.audit.trace import Trace, output_period, output_periods, shares
from upzoo.audit.weights import are_random, load_into
from upzoo.metrics.checkerboard.response import constant
from upzoo.upsampling.phases import over

FED = 12  # pixels of the constant map that a generator's first layer is fed
ROUNDING = 2e-5  # of the output's level, that float32 may leave
VISIBLE = PHOTOGRAPH * math.sqrt(10**0.6 - 1)  # of the output's spread, at 6 dB
EMERGED = 0.1  # of a grid at the output, that a map must have for the grid to be there
#: What a net may raise on an input that does not suit it.
REFUSALS = (RuntimeError, ValueError, TypeError, IndexError, AssertionError, KeyError,
            AttributeError, NotImplementedError, ZeroDivisionError)  # fmt: skip

Progress = Callable[[str], None]


def audit(
    net: nn.Module,
    example: Any = None,
    *,
    input_size: int | Sequence[int] | None = None,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    output: str | None = None,
    weights: str | Path | Mapping[str, Any] | None = None,
    images: str | Path | Sequence[Tensor] | Tensor | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> AuditReport:
    """Examine any net for checkerboards; it is left bit for bit as it was.

    Args:
        net: any module. It runs in evaluation mode, six times at most, forward and backward
            together, and once more for each of `images`.
        example: its input: a tensor, a tuple, a dict of keywords, a list; by default noise with the
            spectrum of photographs, of a size that the net's layers and configuration tell.
        input_size: of that noise: pixels, (H, W), or (C, H, W).
        args: more positional inputs, behind the example.
        kwargs: more keyword inputs.
        output: name of the output to look at, "aux" or "features.2"; by default the largest map.
        weights: a state dict, or the file of one, to be examined in the net's place.
        images: the user's own pictures: a folder, a file, or tensors (C, H, W) in [0, 1].
        seed: of all that is drawn.
        progress: told the name of each stage as it starts.

    Returns:
        The report. Figures in dB say how far a grid stands out of a photograph's spectrum: from 6
        on it is called a checkerboard.

    Raises:
        ValueError: in one line, for what is no module, an example that the net cannot run on, an
            output that is not there, weights that do not fit.
        FileNotFoundError: for weights or images that are not there.

    Example:
        >>> up = nn.ConvTranspose2d(1, 1, 3, stride=2, bias=False)
        >>> _ = nn.init.ones_(up.weight)
        >>> report = audit(up, 1 + torch.rand(1, 1, 32, 32))
        >>> report.ok, report.findings[0].period, report.severity
        (False, 2, 'strong')
    """
    if not isinstance(net, nn.Module):
        raise ValueError(f"net is {type(net).__name__}: give a torch.nn.Module")
    net = getattr(net, "_orig_mod", net)  # of torch.compile
    with undisturbed(net, seed), torch.no_grad():
        origin = "the net's own" if weights is None else load_into(net, weights)
        for parameter in net.parameters():
            if parameter.is_leaf:
                parameter.requires_grad_(False)
        inputs = None if example is None else gather(example, args, kwargs)
        examination = Examination(net, seed, output, progress or (lambda stage: None))
        examination.run_example(
            inputs, candidates(net, input_size), Inputs(tuple(args), dict(kwargs or {}))
        )
        report = examination.report
        report.weights = origin
        if examination.map is not None:
            examination.run_constant()
            examination.find()
        if any(not call.up for call in examination.calls):
            examination.follow_gradient()
        report.layers = describe_layers(
            examination.calls, examination.own, examination.size, report
        )
        if images is not None:
            examination.run_photos(images)
        report.passes = examination.passes
        judge(report, examination.why)
    return report


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
        """Of the constant's pass where it met the same layers, else of the example's."""
        met = self.constant.watch.calls if self.constant is not None else []
        ours = self.example.calls
        return met if [c.name for c in met] == [c.name for c in ours] else ours

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

    def run_example(self, given: Inputs | None, guesses: Any, more: Inputs) -> None:
        """Run the net on its example, or on the first guess that it takes."""
        self.progress("example")
        device, dtype = _where(self.net)
        refused: list[str] = []
        for inputs in [given] if given is not None else guesses:
            if given is None:
                inputs = Inputs((*inputs.args, *more.args), {**inputs.kwargs, **more.kwargs})
            inputs = inputs.to(device, dtype)
            self.inputs, self.dims = inputs, net_dims(self.net, inputs)
            self.pictures = find_pictures(inputs, self.dims)
            try:
                ran = self._forward(inputs, Plan())
            except REFUSALS as error:
                if isinstance(error, ValueError) and str(error).startswith("output="):
                    raise
                shape = ", ".join(str(tuple(x.shape)) for x in inputs.tensors())
                refused.append(f"{shape}: {type(error).__name__}: {first_line(error)}")
                continue
            break
        else:
            what = "example" if given is not None else f"of {len(refused)} guesses the first,"
            raise ValueError(
                f"{type(self.net).__name__} does not run on its {what} {refused[0]}; give an "
                "example that suits it, or input_size"
            )
        self.example = ran.watch
        self.report = AuditReport(
            net=type(self.net).__name__,
            weights="",
            random=are_random(self.net),
            input_size=[list(x.shape) for x in inputs.tensors()],
        )
        self._take_output(ran)
        if ran.watch.filled:
            self.report.notes.append(
                f"{ran.watch.filled} batch norms had seen no data: filled from the example"
            )

    def _take_output(self, ran: Pass) -> None:
        """Keep the example's map, and what it shows."""
        if ran.map is None and ran.watch.last_map is not None and self._labels(ran.raw):
            self.inner, y = ran.watch.last_map
            self.report.notes.append(
                f"the output holds labels: looked at is {self.inner} before it"
            )
            ran.map = to_map(y, self.like, self.dims)
        if ran.map is None:
            self.why = f"the output is no map: {shapes(ran.raw)}"
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
        self.report.pictures = pictures.show(ran.map, x, self._own_periods(ran.watch.calls))

    def _own_periods(self, calls: Sequence[Call]) -> list[int]:
        size = self.map.shape[2:] if self.map is not None else ()
        found = [output_period(c, c.scale, size) for c in calls if c.up and c.scale > 1]
        return [p for p in found if 2 <= p <= max(PERIODS)]

    def _labels(self, raw: Any) -> bool:
        """Whether an output holds whole numbers by the pixel."""
        return any(
            not leaf.value.is_floating_point() and leaf.value.ndim > 2 for leaf in leaves(raw)
        )

    def _forward(self, inputs: Inputs, plan: Plan, seed: int | None = None) -> Pass:
        """One forward pass under watch."""
        reseed(self.seed if seed is None else seed)
        before = _states()
        watch = Watch(self.net, self.like, self.dims, plan)
        y = None
        with watch:
            for picture in find_pictures(inputs, self.dims):
                watch.origins.start(picture.tensor, picture.sizes, "the input")
            raw = self.net(*inputs.args, **inputs.kwargs)
            if self.inner is None:
                found = largest_map(raw, self.like, self.dims, self.wanted)
                y = None if found is None else watch.finish(found.value, found.name)
            elif watch.last_map is not None:
                y = to_map(watch.last_map[1], self.like, self.dims)
        self.passes += 1
        return Pass(watch, y, raw, before != _states())

    def run_constant(self) -> None:
        """Feed a constant, with a graph behind the output where the net has one."""
        self.progress("constant")
        for fed, fields, replace in self._feeds():
            for flow, endless in ((True, True), (False, True), (False, False)):
                trace = Trace(flow)
                plan = Plan(see=trace.see, thin=trace.thin)
                plan.example = self.example if endless else None
                if replace is not None:
                    plan.replace = replace
                try:
                    with torch.set_grad_enabled(flow):
                        leaf, inputs = self._leaf(fields, fed) if flow else (None, fields)
                        ran = self._forward(inputs, plan)
                except REFUSALS:
                    continue
                if ran.map is None or ran.map.numel() == 0:
                    continue
                self.constant, self.trace, self.leaf = ran, trace, leaf
                self.report.fed = fed
                if not endless:
                    self.report.notes.append("its maps end at their borders: these are left out")
                self._second_seed(fields, plan)
                return
        self.why = self.why or "the net refuses a constant"

    def _leaf(self, inputs: Inputs, fed: str) -> tuple[Tensor | None, Inputs]:
        """The first picture as something to take derivatives by."""
        found = find_pictures(inputs, self.dims) if fed == "the input" else []
        if not found:
            return None, inputs
        leaf = found[0].tensor.detach().clone().requires_grad_()
        return leaf, inputs.replace({id(found[0].tensor): leaf * 1})  # in-place functions may come

    def _feeds(self) -> list[tuple[str, Inputs, Any]]:
        """Ways to feed a constant, the best first: its name, inputs, and what to replace."""
        if self.pictures:
            return [("the input", self.inputs.replace(constants(self.pictures)), None)]
        first = next(
            (i for i, c in enumerate(self.example.calls) if c.up and c.mean is not None), None
        )
        if first is None:
            return [("its own input", self.inputs, None)]
        call = self.example.calls[first]
        assert call.mean is not None
        mean = call.mean
        feeds = []
        for least in (FED, 1):
            size = [max(n, least) for n in call.input_size]

            def replace(index: int, x: Tensor, size: list[int] = size) -> Tensor:
                if index != first:
                    return x
                return constant(mean, size).to(x).expand(len(x), *[-1] * (x.ndim - 1)).contiguous()

            feeds.append((call.name, self.inputs, replace))
        return feeds

    def _second_seed(self, inputs: Inputs, plan: Plan) -> None:
        """Measure the output's grids, over two seeds where the net draws random numbers."""
        assert self.constant is not None
        assert self.constant.map is not None
        ys = [self.constant.map]
        if self.constant.drew:
            self.progress("another seed")
            quiet = Plan(replace=plan.replace, example=plan.example)
            other = self._forward(inputs, quiet, self.seed + 1).map
            if other is not None and other.shape == ys[0].shape:
                ys.append(other)
        self._measure(ys)

    def _measure(self, ys: Sequence[Tensor]) -> None:
        """The figures of the output's grids: over its level, and over its spread."""
        assert self.map is not None
        report, y = self.report, ys[0]
        channels = busiest(y)
        flat = tuple(range(2, y.ndim))
        level = y.detach()[:, channels].double().mean((0, *flat)).norm().item()
        shown = self.map[:, channels] if self.map.shape[1] == y.shape[1] else self.map
        # the spread that pictures cause: a level of its own for each channel and image is none
        spread = shown.double().var(flat, correction=0).mean(0).sum().sqrt().item()
        with torch.set_grad_enabled(y.requires_grad):
            self.patterns = patterns(
                [y[:, channels] for y in ys], PERIODS, max(VISIBLE * spread, ROUNDING * level)
            )
        report.level = level
        report.response = {p: over(f.amplitude, level) for p, f in self.patterns.items()}
        report.contrast = {p: over(f.amplitude, spread) for p, f in self.patterns.items()}
        report.noise = {p: over(f.noise, spread) for p, f in self.patterns.items()}
        if self.patterns:
            energy = torch.stack(
                [f.mean.detach().square().flatten(1).mean(1) for f in self.patterns.values()]
            ).sum(0)
            strongest = int(channels[int(energy.argmax())])
            report.tile = middle(y.detach(), strongest)
            report.spread = (
                self.map[:, strongest].std().item() if strongest < self.map.shape[1] else None
            )

    def find(self) -> None:
        """Turn figures into findings, and say who makes each."""
        report = self.report
        if not self.patterns:
            return
        real = {}
        for period, found in self.patterns.items():
            contrast, rounding = report.contrast[period], ROUNDING * (report.level or 0.0)
            beyond = found.amplitude > 3 * found.noise and found.amplitude > rounding
            if beyond and severity(decibels(contrast)) != "none":
                real[period] = found
        blamed = self._blame(real)
        for period in real:
            causes = [
                Cause(self.calls[index].name, share, self._expected(self.calls[index]))
                for index, share in sorted(blamed[period].items(), key=lambda pair: -pair[1])
                if share >= CAUSE
            ]
            report.findings.append(
                Finding(
                    period=period,
                    db=decibels(report.contrast[period]),
                    contrast=report.contrast[period],
                    of_mean=report.response[period],
                    shown_by="a constant",
                    causes=_merged(causes),
                )
            )
            if not causes:
                report.findings[-1].causes = self._makers(period, report.response[period])
        self._bracket([f for f in report.findings if not f.causes])
        self._find_in_pictures(report.pictures, "the example")
        report.findings.sort(key=lambda finding: -finding.db)

    def _makers(self, period: int, response: float) -> list[Cause]:
        """The layers that put a grid of this period on a constant, where slopes tell of none.

        A saturated activation behind a layer has no slope, and yet its grid is there.
        """
        made: dict[str, Cause] = {}
        for index, own in self.own.items():
            call = self.calls[index]
            made_here = [
                s for q, s in own.shares.items() if period in output_periods(call, q, self.size)
            ]
            if max(made_here, default=0.0) > EMERGED * min(response, 1.0):
                made[call.name] = Cause(call.name, None, self._expected(call))
        return list(made.values())

    def _expected(self, call: Call) -> bool:
        """Whether a call's grid is what random weights give: its own, or all of the net's."""
        from upzoo.audit.weights import looks_drawn

        if not self.report.random:
            return False
        if call.source is not None:
            return looks_drawn(call.source) is not False
        return True

    def _blame(self, real: Mapping[int, Pattern]) -> dict[int, dict[int, float]]:
        if not real or self.trace is None or self.constant is None:
            return {period: {} for period in real}
        self.progress("blame")
        y = self.constant.map
        assert y is not None
        flow = self.trace.flow and y.requires_grad
        self.passes += flow
        with torch.enable_grad():
            return shares(real, self.calls, self.own, self.size, flow)

    def _bracket(self, findings: Sequence[Finding]) -> None:
        """Say between which modules a grid appears that no layer makes: one more pass."""
        if not findings or self.constant is None:
            return
        self.progress("bracket")
        size = self.size
        seen: dict[int, list[tuple[str, float]]] = {f.period: [] for f in findings}

        def maps(name: str, y: Tensor) -> None:
            first = to_map(y, self.like, self.dims)
            if first is None or first.ndim != len(size) + 2:
                return
            for finding in findings:
                period = finding.period * first.shape[-1] / size[-1]
                here = int(period) if period == int(period) and period >= 2 else 0
                contrast = 0.0
                if here:
                    channels = busiest(first)
                    found = patterns([first[:, channels]], [here])
                    level = (
                        first[:, channels].double().mean((0, *range(2, first.ndim))).norm().item()
                    )
                    if here in found and found[here].amplitude > 3 * found[here].noise:
                        contrast = over(found[here].amplitude, level)
                seen[finding.period].append((name, contrast))

        used = self.constant.watch.plan
        fields = self._feeds()[0][1]
        self._forward(fields, Plan(example=used.example, replace=used.replace, maps=maps))
        for finding in findings:
            before = "the input"
            place = None
            for name, contrast in seen[finding.period]:
                if contrast > EMERGED * min(finding.of_mean or 0.0, 1.0):
                    place = f"between {before} and {name}"
                    break
                before = name
            finding.causes = [
                Cause(
                    place or f"between {before} and the output",
                    None,
                    self.report.random and bool(seen[finding.period]),
                )
            ]

    def _find_in_pictures(self, shown: Mapping[int, Shown], where: str) -> None:
        """Add what pictures show and a constant does not."""
        known = {f.period for f in self.report.findings}
        for period in pictures.seen_periods(dict(shown)):
            if period in known or any(k % period == 0 for k in known):
                continue
            causes = [
                Cause(call.name, None, self._expected(call))
                for call in self.calls
                if call.up
                and "interpolation" not in call.kind
                and output_period(call, call.scale, self.size) % period == 0
                and output_period(call, call.scale, self.size) > 0
            ]
            self.report.findings.append(
                Finding(period, shown[period].excess_db, None, None, where, _merged(causes))
            )

    def run_photos(self, images: Any) -> None:
        """Take the measures of pictures on the user's own."""
        self.progress("pictures")
        if not self.pictures or self.map is None:
            raise ValueError(
                f"images={images!r:.60}: {self.report.net} takes no picture or gives none"
            )
        first = self.pictures[0].tensor
        found: list[tuple[Tensor, Tensor]] = []
        for x in photos.load(images, first, photos.normalisation(self.net)):
            ran = self._forward(self.inputs.replace({id(first): x}), Plan())
            if ran.map is not None:
                found.append((ran.map, x))
        self.passes -= len(found)  # those are the user's to choose
        if found:
            y, x = (torch.cat(side) for side in zip(*found, strict=True))
            self.report.photos = pictures.show(y, x, self._own_periods(self.example.calls))
            self._find_in_pictures(self.report.photos, "your pictures")
            self.report.findings.sort(key=lambda finding: -finding.db)

    def follow_gradient(self) -> None:
        """Hand a smooth gradient back to the input: which phases get how much of it."""
        if self.constant is None:
            self._constant_for_gradient()
        if self.leaf is None or self.constant is None or self.trace is None:
            return
        y = self.constant.map
        if y is None:
            scores = [leaf.value for leaf in leaves(self.constant.raw) if leaf.value.requires_grad]
            y = max(scores, key=Tensor.numel, default=None)
        if y is None or not y.requires_grad:
            return
        self.progress("gradient")
        self.passes += 1
        self.trace.collecting = True
        gradient = input_gradient(y, self.leaf, self.seed)
        self.trace.collecting = False
        if gradient is None:
            return
        first = to_map(gradient, self.like, self.dims)
        size = () if first is None else first.shape[2:]
        for call in self.calls:
            period = 0 if call.up else output_input_period(call, size)
            if first is None or not 2 <= period <= min(size) // 4 or period in self.report.gradient:
                continue
            cell = cell_means(first.square(), [period] * len(size))
            if cell is not None:
                energies = cell.double().mean((0, 1))
                self.report.gradient[period] = over(energies.max().item(), energies.min().item())

    def _constant_for_gradient(self) -> None:
        """A constant through a net that gives no map, a classifier for instance."""
        if not self.pictures:
            return
        self.progress("constant")
        trace = Trace(True)
        fields = self.inputs.replace(constants(self.pictures))
        try:
            with torch.enable_grad():
                leaf, inputs = self._leaf(fields, "the input")
                ran = self._forward(inputs, Plan(thin=trace.thin, example=self.example))
        except REFUSALS:
            return
        self.constant, self.trace, self.leaf = ran, trace, leaf


def output_input_period(call: Call, size: Sequence[int]) -> int:
    """The period at the net's input of the grid that a call that thins out puts into a gradient."""
    if len(size) != len(call.input_size):
        return 0
    return round(call.scale * max(size) / max(call.input_size))


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


def first_line(error: BaseException) -> str:
    """The first line of an error, for a message of one."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def _where(net: nn.Module) -> tuple[torch.device, torch.dtype]:
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


def _merged(causes: Sequence[Cause]) -> list[Cause]:
    """One cause for a module that runs several times."""
    found: dict[str, Cause] = {}
    for cause in causes:
        if cause.layer in found:
            before = found[cause.layer].share
            if before is not None and cause.share is not None:
                found[cause.layer].share = before + cause.share
        else:
            found[cause.layer] = cause
    return list(found.values())
