"""Watch a net run, and see every step that enlarges a map or thins it out.

Modules and bare functions alike end in a few functions of torch (`conv_transpose2d`, `interpolate`,
`pixel_shuffle`, …), which a function mode sees; hooks tell whose they are. An upsampling operator
(anything with `scale`, `in_channels` and `enlarge`) counts as one layer, whatever it calls. What is
done by none of these functions is bracketed by the modules around it (see `journal`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from upzoo.audit.boundless import narrow, plain_name, widen
from upzoo.audit.calls import Call, channel_means, layer_facts, whole_ratio_of_maps
from upzoo.audit.functions import FUNCTIONS, UP, is_operator
from upzoo.audit.journal import Journal, Plan, main_map
from upzoo.audit.levelling import even_unpool, one_draw
from upzoo.audit.replay import Replay
from upzoo.metrics.checkerboard.response import constant


@dataclass
class _Unit:
    """An operator that is running: its arguments, what it called, and what to keep."""

    module: nn.Module
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    kept: tuple[int, list[int]] | None = None
    inner: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


class Watch(TorchFunctionMode):
    """Collects the calls of a net while active.

    Args:
        net: the net to watch.
        like: spatial sizes of its picture, if it takes one.
        dims: its spatial axes.
        plan: what to do besides.
    """

    def __init__(
        self, net: nn.Module, like: Sequence[int] | None, dims: int, plan: Plan | None = None
    ):
        super().__init__()
        self.dims_seen: dict[int, int] = {}
        self.last_map: tuple[str, Tensor] | None = None
        self.plan = plan or Plan()
        self.journal = Journal(self.plan, like, dims)
        self.replay: Replay = Replay(self.plan.example)
        self._names = {module: name for name, module in net.named_modules()}
        self._root = net
        self._path: list[tuple[nn.Module, int, Any]] = []  # running, calls before, input
        self._unit: _Unit | None = None
        self._convs: list[dict[str, Any]] = []  # the last convolutions: one may feed a shuffle
        self._hooks: list[Any] = []

    @property
    def calls(self) -> list[Call]:
        """The calls that enlarged a map or thinned one out, in order."""
        return self.journal.calls

    def __enter__(self) -> Watch:
        for module in self._names:
            if not isinstance(module, torch.jit.ScriptModule):  # which takes no hooks
                self._hooks.append(module.register_forward_pre_hook(self._begin, with_kwargs=True))
                self._hooks.append(module.register_forward_hook(self._end, with_kwargs=True))
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        for hook in self._hooks:
            hook.remove()
        self._convs.clear()  # whose maps nobody asks for any more
        self.journal.forget_maps()

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run a function of torch, and note it where it changes the size of a map."""
        kwargs = kwargs or {}
        name = plain_name(func)
        result = self._function(func, name, args, kwargs)
        if self.plan.level:
            result = one_draw(name, result)
        if isinstance(result, Tensor | tuple | list) and not self.journal.origins.of(result):
            self.journal.origins.inherit(result, [*args, *kwargs.values()], name)
        return result

    def _function(self, func: Any, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        if name == "__getitem__" and self._path and self._unit is None:
            return self.journal.slice(func, args, self._names.get(self._path[-1][0], ""))
        kind, order = FUNCTIONS.get(name, ("", ()))
        if not kind or not self._path:
            return self._call(func, name, args, kwargs)
        given = dict(zip(order, args, strict=False)) | kwargs
        kind = "transposed convolution" if given.get("transposed") else kind
        if self._unit is not None:
            self._unit.inner.append((kind, given))
        if self._unit is not None or not _over_maps(kind, given):
            return self._call(func, name, args, kwargs)
        x = given["input"] = self._arriving(kind, given["input"])
        rest = {k: v for k, v in kwargs.items() if k != "input"}
        y = self._call(func, name, (x, *args[1:]), rest)
        if self.plan.level and kind == "unpooling":
            y = even_unpool(y, given)
        return self._note(func, name, kind, given, y, (args[1:], rest))

    def _arriving(self, kind: str, x: Tensor) -> Tensor:
        """The input of a function that is known, as the plan has it."""
        if "volution" in kind:
            dims = x.ndim - 2
            self.dims_seen[dims] = self.dims_seen.get(dims, 0) + 1
        if kind in UP and max(x.shape[2:]) > 1:
            return self.plan.replace(len(self.calls), x)
        if kind not in UP or kind == "interpolation":
            return x.view_as(x) if x.requires_grad else x
        return x

    def _note(
        self, func: Any, name: str, kind: str, given: dict[str, Any], y: Any, more: tuple[Any, Any]
    ) -> Any:
        """Note a call that changed the size of its map; `more` are its other arguments."""
        x, out = given["input"], main_map(y)
        module = self._path[-1][0]
        label = self._names.get(module, "")
        if kind == "convolution":
            made = given | {"output": out, "holder": self._names.get(module)}
            self._convs = [*self._convs[-7:], made]
        conv = self._feeding(x) if kind == "pixel shuffle" else {}
        facts = layer_facts(kind, given, out, conv)
        spread = kind in UP and max(x.shape[2:]) == 1  # one value over a whole map: no phases
        if spread or max(facts["stride"], default=0) <= 1 or out.shape[2:] == x.shape[2:]:
            return y
        smaller = kind == "interpolation" and max(out.shape[2:]) < max(x.shape[2:])
        up = kind in UP and not smaller
        if facts.get("source") is not None:
            facts.setdefault("holder", label)
        if not type(module).__module__.startswith("torch.nn"):
            label = f"{label}.{name}()".lstrip(".")
        mode = f"{given.get('mode') or 'nearest'} " if kind == "interpolation" else ""
        again = _again(func, kind, given, facts["stride"], more)
        free = again if up and kind != "unpooling" else None
        return self.journal.note(label, mode + kind, up, x, y, free, facts)

    def _call(self, func: Any, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run a function; the whole input of an operator goes on beyond its borders already."""
        whole = self._unit is not None and self._unit.kept is not None
        return self.replay.call(func, name, args, kwargs, whole)

    def _feeding(self, x: Tensor) -> dict[str, Any]:
        """The convolution whose output a pixel shuffle takes, activation and norm aside."""
        for conv in reversed(self._convs):
            if conv["output"].shape == x.shape:
                return conv
        return {}

    def _begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._unit is None and args and module is not self._root:
            args = (self.journal.arrive(args[0], self._names[module]), *args[1:])
        self._path.append((module, len(self.calls), args[0] if args else None))
        if self._unit is None and args and is_operator(module):
            args = (self.plan.replace(len(self.calls), args[0]), *args[1:])
            scale: Any = module.scale
            wide = None if self.plan.example is None else widen(args, kwargs, scale)
            self._unit = _Unit(module, args, kwargs, (scale, wide[2]) if wide else None)
            return wide[:2] if wide else (args, kwargs)
        return args, kwargs

    def _end(self, module: nn.Module, args: Any, kwargs: dict[str, Any], y: Any) -> Any:
        _, before, x = self._path.pop()
        unit, name = self._unit, self._names[module]
        mine = unit is not None and unit.module is module
        if unit is not None and mine:
            self._unit = None
            x = unit.args[0]
            y = narrow(y, *unit.kept) if unit.kept else y
        out = main_map(y)
        if self._unit is not None or module is self._root or not isinstance(out, Tensor):
            return y
        result = y
        sizes = self.journal.sizes(out)
        if sizes is not None and len(self.calls) == before:
            result = self._after(module, name, x, y, unit if mine else None)
            out = main_map(result)
        direct = any(source == name for source in self.journal.origins.of(out).values())
        if (not direct and not list(module.children())) or (len(self.calls) > before and mine):
            self.journal.origins.start(out, sizes, name)
        if sizes is not None and out.is_floating_point() and min(sizes) > 1:
            self.last_map = name, out
            if self.plan.maps is not None:
                self.plan.maps(name, out)
        return result

    def _after(self, module: nn.Module, name: str, x: Any, y: Any, unit: _Unit | None) -> Any:
        """Note a module that changed the size of its input by no function that is known."""
        out = main_map(y)
        before = self.journal.sizes(x)
        after = self.journal.sizes(out)
        if before is None or after is None or out.shape[0] != x.shape[0]:
            return y
        scales = whole_ratio_of_maps(before, after)
        up = scales is not None
        if scales is None:
            scales = whole_ratio_of_maps(after, before)
        if scales is None or min(after) < 2:
            return y
        if unit is not None and up:
            return self._operator(unit, name, x, y, scales)
        kind = type(module).__name__
        shown = self.journal.bracket(name, out, before, after, scales, up, kind)
        return (shown, *y[1:]) if isinstance(y, tuple) else shown

    def _operator(self, unit: _Unit, name: str, x: Tensor, y: Any, stride: Any) -> Any:
        """Note an upsampling operator of ours."""
        facts: dict[str, Any] = {"stride": stride}
        kinds = [kind for kind, _ in unit.inner]
        if kinds in (["transposed convolution"], ["convolution", "pixel shuffle"]):
            facts = layer_facts(*unit.inner[-1], main_map(y), unit.inner[0][1])
        facts["holder"] = name
        # beside x an operator takes the size to keep, which is left out, and maps at that size
        maps = {k: v for k, v in unit.kwargs.items() if isinstance(v, Tensor)}
        free = all(v.is_floating_point() for v in maps.values())
        guides = {k: channel_means(v) for k, v in maps.items()} if free else {}
        module = unit.module

        def again(x: Tensor) -> Any:
            size = [n * s for n, s in zip(x.shape[2:], stride, strict=True)]
            return module(x, **{k: constant(v, size) for k, v in guides.items()})

        kind = type(module).__name__
        return self.journal.note(name, kind, True, x, y, again if free else None, facts)


def _over_maps(kind: str, given: dict[str, Any]) -> bool:
    """Whether a call is over a map: neither over vectors nor with a quantised, packed weight."""
    axes = given["input"].ndim
    packed = "volution" in kind and getattr(given["weight"], "ndim", 0) != axes
    return axes > 2 and not packed


def _again(
    func: Any, kind: str, given: dict[str, Any], strides: Sequence[float], more: tuple[Any, Any]
) -> Callable[[Tensor], Any]:
    """The same call on another input. It keeps none of the maps."""
    args, kwargs = more
    if kind != "interpolation":
        return lambda x: func(x, *args, **kwargs)
    how = {k: given[k] for k in ("mode", "align_corners") if k in given}

    def resize(x: Tensor) -> Any:
        size = [round(n * s) for n, s in zip(x.shape[2:], strides, strict=True)]
        return func(x, size=size, **how)

    return resize
