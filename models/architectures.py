"""The nets by name: what there is, and nets from an architecture's and an operator's names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import nn

from upzoo.classifier import Classifier
from upzoo.closest import did_you_mean
from upzoo.dcgan import DCGAN, Discriminator, Generator
from upzoo.deconvnet import DeconvNet
from upzoo.dilated_fcn import DilatedFCN
from upzoo.edsr import EDSR
from upzoo.espcn import ESPCN
from upzoo.fcn import FCN
from upzoo.fsrcnn import FSRCNN
from upzoo.ported_unet import PortedUNet
from upzoo.segnet import SegNetBasic
from upzoo.srresnet import SRResNet
from upzoo.unet import UNet
from upzoo.upsampling import OPERATORS


class Architecture(NamedTuple):
    """A class, the operator that it takes where none is named, and options of its own."""

    cls: type[nn.Module]
    upsample: str
    options: Mapping[str, Any] = {}


#: Adding a model: one file, one line here, one YAML in `configs/model/`. Names are those that the
#: names of its checkpoints begin with.
ARCHITECTURES: dict[str, Architecture] = {
    "fcn32s": Architecture(FCN, "bilinear_init", {"stride": 32}),
    "fcn16s": Architecture(FCN, "bilinear_init", {"stride": 16}),
    "fcn8s": Architecture(FCN, "bilinear_init", {"stride": 8}),
    "dilated_fcn": Architecture(DilatedFCN, "bilinear_init"),
    "unet": Architecture(UNet, "bilinear_init"),
    "deconvnet": Architecture(DeconvNet, "max_unpool"),
    "segnet_basic": Architecture(SegNetBasic, "max_unpool"),
    "dcgan": Architecture(DCGAN, "transposed_conv", {"in_channels": 3, "size": [64, 64]}),
    "espcn": Architecture(ESPCN, "pixel_shuffle"),
    "fsrcnn": Architecture(FSRCNN, "transposed_conv"),
    "srresnet": Architecture(SRResNet, "pixel_shuffle"),
    "edsr": Architecture(EDSR, "pixel_shuffle"),
}
#: Nets that are not made by an architecture's name: without an operator, or half of a pair.
OTHERS = (Classifier, Generator, Discriminator, PortedUNet)


def target(cls: type[nn.Module]) -> str:
    """The name of a class in configs and model files, whatever the package is imported as.

    >>> target(FCN), target(OPERATORS["carafe"])
    ('models.fcn.FCN', 'models.upsampling.Carafe')
    """
    module = cls.__module__.replace("upzoo.", "models.", 1)
    if module.startswith("models.upsampling."):
        module = "models.upsampling"  # as the package exports them
    return f"{module}.{cls.__name__}"


#: Every class that a config may name.
BUILDABLE: dict[str, type[nn.Module]] = {
    target(cls): cls
    for cls in (*(a.cls for a in ARCHITECTURES.values()), *OTHERS, *OPERATORS.values())
}


def list_operators(*, switches: bool = True, guide: bool = True) -> list[str]:
    """Names of the upsampling operators.

    Args:
        switches: with those that need the switches of a max-pooling, too.
        guide: with those that need the encoder's feature at the enlarged size, too.

    >>> list_operators()[:3]
    ['transposed_conv', 'bilinear_init', 'resize_conv']
    >>> set(list_operators()) - set(list_operators(switches=False))
    {'max_unpool'}
    """
    return [
        name
        for name, cls in OPERATORS.items()
        if (switches or not cls.needs_switches) and (guide or not cls.needs_guide)
    ]


def list_architectures() -> list[str]:
    """Names of the architectures that `create` makes.

    >>> "unet" in list_architectures()
    True
    """
    return list(ARCHITECTURES)


def create(
    arch: str,
    upsample: str | Callable[..., nn.Module] | None = None,
    pretrained: bool | str = False,
    **options: Any,
) -> nn.Module:
    """A net by its architecture's and operator's names, in evaluation mode, trained or not.

    Args:
        arch: one of `list_architectures()`.
        upsample: one of `list_operators()`; for an untrained net also a factory (in_channels,
            out_channels, scale) -> module; None is the architecture's own.
        pretrained: the name of the data that a shipped checkpoint of this architecture and
            operator was trained on; True for "camvid", a generator's "mnist", or the only one.
        options: of the architecture's class; a trained net's must be its own.

    Raises:
        FileNotFoundError: the checkpoint is missing.
        ValueError: an unknown architecture, operator or option, a missing one, no such checkpoint,
            or several for True.

    >>> net = create("unet", "dysample", num_classes=3, width=4, depth=2)
    >>> type(net).__name__, net.training
    ('UNet', False)
    """
    from upzoo import checkpoint, zoo

    if arch not in ARCHITECTURES:
        hint = did_you_mean(arch, ARCHITECTURES)
        raise ValueError(f"arch={arch!r}: {hint}choose from {', '.join(ARCHITECTURES)}")
    cls, default, own = ARCHITECTURES[arch]
    upsample = default if upsample is None else upsample
    if pretrained is not False:
        return zoo.trained(arch, upsample, pretrained, options)
    spec = {"_target_": target(cls), "upsample": _operator(upsample), **own, **options}
    needed = [
        name
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.default is inspect.Parameter.empty and name not in spec
    ]
    if needed:
        raise ValueError(f"{arch} needs {', '.join(needed)}: give {needed[0]}=… as a keyword")
    return checkpoint.build(spec).eval()


def _operator(upsample: str | Callable[..., nn.Module]) -> Any:
    """The spec of an operator by its name; a factory is one already."""
    if callable(upsample):
        return upsample
    if upsample not in OPERATORS:
        hint = did_you_mean(upsample, OPERATORS)
        raise ValueError(f"upsample={upsample!r}: {hint}choose from {', '.join(OPERATORS)}")
    return {"_target_": target(OPERATORS[upsample]), "_partial_": True}
