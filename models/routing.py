"""Put an operator where a net enlarges, in a module's place or under a function that it calls."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

#: Functions that enlarge and can be served by an operator -> order of their arguments.
FUNCTIONS: dict[str, tuple[str, ...]] = {
    "interpolate": ("input", "size", "scale_factor", "mode", "align_corners"),
    "pixel_shuffle": ("input", "upscale_factor"),
    "conv_transpose2d": (
        "input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation",
    ),
}  # fmt: skip


class Placed(nn.Module):
    """An operator in the place of a layer: its bias, and the size that the old layer gave.

    Args:
        up: the operator.
        bias: shape of the bias that is added: (C, 1, 1), or (C, s, s) by phase; None for none.
    """

    def __init__(self, up: nn.Module, bias: Sequence[int] | None = None):
        super().__init__()
        self.up = up
        self.bias = nn.Parameter(torch.zeros(*bias)) if bias is not None else None

    def forward(self, x: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """(B, in, H, W) -> (B, out, s·H, s·W), or `output_size`."""
        y = self.up(x)
        if self.bias is not None:
            scale = self.bias.shape[-1]
            tile = (1, y.shape[-2] // scale, y.shape[-1] // scale)
            bias = self.bias.to(y.dtype)  # which autocast may have made coarser
            y = y + (bias.repeat(tile) if scale > 1 else bias)
        return y if output_size is None else to_size(y, output_size[-2:], int(self.up.scale))  # type: ignore[arg-type]


class Cropped(Placed):
    """The same for a transposed convolution that gives s·H − `less`."""

    def __init__(self, up: nn.Module, bias: Sequence[int] | None, less: int):
        super().__init__(up, bias)
        self.less = less

    def forward(self, x: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """(B, in, H, W) -> (B, out, s·H − less, s·W − less), or `output_size`."""
        if output_size is None:
            scale = int(self.up.scale)  # type: ignore[arg-type]
            output_size = [n * scale - self.less for n in x.shape[-2:]]
        return super().forward(x, output_size)


def to_size(y: Tensor, size: Sequence[int], scale: int) -> Tensor:
    """Cut from the top left where less than one input pixel is too much; else interpolate."""
    if all(0 <= n - wanted < scale for n, wanted in zip(y.shape[-2:], size, strict=True)):
        return y[..., : size[0], : size[1]]
    return F.interpolate(y, list(size), mode="bilinear", align_corners=False)


class Routed(nn.Module):
    """A module some of whose calls of functions are served by operators of their own.

    Calls of `interpolate`, `pixel_shuffle` and `conv_transpose2d` in the module's own `forward`,
    not in its children's, are counted from the first on; the n-th goes to the operator of that
    number, if there is one. What the module has is reached through this one.

    Args:
        inner: the module.
        sites: number of a call -> its operator.
    """

    def __init__(self, inner: nn.Module, sites: Mapping[int, Placed]):
        super().__init__()
        self.inner = inner
        self.sites = nn.ModuleDict({str(n): placed for n, placed in sites.items()})
        self._depth = 0
        self._count = 0
        for module in inner.modules():
            if module is not inner:
                module.register_forward_pre_hook(self._enter)
                module.register_forward_hook(self._leave, always_call=True)
        self.train(inner.training)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name in ("inner", "_modules"):
                raise
            return getattr(self.inner, name)

    def _enter(self, *_: Any) -> None:
        self._depth += 1

    def _leave(self, *_: Any) -> None:
        self._depth -= 1

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module gives, with its operators."""
        self._depth = self._count = 0
        with _Route(self):
            return self.inner(*args, **kwargs)

    def serve(self, given: Mapping[str, Any]) -> Tensor | None:
        """The output of the operator whose turn it is; None where the function itself is to run."""
        if self._depth:
            return None
        name = str(self._count)
        self._count += 1
        if name not in self.sites:
            return None
        placed: Any = self.sites[name]
        return placed(given["input"], wanted_size(given))


class _Route(TorchFunctionMode):
    """Hands calls to a `Routed`."""

    def __init__(self, routed: Routed):
        super().__init__()
        self._routed = routed

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in FUNCTIONS:
            y = self._routed.serve(arguments(name, args, kwargs))
            if y is not None:
                return y
        return func(*args, **kwargs)


def arguments(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """A function's arguments by name."""
    return dict(zip(FUNCTIONS[name], args, strict=False)) | dict(kwargs)


def wanted_size(given: Mapping[str, Any]) -> list[int] | None:
    """Height and width that a call of `interpolate` asks for; None for other functions."""
    h, w = given["input"].shape[-2:]
    size, scale = given.get("size"), given.get("scale_factor")
    if size is not None:
        return [size, size] if isinstance(size, int) else [int(n) for n in size]
    if scale is not None:
        scales = [scale, scale] if isinstance(scale, int | float) else scale
        return [int(h * scales[0]), int(w * scales[1])]
    return None


@contextlib.contextmanager
def names_of(net: nn.Module) -> Iterator[list[str]]:
    """A list of the modules that run, by name, the innermost last, while the context is open."""
    path: list[str] = []
    hooks: list[Any] = []
    for name, module in net.named_modules():

        def enter(module: nn.Module, args: Any, name: str = name) -> None:
            path.append(name)

        def leave(module: nn.Module, args: Any, y: Any) -> None:
            path.pop()

        hooks.append(module.register_forward_pre_hook(enter))
        hooks.append(module.register_forward_hook(leave, always_call=True))
    try:
        yield path
    finally:
        for hook in hooks:
            hook.remove()


def replace(net: nn.Module, name: str, new: nn.Module) -> nn.Module:
    """Put a module in another's place wherever it is registered; the net, or what stands for it."""
    old = net.get_submodule(name)
    if old is net:
        return new
    for parent in list(net.modules()):
        for key, child in parent._modules.items():
            if child is old and parent is not new:
                parent._modules[key] = new
    return net
