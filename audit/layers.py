"""Watch a net run, and see every layer that enlarges a map or thins it out.

Modules and bare functions alike end in a few functions of torch (`conv_transpose2d`, `interpolate`,
`pixel_shuffle`, …), which a function mode sees; hooks tell whose they are. An upsampling operator
(anything with `scale`, `in_channels` and `enlarge`) counts as one layer, whatever it calls, and so
does a module that enlarges its input by none of these functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from upzoo.audit.boundless import (
    CONV,
    NORMS,
    TRANSPOSED,
    Statistics,
    boundless,
    narrow,
    normalise,
    statistics,
    widen,
)
from upzoo.audit.calls import Call, channel_means, layer_facts
from upzoo.metrics.checkerboard.response import constant

POOL = ("input", "kernel_size", "stride")
#: Function -> kind of layer, and the order of its arguments.
FUNCTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "interpolate": ("interpolation", ("input", "size", "scale_factor", "mode", "align_corners")),
    "pixel_shuffle": ("pixel shuffle", ("input", "upscale_factor")),
}
for _d in (1, 2, 3):
    FUNCTIONS |= {
        f"conv{_d}d": ("convolution", CONV),
        f"conv_transpose{_d}d": ("transposed convolution", TRANSPOSED),
        f"max_unpool{_d}d": ("unpooling", ("input", "indices", "kernel_size", "stride")),
        f"avg_pool{_d}d": ("average pooling", POOL),
        f"max_pool{_d}d": ("max-pooling", POOL),
        f"max_pool{_d}d_with_indices": ("max-pooling", POOL),
    }
UP = ("interpolation", "pixel shuffle", "transposed convolution", "unpooling")


Replace = Callable[[int, Tensor], Tensor]
See = Callable[[int, Call, Tensor], Tensor]


class Watch(TorchFunctionMode):
    """Collects the calls of a net while active; the net is as before when it ends.

    Args:
        net: the net to watch.
        replace: (index of an enlarging call, its input) -> the input to use.
        see: (index, call, its output) -> the output to use.
        norms: let maps repeat beyond their borders, and norms keep these statistics, in order of
            execution (see `boundless`). By default a net runs as it is.
    """

    def __init__(
        self,
        net: nn.Module,
        replace: Replace | None = None,
        see: See | None = None,
        norms: Sequence[Statistics] | None = None,
    ):
        super().__init__()
        self.norms: list[Statistics] = []  # of this pass
        self._frozen = norms
        self.calls: list[Call] = []
        self._names = {module: name for name, module in net.named_modules()}
        self._replace = replace or (lambda index, x: x)
        self._see = see or (lambda index, call, y: y)
        self._path: list[tuple[nn.Module, int]] = []  # running modules, and the calls before each
        self._unit: nn.Module | None = None  # the operator that is running
        self._given: tuple[Any, Any, Any] = ((), {}, None)  # its arguments, and what to keep
        self._inner: list[tuple[str, dict[str, Any]]] = []  # what it called
        self._conv: dict[str, Any] = {}  # the last convolution, which may feed a pixel shuffle
        self._hooks: list[Any] = []

    def __enter__(self) -> Watch:
        for module in self._names:
            self._hooks.append(module.register_forward_pre_hook(self._begin, with_kwargs=True))
            self._hooks.append(module.register_forward_hook(self._end, with_kwargs=True))
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        for hook in self._hooks:
            hook.remove()

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run a function of torch, and note it where it changes the size of a map."""
        kwargs = kwargs or {}
        kind, order = FUNCTIONS.get(getattr(func, "__name__", ""), ("", ()))
        if not kind or not self._path:
            return self._call(func, args, kwargs)
        given = dict(zip(order, args, strict=False)) | kwargs
        if self._unit is not None:
            self._inner.append((kind, given))
            return self._call(func, args, kwargs)
        x = given["input"]
        if kind in UP and max(x.shape[2:]) > 1:
            x = given["input"] = self._replace(len(self.calls), x)
        rest = {k: v for k, v in kwargs.items() if k != "input"}
        y = self._call(func, (x, *args[1:]), rest)
        if kind == "convolution":
            self._conv = given
        facts = layer_facts(kind, given, _map(y), self._conv)
        pooled = kind in UP and max(x.shape[2:]) == 1  # one value spread over a map: no phases
        if pooled or max(facts["stride"], default=0) <= 1:
            return y

        def again(x: Tensor) -> Any:
            if kind != "interpolation":
                return func(x, *args[1:], **rest)
            size = [round(n * s) for n, s in zip(x.shape[2:], facts["stride"], strict=True)]
            how = {k: given[k] for k in ("mode", "align_corners") if k in given}
            return func(x, size=size, **how)

        module = self._path[-1][0]
        name = self._names[module]
        if not type(module).__module__.startswith("torch.nn"):
            name = f"{name}.{func.__name__}()".lstrip(".")
        mode = f"{given.get('mode') or 'nearest'} " if kind == "interpolation" else ""
        free = again if kind in UP and kind != "unpooling" else None
        return self._note(name, mode + kind, kind in UP, x, y, free, facts)

    def _call(self, func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run a function, as it is or in an endless map."""
        name = getattr(func, "__name__", "")
        if name in NORMS:
            self.norms.append(statistics(name, args, kwargs))
        if self._frozen is None:
            return func(*args, **kwargs)
        if name in NORMS:
            return normalise(name, args, kwargs, self._frozen[len(self.norms) - 1])
        if self._unit is not None and self._given[2]:
            return func(*args, **kwargs)  # the operator's whole input goes on already
        return boundless(func, args, kwargs)

    def _begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._path.append((module, len(self.calls)))
        if self._unit is None and args and is_operator(module):
            self._unit, self._inner = module, []
            args = (self._replace(len(self.calls), args[0]), *args[1:])
            scale: Any = module.scale
            wide = None if self._frozen is None else widen(args, kwargs, scale)
            self._given = args, kwargs, wide and (scale, wide[2])
            return wide[:2] if wide else (args, kwargs)
        return None

    def _end(self, module: nn.Module, args: Any, kwargs: dict[str, Any], y: Any) -> Any:
        _, before = self._path.pop()
        unit = self._unit is module
        if unit:
            self._unit = None
            args, kwargs, kept = self._given
            y = narrow(y, *kept) if kept else y
        known = type(module).__module__.startswith("torch.nn")  # padding, for instance
        if self._unit is not None or known or len(self.calls) > before:
            return None
        if not args or not _enlarges(args[0], y):
            return y if unit else None
        x = args[0]
        stride = tuple(-(-b // a) for a, b in zip(x.shape[2:], y.shape[2:], strict=True))
        facts: dict[str, Any] = {"stride": stride}
        kinds = [kind for kind, _ in self._inner] if unit else []
        if kinds in (["transposed convolution"], ["convolution", "pixel shuffle"]):
            facts = layer_facts(*self._inner[-1], y, self._inner[0][1])
        # beside x an operator takes the size to keep, which is left out, and maps at that size
        maps = {k: v for k, v in kwargs.items() if isinstance(v, Tensor)}
        free = unit and all(v.is_floating_point() for v in maps.values())
        guides = {k: channel_means(v) for k, v in maps.items()} if free else {}

        def again(x: Tensor) -> Any:
            size = [n * s for n, s in zip(x.shape[2:], stride, strict=True)]
            return module(x, **{k: constant(v, size) for k, v in guides.items()})

        kind = type(module).__name__
        return self._note(self._names[module], kind, True, x, y, again if free else None, facts)

    def _note(
        self,
        name: str,
        kind: str,
        up: bool,
        x: Tensor,
        y: Any,
        again: Callable[[Tensor], Any] | None,
        facts: dict[str, Any],
    ) -> Any:
        """Add a call, and return its output after `see` had its say."""
        call = Call(
            name=name or "net",
            kind=kind,
            up=up,
            mean=channel_means(x),
            input_size=tuple(x.shape[2:]),
            output_size=tuple(_map(y).shape[2:]),
            again=again,
            **facts,
        )
        self.calls.append(call)
        shown = self._see(len(self.calls) - 1, call, _map(y))
        return (shown, *y[1:]) if isinstance(y, tuple) else shown


def is_operator(module: nn.Module) -> bool:
    """Whether a module is an upsampling operator, by what it has."""
    scale = getattr(module, "scale", None)
    named = hasattr(module, "enlarge") and hasattr(module, "in_channels")
    return named and isinstance(scale, int) and scale > 1


def _map(y: Any) -> Any:
    return y[0] if isinstance(y, tuple) else y


def _enlarges(x: Any, y: Any) -> bool:
    """Whether maps grow by nearly the same whole factor along every axis: up to a crop."""
    if not isinstance(x, Tensor) or not isinstance(y, Tensor) or not 4 <= x.ndim == y.ndim:
        return False
    scales = {-(-b // a) for a, b in zip(x.shape[2:], y.shape[2:], strict=True)}
    return len(scales) == 1 and max(scales) > 1 and max(x.shape[2:]) > 1
