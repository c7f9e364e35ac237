"""Find the net that a user names on the command line, and an example to run it on."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

SIDE = 256  # pixels of an example, where the net does not say


def load_target(spec: str) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """Build the net that a user names, and an example to run it on.

    No weights are downloaded. An example that the net does not bring is noise with the spectrum of
    photographs, from a seed of its own.

    Args:
        spec: "torchvision:fcn_resnet50", "smp:Unet", "timm:resnet18"; "package.module:function",
            a function without arguments that returns a module, or a module and its example; a name
            of the zoo; or the path of a run, a model's folder or a .ckpt file.

    Returns:
        The net, and its inputs.

    Raises:
        ValueError: for a package, a name or a function that is not there, or that gives no module.
        FileNotFoundError: for a path where there is nothing.
    """
    source, _, name = spec.partition(":")
    if name and source in SOURCES:
        net = SOURCES[source](name)
        return net, default_example(net)
    if name and not Path(spec).exists():
        return _call(source, name)
    return _checkpoint(spec)


def default_example(net: nn.Module, size: Sequence[int] = (SIDE, SIDE)) -> tuple[Tensor, ...]:
    """An input for a net, by its first layer: a picture, or a latent code for a generator.

    Raises:
        ValueError: for a net whose first layer does not tell.
    """
    generator = torch.Generator().manual_seed(0)
    for layer in net.modules():
        if isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            ones = [1] * len(layer.kernel_size)
            return (torch.randn(4, layer.in_channels, *ones, generator=generator),)
        if isinstance(layer, nn.Linear):
            return (torch.randn(4, layer.in_features, generator=generator),)
        if isinstance(layer, nn.Conv2d):
            return (natural_noise(layer.in_channels, size, generator),)
    raise ValueError(
        f"{type(net).__name__}: no layer tells what input it takes: name a function that returns "
        "the module and an example"
    )


def natural_noise(channels: int, size: Sequence[int], generator: torch.Generator) -> Tensor:
    """(1, channels, h, w) noise with the 1/f amplitudes of photographs, mean ½, variance 1.

    A mean of zero would come out of most untrained nets as zero.
    """
    h, w = size
    radius = (torch.fft.fftfreq(h)[:, None] ** 2 + torch.fft.rfftfreq(w) ** 2).sqrt()
    radius[0, 0] = torch.inf  # no mean yet
    white = torch.randn(1, channels, h, w, generator=generator)
    noise = torch.fft.irfft2(torch.fft.rfft2(white) / radius, s=(h, w))
    return noise / noise.std() + 0.5


def _package(name: str, install: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.split(".")[0]:
            raise
        raise ValueError(f"{name} is not installed: pip install {install}") from None


def _closest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"did you mean {close[0]!r}?" if close else f"it has {len(known)} others"


def _torchvision(name: str) -> nn.Module:
    models = importlib.import_module("torchvision.models")
    known = models.list_models()
    if name not in known:
        raise ValueError(f"torchvision has no model {name!r}: {_closest(name, known)}")
    builder = models.get_model_builder(name)
    backbone = {"weights_backbone": None} if "weights_backbone" in _options(builder) else {}
    return builder(weights=None, **backbone)


def _options(builder: Any) -> list[str]:
    return list(inspect.signature(builder).parameters)


def _smp(name: str) -> nn.Module:
    smp = _package("segmentation_models_pytorch", "segmentation-models-pytorch")
    known = [n for n in dir(smp) if isinstance(getattr(smp, n), type)]
    if name not in known:
        raise ValueError(
            f"segmentation_models_pytorch has no model {name!r}: {_closest(name, known)}"
        )
    return getattr(smp, name)(encoder_weights=None)


def _timm(name: str) -> nn.Module:
    timm = _package("timm", "timm")
    known = timm.list_models()
    if name not in known:
        raise ValueError(f"timm has no model {name!r}: {_closest(name, known)}")
    return timm.create_model(name, pretrained=False)


SOURCES = {"torchvision": _torchvision, "smp": _smp, "timm": _timm}


def _call(path: str, name: str) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """The result of a user's function."""
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if not error.name or not path.startswith(error.name):
            raise  # something that their module needs
        raise ValueError(
            f"{path}:{name}: there is no module {error.name!r} to import from here"
        ) from None
    function = getattr(module, name, None)
    if not callable(function):
        raise ValueError(f"{path} has no function {name!r}: {_closest(name, dir(module))}")
    made = function()
    net, example = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(net, nn.Module):
        raise ValueError(
            f"{path}:{name} gave {type(made).__name__}: it must return a module, or a module and "
            "its example"
        )
    if example is None:
        return net, default_example(net)
    return net, (example,) if isinstance(example, Tensor) else tuple(example)


def _checkpoint(path: str) -> tuple[nn.Module, tuple[Tensor, ...]]:
    from upzoo import zoo

    if not Path(path).exists() and path not in zoo.entries():
        sources = ", ".join(f"{source}:NAME" for source in SOURCES)
        raise FileNotFoundError(
            f"{path}: neither a path, nor a name of the zoo, nor one of {sources}, "
            "package.module:function"
        )
    net, card = zoo.read(path)
    latent = getattr(net, "latent", None)
    if latent is not None:
        return net, (torch.randn(4, latent, generator=torch.Generator().manual_seed(0)),)
    size = card["model"].get("size") or (SIDE, SIDE)
    return net, default_example(net, size)
