"""Read a state dict, wherever a project has put it, and execute nothing."""

import argparse
import datetime
import re
import types
import warnings
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

#: Keys whose content is taken first, where several fit: averaged weights before the last ones.
FIRST = ("params_ema", "model_ema", "state_dict_ema", "ema", "generator", "netG", "G")
#: Dicts in a file are searched to this depth, and so many parts of a name may be a prefix.
DEPTH = 3


#: Where other libraries keep options and logs; none of them is imported.
OPTIONS = (
    *(f"omegaconf.{name}" for name in ("dictconfig.DictConfig", "listconfig.ListConfig")),
    *(f"omegaconf.base.{name}" for name in ("Metadata", "ContainerMetadata")),
    *(f"omegaconf.nodes.{kind}Node" for kind in ("Any", "Integer", "Float", "String", "Boolean")),
    *("typing.Any", "lightning.fabric.utilities.data.AttributeDict"),
    *("lightning_fabric.utilities.data.AttributeDict", "easydict.EasyDict", "addict.addict.Dict"),
    *("pytorch_lightning.utilities.parsing.AttributeDict", "yacs.config.CfgNode"),
    *("mmengine.config.config.ConfigDict", "mmengine.logging.history_buffer.HistoryBuffer"),
    *("collections.defaultdict", "mmcv.utils.config.ConfigDict"),
    *("fvcore.common.config.CfgNode", "munch.Munch"),
)


@dataclass(frozen=True)
class Part:
    """Tensors by name, found in a file.

    Attributes:
        place: where: keys of dicts in dicts, then what stood before every name.
        state: the tensors, without that prefix.
        left_out: names of the tensors beside them.
    """

    place: tuple[str, ...]
    state: dict[str, Tensor]
    left_out: tuple[str, ...] = ()


def read(path: str | Path) -> Any:
    """The content of a file of weights: `.safetensors`, or whatever torch.save wrote.

    Beside tensors and plain data it may hold what training scripts put there: numbers and arrays of
    NumPy, options in an `argparse.Namespace`, and paths.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, or a pickle of other objects; it names their type.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file of weights")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings(), torch.serialization.safe_globals(_plain_types()):
            warnings.simplefilter("ignore")  # torch's guesses at what a refused file is
            return torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file: {error}") from None
    except Exception as error:
        # Whatever is wrong (no checkpoint, truncated, objects in the pickle), it stays shut.
        raise ValueError(f"{path}: not a file of weights: {_reason(error)}") from None


def _plain_types() -> list[Any]:
    """What a pickle may hold beside tensors: none of these runs anything from the file."""
    numbers = [np.dtype(code) for code in "?bhilqBHILQefdgFDSU"]
    # NumPy 2 moved its functions: files have the old place or the new one.
    functions: list[Any] = [np.float64(0).__reduce__()[0], np.zeros(0).__reduce__()[0]]
    core = [
        (function, f"{module}.multiarray.{function.__name__}")
        for function in functions
        for module in ("numpy.core", "numpy._core")
    ]
    path = type(Path())
    paths = [(path, f"{module}.{path.__name__}") for module in ("pathlib", "pathlib._local")]
    plain: list[Any] = [argparse.Namespace, dict, list, set, np.ndarray, np.dtype]
    plain += [int, float, str, bool, types.SimpleNamespace, datetime.datetime, datetime.timedelta]
    options = [(Options, name) for name in OPTIONS]
    return [*plain, *paths, *core, *options, *{type(number) for number in numbers}]


class Options:
    """Stands in for what training scripts keep options and logs in: it makes plain dicts."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """An empty one; torch's reader fills these, and no other kind."""
        return OrderedDict()


def _reason(error: Exception) -> str:
    """Why torch.load refused a file, in a few words."""
    text = str(error)
    refused = re.search(r"(?:GLOBAL |but got <class ')([\w.]+)", text)
    if "TorchScript" in text:
        return "a TorchScript program, which holds code: save model.state_dict() instead"
    if refused:
        return (
            f"it holds {refused.group(1)}, which is no plain data and never executed: save "
            "model.state_dict() instead of the model"
        )
    return "damaged, or not written by torch.save: save model.state_dict()"


def parts(content: Any) -> list[Part]:
    """Every set of tensors in a file's content that may be a net: the likeliest first.

    Dicts in dicts are searched, and of names with a common beginning (`module.`, `netG.`) the rest
    is tried too. Entries that are no tensors, such as `mask_values`, are dropped.

    Raises:
        ValueError: if there is no tensor with a name.
    """
    if not isinstance(content, Mapping):
        raise ValueError(f"a {type(content).__name__}, not a dict of tensors")
    found = [part for part in _dicts(content, ()) if part.state]
    if not found:
        raise ValueError(f"no tensors, only {', '.join(map(str, [*content][:3])) or 'nothing'}")
    return [part for whole in found for part in _without_prefixes(whole)]


def _dicts(content: Mapping[Any, Any], place: tuple[str, ...]) -> Iterator[Part]:
    """The tensors of a dict, and of the dicts in it; an optimizer's are no net's."""
    yield Part(place, {str(k): v for k, v in content.items() if isinstance(v, Tensor)})
    inner = [k for k, v in content.items() if isinstance(v, Mapping) and "optim" not in str(k)]
    inner.sort(key=lambda k: FIRST.index(k) if k in FIRST else len(FIRST))
    for key in inner if len(place) < DEPTH else ():
        yield from _dicts(content[key], (*place, str(key)))


def _without_prefixes(part: Part, depth: int = 0) -> Iterator[Part]:
    """The part, and by the first word of its names those that share it, without that word."""
    yield part
    heads = Counter(name.partition(".")[0] for name in part.state if "." in name)
    order = sorted(heads, key=lambda head: FIRST.index(head) if head in FIRST else len(FIRST))
    for head in order if depth <= DEPTH else ():
        state = {
            name.removeprefix(f"{head}."): tensor
            for name, tensor in part.state.items()
            if name.startswith(f"{head}.")
        }
        others = (name for name in part.state if not name.startswith(f"{head}."))
        yield from _without_prefixes(
            Part((*part.place, f"{head}."), state, (*part.left_out, *others)), depth + 1
        )
