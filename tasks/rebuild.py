"""Data and task of a trained net, put together again from what its checkpoint carries."""

from collections.abc import Mapping
from typing import Any

import hydra
import lightning.pytorch as pl
from omegaconf import DictConfig, OmegaConf
from torch import nn


def rebuild(
    metadata: Mapping[str, Any],
    net: nn.Module,
    *,
    root: str | None = None,
    other: DictConfig | None = None,
) -> tuple[pl.LightningModule, Any]:
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
    options = stored_config(metadata).task
    if "class_weights" in options:
        options.class_weights = None  # of the loss alone: no need to count pixels
    return hydra.utils.instantiate(options, _recursive_=False, net=net, data=data).eval(), data


def rebuild_data(
    metadata: Mapping[str, Any], *, root: str | None = None, other: DictConfig | None = None
) -> Any:
    """The data that a net was trained on, or other data; arguments and errors as `rebuild`."""
    options = stored_config(metadata).data
    if root is not None:
        options.root = root
    return hydra.utils.instantiate(other or options)


def stored_config(metadata: Mapping[str, Any]) -> DictConfig:
    """The config that a net was trained with.

    Raises:
        ValueError: a net that was not trained here.
    """
    if "config" not in metadata:
        raise ValueError(
            "this net was not trained here and its file says of no data to score it on: "
            "give input=IMAGE to apply it"
        )
    return OmegaConf.create(metadata["config"])
