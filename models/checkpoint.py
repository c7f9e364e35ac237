"""Build nets from plain configs, write model files that carry their config, read them back.

A model file is a folder with `model.safetensors` (weights) and `config.json` (everything needed to
use them); in older ones it is a `config.yaml`. Reading one builds only classes of this package and
executes nothing from the file.
"""

import functools
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from upzoo import metadata
from upzoo.architectures import BUILDABLE
from upzoo.atomic import whole
from upzoo.closest import did_you_mean
from upzoo.memory import WithinMemory

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
#: What model files had until 0.1; reading it needs PyYAML.
OLD_CONFIG = "config.yaml"
#: Where a Lightning checkpoint of ours keeps what `config.json` holds in a model file.
CARD_KEY = "card"


def build(spec: Mapping[str, Any]) -> Any:
    """Build what a plain config describes: `_target_` names a class, other keys are its options.

    Nested specs are built first; with `_partial_` the result is a factory, not a module.

    Raises:
        ValueError: for a class that is not ours, an option that it does not have, or a net that
            the memory cannot hold.

    >>> build({"_target_": "models.upsampling.Interpolate", "in_channels": 3, "out_channels": 3})
    Interpolate(
      3, 3, scale=2, mode=bilinear
      (project): Identity()
    )
    """
    target = spec.get("_target_")
    if not isinstance(target, str) or target not in BUILDABLE:
        raise ValueError(f"_target_={target!r} is not one of {sorted(BUILDABLE)}")
    cls = BUILDABLE[target]
    options = {k: v for k, v in spec.items() if k not in ("_target_", "_partial_", "_convert_")}
    known = list(inspect.signature(cls).parameters)
    for key in options:
        if key not in known:
            hint = did_you_mean(key, known) or f"it has {known}"
            raise ValueError(f"{cls.__name__} has no option {key!r}: {hint.rstrip()}")
    built = {
        k: build(v) if isinstance(v, Mapping) and "_target_" in v else v for k, v in options.items()
    }
    if spec.get("_partial_"):
        return functools.partial(cls, **built)
    with WithinMemory():
        return cls(**built)


def save(folder: str | Path, net: nn.Module, card: Mapping[str, Any]) -> Path:
    """Write a model file, whole or not at all.

    Args:
        folder: the model file to make; it replaces one of the same name.
        net: the net whose weights to write, in their own precision.
        card: plain data for `config.json`; `card["model"]` is the spec that `build` takes.

    Returns:
        The folder.
    """
    with whole(folder) as beside:
        beside.mkdir()
        write(beside, net, card)
    return Path(folder)


def write(folder: Path, net: nn.Module, card: Mapping[str, Any]) -> None:
    """Write the two files of a model file into a folder; arguments as `save`."""
    weights = {name: tensor.contiguous() for name, tensor in net.state_dict().items()}
    (folder / WEIGHTS).write_bytes(to_bytes(weights))
    text = json.dumps(dict(card), indent=2, ensure_ascii=False) + "\n"
    (folder / CONFIG).write_text(text, encoding="utf-8")


def load(path: str | Path, *, verified: bool = False) -> tuple[nn.Module, dict[str, Any]]:
    """Rebuild a net, in evaluation mode, from a model file or a training checkpoint.

    Args:
        path: a folder with a model file, a run's folder, or a `.ckpt` of a training run. Nothing in
            it is ever unpickled into more than tensors and plain data.
        verified: its checksum is known to be right. The sizes that other files ask for are compared
            with those of their weights before any memory is taken, for which torch imports its
            compiler, a second.

    Returns:
        The net and its card: the config it was trained with, classes, normalisation, scores.

    Raises:
        FileNotFoundError: if there is nothing at `path`.
        ValueError: if it is no model of ours, is damaged, or does not fit its own config.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such checkpoint")
    if path.is_dir():
        state, card = _read_folder(path)
    else:
        state, card = _read_lightning(path)
    net = build(card["model"]) if verified else _rebuilt(card["model"], state, path)
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{path}: {_unfit(error)}") from None
    return net.eval(), card


def _rebuilt(spec: Mapping[str, Any], state: Mapping[str, Tensor], path: Path) -> nn.Module:
    """The net of a file; its sizes are compared with the weights' before memory is taken."""
    try:
        with torch.device("meta"), _Unfilled():
            outline = build(spec)
        _compare_sizes(outline, state)
        return build(spec)
    except UnfitError as error:
        raise ValueError(f"{path}: {_unfit(error)}") from None
    except Exception as error:  # whatever nonsense the options are
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: the stored model cannot be built: {reason}") from None


class _Unfilled(TorchFunctionMode):
    """Leaves random fillings out; on the meta device they would import torch's compiler."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        of_init = getattr(func, "__module__", None) == nn.init.__name__
        if of_init or func in (Tensor.normal_, Tensor.uniform_):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


class UnfitError(RuntimeError):
    """Weights that are not those of a net."""


def _compare_sizes(outline: Any, state: Mapping[str, Tensor]) -> None:
    """Refuse weights that are far from those of a net that was built without memory."""
    if not isinstance(outline, nn.Module):
        raise UnfitError(f"it describes a {type(outline).__name__}, not a net")
    for name, tensor in outline.state_dict().items():
        if name not in state:
            raise UnfitError(f"{name} is missing")
        if state[name].shape != tensor.shape:
            theirs, ours = tuple(state[name].shape), tuple(tensor.shape)
            raise UnfitError(f"{name} is {theirs}, the config says {ours}")


def _unfit(error: Exception) -> str:
    return f"the weights do not fit the stored config: {' '.join(str(error).split())}"


def _read_folder(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if not (path / WEIGHTS).exists() and (path / "model" / WEIGHTS).exists():
        path = path / "model"  # a run's folder
    if not (path / WEIGHTS).exists():
        raise ValueError(f"{path}: no model file here, {WEIGHTS} is missing")
    card = read_config(path)
    try:
        return load_file(path / WEIGHTS), card
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path / WEIGHTS}: not a safetensors file: {error}") from None


def read_config(folder: str | Path) -> dict[str, Any]:
    """The metadata of a model file, without its weights.

    Raises:
        ValueError: there is none, or it is damaged.
    """
    path = Path(folder) / CONFIG
    if path.exists():
        try:
            card = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError, OSError):
            raise ValueError(f"{path}: not a JSON file") from None
    else:
        path = path.with_name(OLD_CONFIG)
        if not path.exists():
            raise ValueError(f"{path.parent}: no model file here, {CONFIG} is missing")
        card = _read_yaml(path)
    return _checked(card, path)


def _checked(card: Any, path: Path) -> dict[str, Any]:
    try:
        return metadata.check(card)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _read_yaml(path: Path) -> Any:
    try:
        import yaml
    except ModuleNotFoundError:
        raise ValueError(f"{path}: an old model file, which needs pip install pyyaml") from None
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError, OSError):
        raise ValueError(f"{path}: not a YAML file") from None


def _read_lightning(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:
        # Whatever is wrong (no checkpoint, truncated, objects in the pickle), it stays shut.
        raise ValueError(
            f"{path}: not a checkpoint of weights and plain data (damaged, or a pickle of other "
            "objects, which is never executed)"
        ) from None
    card = content.get(CARD_KEY) if isinstance(content, dict) else None
    if not isinstance(card, dict) or not isinstance(content.get("state_dict"), dict):
        raise ValueError(f"{path}: not a checkpoint of UpZoo, it carries no model config")
    prefix = "net."
    state = {
        name.removeprefix(prefix): tensor
        for name, tensor in content["state_dict"].items()
        if str(name).startswith(prefix) and isinstance(tensor, Tensor)
    }
    return state, _checked(card, path)
