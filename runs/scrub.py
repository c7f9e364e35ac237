"""What a run says of its machine, in words that hold on any other."""

import inspect
import shlex
from collections.abc import Mapping
from typing import Any

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


def command(text: str) -> str:
    """A run's command for anybody: without the folders of one machine."""
    kept = []
    for argument in shlex.split(text):
        key = argument.partition("=")[0]
        if key in ROOTS:
            kept.append(f"{key}=PATH")
        elif key not in LOCAL:
            kept.append(argument)
    return shlex.join(kept)
