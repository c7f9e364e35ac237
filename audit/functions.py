"""The functions of torch that enlarge a map or thin it out, and what counts as one operator."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from upzoo.audit.boundless import ARGUMENTS, CONV, TRANSPOSED

POOL = ("input", "kernel_size", "stride")
#: Function -> kind of layer, and the order of its arguments.
FUNCTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "interpolate": (
        "interpolation",
        ("input", "size", "scale_factor", "mode", "align_corners"),
    ),
    "pixel_shuffle": ("pixel shuffle", ("input", "upscale_factor")),
    "pixel_unshuffle": ("pixel unshuffle", ("input", "downscale_factor")),
    "convolution": ("convolution", ARGUMENTS["convolution"]),
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


def is_operator(module: nn.Module) -> bool:
    """Whether a module is an upsampling operator, by what it has."""
    scale = getattr(module, "scale", None)
    named = hasattr(module, "enlarge") and hasattr(module, "in_channels")
    return named and isinstance(scale, int) and scale > 1


def steps_of(x: Any, index: Any) -> list[int]:
    """The steps of slices in an index."""
    if not isinstance(x, Tensor):
        return []
    places = index if isinstance(index, tuple) else (index,)
    return [p.step for p in places if isinstance(p, slice) and isinstance(p.step, int)]
