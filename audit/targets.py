"""Find the net that a user names on the command line, with the weights that they want in it."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from upzoo.closest import did_you_mean

SEED = 0  # of random weights
DEFAULT = "DEFAULT"  # the weights that a package ships


class Target(NamedTuple):
    """A net that was named.

    Attributes:
        net: the module.
        example: its input, where its function gave one; else None.
        weights: "random", "pretrained", or the net's own.
    """

    net: nn.Module
    example: Any
    weights: str


def load_target(spec: str, weights: str | None = None) -> Target:
    """Build the net that a user names, from a seed of its own.

    Nothing is downloaded unless `weights` asks for it.

    Args:
        spec: "torchvision:fcn_resnet50", "smp:Unet", "timm:resnet18"; "package.module:function",
            a function or class without arguments that gives a module, or a module and its example;
            a name of the zoo; or the path of a run, a model's folder, a .ckpt, a TorchScript or an
            exported program.
        weights: "DEFAULT" for those that torchvision, timm or smp ship; a file is for `audit`.

    Raises:
        ValueError: for a package, a name or a function that is not there, or that gives no module.
        FileNotFoundError: for a path where there is nothing.
    """
    torch.manual_seed(SEED)
    source, _, name = spec.partition(":")
    pretrained = weights == DEFAULT
    if name and source in SOURCES:
        net = SOURCES[source](name, pretrained)
        return Target(net, None, "pretrained" if pretrained else "random")
    if pretrained:
        raise ValueError(f"weights=DEFAULT: {spec} ships none; give a file, or torchvision:NAME")
    if name and not Path(spec).exists():
        return _call(source, name)
    return _file(spec)


def _package(name: str, install: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.split(".")[0]:
            raise
        raise ValueError(f"{name} is not installed: pip install {install}") from None


def _closest(name: str, known: Sequence[str]) -> str:
    return did_you_mean(name, known).strip() or f"it has {len(known)} others"


def _torchvision(name: str, pretrained: bool) -> nn.Module:
    models = importlib.import_module("torchvision.models")
    known = models.list_models()
    if name not in known:
        raise ValueError(f"torchvision has no model {name!r}: {_closest(name, known)}")
    if pretrained:
        return models.get_model(name, weights=DEFAULT)
    builder = models.get_model_builder(name)
    options = inspect.signature(builder).parameters
    backbone = {"weights_backbone": None} if "weights_backbone" in options else {}
    return builder(weights=None, **backbone)


def _smp(name: str, pretrained: bool) -> nn.Module:
    smp = _package("segmentation_models_pytorch", "segmentation-models-pytorch")
    known = [n for n in dir(smp) if isinstance(getattr(smp, n), type)]
    if name not in known:
        raise ValueError(
            f"segmentation_models_pytorch has no model {name!r}: {_closest(name, known)}"
        )
    return getattr(smp, name)(encoder_weights="imagenet" if pretrained else None)


def _timm(name: str, pretrained: bool) -> nn.Module:
    timm = _package("timm", "timm")
    known = timm.list_models()
    if name.split(".")[0] not in known:
        raise ValueError(f"timm has no model {name!r}: {_closest(name, known)}")
    return timm.create_model(name, pretrained=pretrained)


SOURCES = {"torchvision": _torchvision, "smp": _smp, "timm": _timm}


def _call(path: str, name: str) -> Target:
    """The result of a user's function, or the net itself where they name one."""
    here = str(Path.cwd())
    if here not in sys.path[:1]:
        sys.path.insert(0, here)  # their folder comes first, whatever it shares with ours
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        if not error.name or not path.startswith(error.name):
            raise  # something that their module needs
        raise ValueError(
            f"{path}:{name}: there is no module {error.name!r} to import from here"
        ) from None
    function = getattr(module, name, None)
    if isinstance(function, nn.Module):
        return Target(function, None, "the net's own")
    if not callable(function):
        raise ValueError(f"{path} has no function {name!r}: {_closest(name, dir(module))}")
    needed = [
        p.name
        for p in inspect.signature(function).parameters.values()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if needed:
        raise ValueError(
            f"{path}:{name} needs {', '.join(needed)}: name a function without arguments that "
            "returns the module"
        )
    built = function()
    net, example = built if isinstance(built, tuple) and len(built) == 2 else (built, None)
    if not isinstance(net, nn.Module):
        raise ValueError(
            f"{path}:{name} gave {type(built).__name__}: it must return a module, or a module and "
            "its example"
        )
    return Target(net, example, "the net's own")


def _file(path: str) -> Target:
    from upzoo import zoo

    if not Path(path).exists() and path not in zoo.entries():
        sources = ", ".join(f"{source}:NAME" for source in SOURCES)
        raise FileNotFoundError(
            f"{path}: neither a path, nor a name of the zoo, nor one of {sources}, "
            "package.module:function"
        )
    if Path(path).suffix == ".pt2":
        return Target(torch.export.load(path).module(), None, "the net's own")
    if Path(path).suffix in (".ts", ".torchscript"):
        return Target(torch.jit.load(path), None, "the net's own")
    net, card = zoo.read(path)
    latent = getattr(net, "latent", None)
    if latent is not None:
        code = torch.randn(4, latent, generator=torch.Generator().manual_seed(0))
        return Target(net, code, "trained here")
    size = card["model"].get("size")
    return Target(net, None if size is None else _noise(net, size), "trained here")


def _noise(net: nn.Module, size: Sequence[int]) -> Any:
    from upzoo.audit.examples import candidates

    return next(iter(candidates(net, list(size)))).args
