"""An example for a net that has none: what its layers, its signature and its config say."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from upzoo.audit.inputs import Inputs

#: Pixels along each axis that are tried, by the number of axes.
SIDES = {1: (2048, 256, 64), 2: (256, 224, 128, 512, 384, 64, 32), 3: (64, 96, 32, 16)}
#: Pixels along each axis of an output that show every period; more only take longer.
PLENTY = {1: 65536, 2: 512, 3: 128}
LATENTS = 4  # codes of a generator
TOKENS = 77  # of a text
CONV = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
TIMES = ("timestep", "timesteps", "t", "time", "sigma", "noise_level", "steps")
CODES = ("z_dim", "dim_z", "latent_dim", "latent_size", "nz")  # attributes of generators
CLASSES = ("class_labels", "labels", "y", "class_id", "c")


def candidates(net: nn.Module, size: int | Sequence[int] | None = None) -> Iterator[Inputs]:
    """Inputs that a net might take, the likeliest first, from a seed of their own.

    Args:
        net: any module.
        size: of the input: pixels along each axis, (H, W), or a whole shape (C, H, W).

    Raises:
        ValueError: where nothing of the net tells.
    """
    shapes = list(dict.fromkeys(_shapes(net, size)))
    if not shapes and size is not None and next(_first_layers(net), None) is not None:
        asked = size if isinstance(size, int) else "x".join(map(str, size))
        raise ValueError(f"size={asked}: {type(net).__name__} takes no input of that many axes")
    if not shapes:
        raise ValueError(
            f"{type(net).__name__}: no layer tells what input it takes: give an example, or a "
            "function that returns the module and its example"
        )
    required, optional, by_name = _arguments(net)
    ways = [(required, False)]
    if optional:
        ways.append(([*required, *optional], False))
    if any(name in CLASSES for name in required[1:]):
        ways.append((required, True))  # "y" may be a second picture
    for shape, (names, alike) in product(shapes, ways):
        generator = torch.Generator().manual_seed(0)
        first = (
            natural_noise(shape[1], shape[2:], generator)
            if len(shape) > 2 and min(shape[2:]) > 1
            else torch.randn(shape, generator=generator)
        )
        more = {
            name: first.clone() if alike else _companion(name, first, net, generator)
            for name in names[1:]
        }
        yield Inputs((), {names[0]: first, **more}) if by_name else Inputs((first,), more)


def natural_noise(channels: int, size: Sequence[int], generator: torch.Generator) -> Tensor:
    """(1, channels, *size) noise with the 1/f amplitudes of photographs, mean ½, variance 1.

    A mean of zero would come out of most untrained nets as zero.
    """
    lines = [torch.fft.fftfreq(n).square() for n in size]
    radius = torch.zeros(())
    for line in lines:
        radius = radius[..., None] + line
    radius = radius.sqrt()
    radius.view(-1)[0] = torch.inf  # no mean yet
    white = torch.randn(1, channels, *size, generator=generator)
    axes = tuple(range(2, 2 + len(size)))
    noise = torch.fft.ifftn(torch.fft.fftn(white, dim=axes) / radius, dim=axes).real
    return noise / noise.std() + 0.5


def _shapes(net: nn.Module, size: int | Sequence[int] | None) -> Iterator[tuple[int, ...]]:
    given = [size] if isinstance(size, int) else list(size or ())
    told = None if given else _told(net)
    for kind, channels, dims in _first_layers(net):
        if kind == "latent":
            yield (LATENTS, channels, *[1] * dims)
            if dims and not given:
                yield (1, channels, *[SIDES[dims][-1]] * dims)  # a layer, or a decoder of maps
            continue
        if isinstance(told, int):
            yield (1, channels, *[told] * dims)
        elif told is not None and len(told) in (dims, dims + 1):
            yield (1, *(told if len(told) > dims else (channels, *told)))
        if len(given) in (dims, dims + 1):
            yield (1, *(given if len(given) > dims else (channels, *given)))
        elif len(given) == 1:
            yield (1, channels, *given * dims)
        elif not given:
            for side in SIDES[dims]:
                yield (1, channels, *[side] * dims)
                if side == SIDES[dims][0] and dims == 2:
                    yield (1, 3, side, side) if channels != 3 else (1, 1, side, side)
            if dims == 1:  # a spectrum, (B, T, C), that becomes a sound of many more samples
                bins = getattr(getattr(net, "config", None), "num_mel_bins", channels)
                yield (1, SIDES[dims][-1], bins)
    for code in [getattr(net, name, None) for name in CODES if not given]:
        if isinstance(code, int) and code > 0:
            yield (LATENTS, code)


def _first_layers(net: nn.Module) -> Iterator[tuple[str, int, int]]:
    """What the first layer of each sort takes: (sort, channels, axes), in order of registration."""
    seen = set()
    for module in net.modules():
        found = None
        if isinstance(module, TRANSPOSED):
            found = "latent", module.in_channels, len(module.kernel_size)
        elif isinstance(module, CONV):
            found = "picture", module.in_channels, len(module.kernel_size)
        elif isinstance(module, nn.Linear):
            found = "latent", module.in_features, 0
        if found and (found[0], found[2]) not in seen:
            seen.add((found[0], found[2]))
            yield found


def _told(net: nn.Module) -> int | tuple[int, ...] | None:
    """What a net's own configuration names: pixels along each axis, or its sizes."""
    for name in ("pretrained_cfg", "default_cfg"):
        config = getattr(net, name, None)
        if isinstance(config, Mapping) and config.get("input_size"):
            return tuple(config["input_size"])
    places = (net, getattr(net, "config", None), getattr(net, "patch_embed", None))
    for place, name in product(places, ("image_size", "img_size", "sample_size", "input_size")):
        value = getattr(place, name, None)
        if isinstance(value, int) and value > 1:
            return value
        if isinstance(value, list | tuple) and value and all(isinstance(v, int) for v in value):
            return tuple(value)
    return None


def _arguments(net: nn.Module) -> tuple[list[str], list[str], bool]:
    """The arguments that a net must be given, the times and classes that it may be, by name.

    Last, whether the first of them is taken by its name alone.
    """
    try:
        parameters = inspect.signature(net.forward).parameters.values()
    except (TypeError, ValueError):
        return ["x"], [], False
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    kinds = (*plain, inspect.Parameter.KEYWORD_ONLY)
    needed = [p for p in parameters if p.kind in kinds and p.default is p.empty]
    required = [p.name for p in needed]
    by_name = bool(needed) and needed[0].kind is inspect.Parameter.KEYWORD_ONLY
    asked = [p.name for p in parameters if p.name in TIMES + CLASSES and p.default is None]
    return required or ["x"], asked, by_name


def _companion(name: str, first: Tensor, net: nn.Module, generator: torch.Generator) -> Any:
    """A value for an argument besides the picture, by its name."""
    batch = len(first)
    config = getattr(net, "config", None)
    if name in TIMES:
        return torch.full((batch,), 1)
    if name in CLASSES:
        return torch.zeros(batch, dtype=torch.long)
    if name in ("encoder_hidden_states", "context"):
        width = getattr(config, "cross_attention_dim", None) or 768
        width = width if isinstance(width, int) else width[0]
        return torch.randn(batch, TOKENS, width, generator=generator)
    return first.clone()
