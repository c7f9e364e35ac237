"""The encoders, by the names that configs use."""

from collections.abc import Callable
from functools import partial
from typing import Any

from upzoo.backbones.base import Backbone, unknown
from upzoo.backbones.compact import Compact
from upzoo.backbones.files import is_file, load_file
from upzoo.backbones.plain import Plain
from upzoo.backbones.resnet import ResNet
from upzoo.backbones.timm import Timm
from upzoo.backbones.vgg import VGG16

#: Adding a backbone: one class, one line here.
BACKBONES: dict[str, Callable[..., Backbone]] = {
    "plain": Plain,
    "compact": Compact,
    "vgg16": VGG16,
    "resnet18": partial(ResNet, depth=18),
    "resnet34": partial(ResNet, depth=34),
    "resnet50": partial(ResNet, depth=50),
    "resnet101": partial(ResNet, depth=101),
}


def build_backbone(
    name: str,
    in_channels: int = 3,
    weights: str | None = None,
    width: int | None = None,
    **options: Any,
) -> Backbone:
    """The backbone of this name: a key of `BACKBONES`, or "timm/<name>".

    Args:
        name: of the backbone.
        in_channels: channels of the image.
        weights: a name of released weights, or a file of them on disk: the backbone's own names,
            torchvision's or timm's; of a whole net the encoder is taken. None starts at random.
        width: base number of channels, where the backbone has one.
        options: of the backbone.

    Raises:
        FileNotFoundError: for a file of weights that is not there.
        ValueError: for an unknown name, and for what the backbone itself refuses.
    """
    if is_file(weights):
        backbone = build_backbone(name, in_channels, None, width, **options)
        load_file(backbone, name, str(weights))
        return backbone
    if name.startswith("timm/"):
        return Timm(in_channels, weights, width, name=name.removeprefix("timm/"), **options)
    if name not in BACKBONES:
        raise unknown(f"backbone={name!r}", name, [*BACKBONES, "timm/<name>"])
    return BACKBONES[name](in_channels, weights, width, **options)


__all__ = ["BACKBONES", "VGG16", "Backbone", "Compact", "Plain", "ResNet", "Timm", "build_backbone"]
