"""Whole nets that are compared, ours first: each beside the same net of others.

Peers have our convolutions, one by one; MONAI and segmentation_models_pytorch come with
`pip install -e ".[peers]"`, and what is missing is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmarks import dcgan_example, devices
from benchmarks.devices import CPU
from benchmarks.peers import installed
from benchmarks.plain_unet import PlainUNet
from benchmarks.sides import Adversaries, Side
from upzoo.dcgan import DCGAN
from upzoo.dilated_fcn import DilatedFCN
from upzoo.unet import UNet
from upzoo.upsampling import OPERATORS

CLASSES = 11
#: Widths of the common U-Net of 31 million parameters.
COMMON = (64, 128, 256, 512, 1024)
#: Convolutions of the decoder of segmentation_models_pytorch's Unet, from fine to coarse.
SMP = [[16, 16], [32, 32], [64, 64], [128, 128], [256, 256]]

Make = Callable[[torch.dtype, torch.memory_format], Any]


def segmenters(
    shape: tuple[int, ...], device: torch.device, **nets: Callable[[], nn.Module]
) -> dict[str, Make]:
    """Sides from nets, by name; the first is ours."""
    image = torch.randn(devices.batch(shape, device), device=device)
    return {
        name.replace("_", " "): lambda dtype, layout, net=net: Side(net(), image, dtype, layout)
        for name, net in nets.items()
    }


def common_unet(
    shape: tuple[int, ...] = (1, 3, 176, 240), device: torch.device = CPU
) -> dict[str, Make]:
    """The 31 M-parameter U-Net."""
    transposed = partial(OPERATORS["transposed_conv"], kernel=2)
    nets: dict[str, Callable[[], nn.Module]] = {
        "ours": lambda: UNet(transposed, CLASSES, widths=COMMON),
        "plain_PyTorch": lambda: PlainUNet(COMMON, CLASSES),
    }
    if installed("monai"):
        nets["MONAI_BasicUNet"] = monai_unet
    return segmenters(shape, device, **nets)


def monai_unet() -> nn.Module:
    """MONAI's BasicUNet, its last step up as all others: it does not halve the channels there."""
    from monai.networks.nets.basic_unet import BasicUNet, UpCat

    last, options = COMMON[0], {"act": "relu", "norm": "batch", "upsample": "deconv"}
    net = BasicUNet(2, 3, CLASSES, features=(*COMMON, last), **options)
    net.upcat_1 = UpCat(2, COMMON[1], last, last, bias=True, dropout=0.0, **options)
    return net


def resnet_unet(
    shape: tuple[int, ...] = (2, 3, 192, 256), device: torch.device = CPU
) -> dict[str, Make]:
    """U-Net on a ResNet-34 as segmentation_models_pytorch builds it, with a 1×1 head on both."""
    nearest = partial(OPERATORS["interpolate"], mode="nearest")
    options: dict[str, Any] = {"backbone": "resnet34", "decoder_widths": SMP, "keep": True}
    nets: dict[str, Callable[[], nn.Module]] = {"ours": lambda: UNet(nearest, CLASSES, **options)}
    if installed("segmentation_models_pytorch"):
        import segmentation_models_pytorch as smp

        def peer() -> nn.Module:
            net = smp.Unet("resnet34", encoder_weights=None, classes=CLASSES)
            net.segmentation_head = smp.base.SegmentationHead(SMP[0][1], CLASSES, kernel_size=1)
            return net

        nets["smp_Unet"] = peer
    return segmenters(shape, device, **nets)


def dilated_fcn(
    shape: tuple[int, ...] = (1, 3, 192, 256), device: torch.device = CPU
) -> dict[str, Make]:
    """The fcn_resnet50 of torchvision without its auxiliary classifier."""
    from torchvision.models.segmentation import fcn_resnet50

    options: dict[str, Any] = {"weights": None, "weights_backbone": None, "num_classes": CLASSES}
    return segmenters(
        shape,
        device,
        ours=lambda: DilatedFCN(OPERATORS["interpolate"], CLASSES).train(),
        torchvision_fcn_resnet50=lambda: fcn_resnet50(**options),
    )


def dcgan(shape: tuple[int, ...] = (64, 3, 64, 64), device: torch.device = CPU) -> dict[str, Make]:
    """DCGAN 64×64 of width 64."""
    batch = torch.randn(devices.batch(shape, device), device=device)

    def ours(dtype: torch.dtype, layout: torch.memory_format) -> Adversaries:
        net = DCGAN(OPERATORS["transposed_conv"], 3, (64, 64))
        return Adversaries((net.generator, net.discriminator), batch, dtype, layout, skips=True)

    def example(dtype: torch.dtype, layout: torch.memory_format) -> Adversaries:
        made = nn.Sequential(nn.Unflatten(1, (-1, 1, 1)), dcgan_example.generator(3))
        nets = (made, dcgan_example.discriminator(3))
        return Adversaries(nets, batch, dtype, layout, skips=False)

    return {"ours": ours, "PyTorch's example": example}


#: Pads by replication, whose gradient torch 2.15 does not compile channels-last.
NOT_COMPILED = ("MONAI BasicUNet",)
#: Name -> the sides, what it is called in the table, whether it is compiled too, images in a batch.
COMPARISONS: Mapping[str, tuple[Callable[..., dict[str, Make]], str, bool, int]] = {
    "unet": (common_unet, "U-Net of 31 M", True, 1),
    "unet_resnet34": (resnet_unet, "U-Net on ResNet-34", False, 2),
    "dilated_fcn": (dilated_fcn, "FCN on ResNet-50", False, 1),
    "dcgan": (dcgan, "DCGAN 64×64", True, 64),
}
