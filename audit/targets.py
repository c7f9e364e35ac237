"""Find the net that a user names on the command line, with the weights that they want in it."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from upzoo.audit.words import error_line
from upzoo.closest import did_you_mean

SEED = 0  # of random weights
#: Nets as programs, by their suffix.
PROGRAMS = {".pt2": "exported program", ".ts": "TorchScript", ".torchscript": "TorchScript"}
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
    source, colon, name = spec.partition(":")
    pretrained = weights == DEFAULT
    if name and source in SOURCES:
        net = SOURCES[source](name, pretrained)
        return Target(net, None, "pretrained" if pretrained else "random")
    if pretrained:
        raise ValueError(f"weights=DEFAULT: {spec} ships none; give a file, or torchvision:NAME")
    if colon and not Path(spec).exists():
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
    if not path or not name or path.endswith(".py"):
        dotted = path.removesuffix(".py").replace("/", ".") or "package.module"
        raise ValueError(f"{path}:{name}: write {dotted}:{name or 'function'}")
    here = str(Path.cwd())
    if here not in sys.path[:1]:
        sys.path.insert(0, here)  # their folder comes first, whatever it shares with ours
    with _users_code(f"{path}:{name}", path):
        module = importlib.import_module(path)
    function = getattr(module, name, None)
    if isinstance(function, nn.Module):
        return Target(function, None, "the net's own")
    if function is None:
        raise ValueError(f"{path} has no function {name!r}: {_closest(name, dir(module))}")
    if not callable(function):
        raise ValueError(f"{path}:{name} is {type(function).__name__}, no function")
    needed = _needed(function)
    if needed:
        raise ValueError(
            f"{path}:{name} needs {', '.join(needed)}: name a function without arguments that "
            "returns the module"
        )
    with _users_code(f"{path}:{name}"):
        built = function()
    net, example = built if isinstance(built, tuple) and len(built) == 2 else (built, None)
    if not isinstance(net, nn.Module):
        raise ValueError(
            f"{path}:{name} gave {type(built).__name__}: it must return a module, or a module and "
            "its example"
        )
    return Target(net, example, "the net's own")


@contextlib.contextmanager
def _users_code(spec: str, module: str | None = None) -> Iterator[None]:
    """Turn whatever the user's own code raises into one line that says where.

    Args:
        spec: that they gave.
        module: that is being imported.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError):
            missing = error.name or ""
            if module is not None and f"{module}.".startswith(f"{missing}."):
                raise ValueError(
                    f"{spec}: there is no module {missing!r} to import from here"
                ) from None
        place = traceback.extract_tb(error.__traceback__)[-1]
        line = f"{Path(place.filename).name}, line {place.lineno}"
        if isinstance(error, SyntaxError) and error.filename is not None:
            line = f"{Path(error.filename).name}, line {error.lineno}"
        raise ValueError(f"{spec} raises {error_line(error)} ({line})") from error


def _needed(function: Callable[..., Any]) -> list[str]:
    """The arguments that a function must be given, by name."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # of a class that is built in
        return []
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in variable]


def _file(path: str) -> Target:
    from upzoo import zoo

    if not Path(path).exists() and path not in zoo.entries():
        sources = ", ".join(f"{source}:NAME" for source in SOURCES)
        hint = did_you_mean(path, zoo.entries())
        raise FileNotFoundError(
            f"{path}: {hint}neither a path, nor a name of the zoo, nor one of {sources}, "
            "package.module:function"
        )
    suffix = Path(path).suffix
    if suffix == ".py":
        module = ".".join(Path(path).with_suffix("").parts)
        raise ValueError(f"{path} is code: name the function in it, {module}:FUNCTION")
    if suffix in PROGRAMS:
        return Target(_program(path, suffix), None, "the net's own")
    net, card = zoo.read(path)
    latent = getattr(net, "latent", None)
    if latent is not None:
        code = torch.randn(4, latent, generator=torch.Generator().manual_seed(0))
        return Target(net, code, "trained here")
    size = card["model"].get("size")
    return Target(net, None if size is None else _noise(net, size), "trained here")


def _program(path: str, suffix: str) -> nn.Module:
    """An exported program, or TorchScript."""
    try:
        return torch.export.load(path).module() if suffix == ".pt2" else torch.jit.load(path)
    except Exception as error:
        raise ValueError(
            f"{path}: no {PROGRAMS[suffix]} that this torch can load: {error_line(error)}"
        ) from None


def _noise(net: nn.Module, size: Sequence[int]) -> Any:
    from upzoo.audit.examples import candidates

    return next(iter(candidates(net, list(size)))).args
