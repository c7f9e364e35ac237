"""Options of the audit's commands: from text to what a net is run on, and back."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from upzoo.audit import photos
from upzoo.audit.examples import natural_noise

SHAPE = re.compile(r"\d+(x\d+)+")


def read_size(size: str | int | Sequence[int] | None) -> int | list[int] | None:
    """224, "224x320" or "3x224x320" as numbers.

    Example:
        >>> read_size("224"), read_size("3x64x96"), read_size(None)
        (224, [3, 64, 96], None)
    """
    if size is None or isinstance(size, int):
        return size
    parts = size.split("x") if isinstance(size, str) else list(size)
    try:
        numbers = [int(part) for part in parts]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise ValueError(f"size={size}: give pixels, 224, HxW, or CxHxW")
    return numbers[0] if len(numbers) == 1 else numbers


def read_arguments(texts: Sequence[str]) -> tuple[list[Any], dict[str, Any]]:
    """More inputs from "[NAME=]VALUE": whole numbers, floats, true and false, or shapes of noise.

    Example:
        >>> args, kwargs = read_arguments(["1x4", "scale=0.5", "timestep=10"])
        >>> args[0].shape, kwargs
        (torch.Size([1, 4]), {'scale': tensor([0.5000]), 'timestep': tensor([10])})
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    generator = torch.Generator().manual_seed(0)
    for text in texts:
        name, found, value = text.rpartition("=")
        if found and not name.isidentifier():
            raise ValueError(f"args={text}: {name!r} is no name of an input")
        read = _read_value(value, text, generator)
        if found:
            kwargs[name] = read
        else:
            args.append(read)
    return args, kwargs


def _read_value(value: str, text: str, generator: torch.Generator) -> Any:
    if SHAPE.fullmatch(value):
        shape = [int(n) for n in value.split("x")]
        if len(shape) > 2 and shape[0] == 1 and min(shape[2:]) > 1:
            return natural_noise(shape[1], shape[2:], generator)
        return torch.randn(shape, generator=generator)
    if value.lower() in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[value.lower()]
    try:
        return torch.tensor([int(value) if re.fullmatch(r"-?\d+", value) else float(value)])
    except ValueError:
        raise ValueError(
            f"args={text}: give a number, true, false, none, or a shape such as 1x77x768"
        ) from None


def read_photo(path: str, net: nn.Module, size: Any) -> Tensor:
    """A picture as the net takes it: at its own size, or at the one that is asked for."""
    first = next((m for m in net.modules() if isinstance(m, nn.Conv2d)), None)
    channels = first.in_channels if first is not None else 3
    if channels not in (1, 3):
        raise ValueError(f"example={path}: the net takes {channels} channels, no pictures")
    x = photos.read(photos.files(path)[0], channels)
    asked = read_size(size)
    height, width = (n // 32 * 32 for n in x.shape[-2:])
    if asked is not None:
        height, width = (asked, asked) if isinstance(asked, int) else asked[-2:]
    like = torch.empty(1, channels, max(height, 32), max(width, 32))
    return next(iter(photos.load(x[0], like, photos.normalisation(net))))


def options_again(
    size: Any,
    example: str | None = None,
    output: str | None = None,
    weights: str | None = None,
    arguments: Sequence[str] = (),
) -> str:
    """Options as the command takes them, for one that goes on from this audit.

    Example:
        >>> options_again(96, weights="DEFAULT"), options_again(None)
        (' --size 96 --weights DEFAULT', '')
    """
    shape = "x".join(map(str, size)) if isinstance(size, list | tuple) else size
    given = {"size": shape, "example": example, "map": output, "weights": weights}
    said = [f" --{name} {shlex.quote(str(v))}" for name, v in given.items() if v is not None]
    more = [" --args " + " ".join(map(shlex.quote, arguments))] if arguments else []
    return "".join([*said, *more])
