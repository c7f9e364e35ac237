"""Data and task of a trained net, put together again from what its checkpoint carries.

A checkpoint may be anybody's: of what its config names, only classes that `configs/` has are built,
nothing is fetched, and what looks like an interpolation is text.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import hydra
import yaml
from omegaconf import DictConfig
from torch import nn

from runs.console import ROOT
from runs.types import check_plain
from tasks.base import Task


def rebuild(
    metadata: Mapping[str, Any],
    net: nn.Module,
    *,
    root: str | None = None,
    other: DictConfig | None = None,
) -> tuple[Task, Any]:
    """A task ready to be scored, in evaluation mode, and its data.

    Args:
        metadata: of the net, as `upzoo.checkpoint.load` gives it.
        net: the net.
        root: folder of its data, where it is another one now.
        other: config of other data to score it on.

    Raises:
        ValueError: a net that was not trained here, or data with other classes than its own.
    """
    data = rebuild_data(metadata, root=root, other=other)
    classes, own = data.classes, metadata.get("classes")
    if own is not None and len(classes) != len(own):
        raise ValueError(
            f"the net tells {len(own)} classes apart, {data.name} has {len(classes)}: choose data "
            "with the same classes"
        )
    options = _options(metadata, "task")
    if "class_weights" in options:
        options["class_weights"] = None  # of the loss alone: no need to count pixels
    return build("task", options, net=net, data=data).eval(), data


def rebuild_data(
    metadata: Mapping[str, Any], *, root: str | None = None, other: DictConfig | None = None
) -> Any:
    """The data that a net was trained on, or other data; arguments and errors as `rebuild`."""
    if other is not None:
        return hydra.utils.instantiate(other)
    options = _options(metadata, "data")
    if "download" in options:
        options["download"] = False
    options.pop("url", None)
    if "cache" in options:
        options["cache"] = False  # each image is read once
    if root is not None:
        options["root"] = root
    return build("data", options)


def _options(metadata: Mapping[str, Any], group: str) -> dict[str, Any]:
    options = stored_config(metadata)[group]
    if not isinstance(options, Mapping):
        raise ValueError(f"the file's {group} is {options!r}, not a group of options")
    return dict(options)


def build(group: str, spec: Mapping[str, Any], **more: Any) -> Any:
    """What a node of a stored config describes, if it is of a class that `configs/` has.

    Args:
        group: "data" or "task".
        spec: the node: `_target_`, and the options of that class.
        more: further arguments of it.

    Raises:
        ValueError: another class, or an option that it does not have.
    """
    target = spec.get("_target_") if isinstance(spec, Mapping) else spec
    if not isinstance(target, str) or target not in targets(group):
        raise ValueError(
            f"the file's {group} is {target!r}, which is not built from a file: it may be "
            f"{', '.join(targets(group))}"
        )
    options = {k: v for k, v in spec.items() if not str(k).startswith("_")}
    cls = hydra.utils.get_class(target)
    check_plain(options, cls, f"the file's {group}")
    try:
        return cls(**options, **more)
    except (TypeError, LookupError, ArithmeticError, AttributeError) as error:
        raise ValueError(f"the file's {group} cannot be built: {error}") from None


@lru_cache
def targets(group: str) -> tuple[str, ...]:
    """The classes that the configs of a group name.

    >>> "data.shapes.Shapes" in targets("data")
    True
    """
    nodes = (yaml.safe_load(path.read_text()) for path in (ROOT / "configs" / group).glob("*.yaml"))
    return tuple(sorted({node["_target_"] for node in nodes}))


def stored_config(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config that a net was trained with, as plain data.

    Raises:
        ValueError: a net that was not trained here.
    """
    config = metadata.get("config")
    if not isinstance(config, Mapping) or not {"data", "task"} <= config.keys():
        raise ValueError(
            "this net was not trained here and its file says of no data to score it on: "
            "give input=IMAGE to apply it"
        )
    return config
