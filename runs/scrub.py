"""What a run says of its machine, in words that hold on any other."""

import inspect
import shlex
from collections.abc import Mapping
from typing import Any

from upzoo import zoo
from upzoo.backbones import files

#: Options of one machine's folders and processes.
LOCAL = ("logs", "ckpt", "data.num_workers")
#: Where the data lie, to train.py and to evaluate.py.
ROOTS = ("data.root", "root")


def data(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of data without the folder that they lay in, which is another one elsewhere."""
    import hydra

    parameter = inspect.signature(hydra.utils.get_class(options["_target_"])).parameters.get("root")
    if parameter is None:
        return dict(options)
    needed = parameter.default is inspect.Parameter.empty
    return {**options, "root": "???" if needed else None}  # ???: OmegaConf asks for it


def start(weights: str | None) -> str | None:
    """The weights that a run started from: a name of the zoo, RUN for a folder or file.

    >>> start(None), start("unet_bilinear_init.camvid"), start("/home/me/logs/seed0")
    (None, 'unet_bilinear_init.camvid', 'RUN')
    """
    return weights if weights in (None, "null") or weights in zoo.entries() else "RUN"


def backbone(weights: str | None) -> str | None:
    """The released weights of a backbone: a name, FILE for a file of them.

    >>> backbone("DEFAULT"), backbone("/home/me/resnet50.pth")
    ('DEFAULT', 'FILE')
    """
    return "FILE" if files.is_file(weights) else weights


#: Options of weights that may lie on one machine.
STARTS = {"init": start, "model.weights": backbone}


def config(options: Mapping[str, Any]) -> dict[str, Any]:
    """A run's options without the places of its data and of the weights that it started from."""
    found = dict(options)
    if "data" in found:
        found["data"] = data(found["data"])
    if "init" in found:
        found["init"] = start(found["init"])
    if "weights" in (found.get("model") or {}):
        found["model"] = {**found["model"], "weights": backbone(found["model"]["weights"])}
    return found


def command(text: str) -> str:
    """A run's command for anybody: without the folders of one machine."""
    kept = []
    for argument in shlex.split(text):
        key, _, value = argument.partition("=")
        if key in ROOTS:
            kept.append(f"{key}=PATH")
        elif key in STARTS:
            kept.append(f"{key}={STARTS[key](value)}")
        elif key not in LOCAL:
            kept.append(argument)
    return shlex.join(kept)
