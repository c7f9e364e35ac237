"""Entry points of torch.hub: nets by architecture and operator, trained or not.

    net = torch.hub.load(repo, "fcn8s", upsample="bilinear_init", pretrained=True)

`repo` is this project on GitHub, or with `source="local"` the folder of a copy.
"""

import torch

dependencies = ["torch", "safetensors", "yaml"]


def fcn32s(
    upsample: object = "bilinear_init", pretrained: bool | str = False, **options: object
) -> torch.nn.Module:
    """FCN-32s: images (B, in_channels, H, W) -> class scores (B, num_classes, H, W).

    Args:
        upsample: an operator's name, such as "bilinear_init", or a factory.
        pretrained: the name of the data that a shipped checkpoint of this net and operator was
            trained on, such as "shapes"; True for "camvid", a generator's "mnist", or the only one.
        options: num_classes (an untrained net needs it), in_channels, and those of
            `upzoo.fcn.FCN`.
    """
    return _create("fcn32s", upsample, pretrained, stride=32, **options)


def fcn16s(
    upsample: object = "bilinear_init", pretrained: bool | str = False, **options: object
) -> torch.nn.Module:
    """FCN-16s; arguments as `fcn32s`."""
    return _create("fcn16s", upsample, pretrained, stride=16, **options)


def fcn8s(
    upsample: object = "bilinear_init", pretrained: bool | str = False, **options: object
) -> torch.nn.Module:
    """FCN-8s; arguments as `fcn32s`."""
    return _create("fcn8s", upsample, pretrained, stride=8, **options)


def unet(
    upsample: object = "bilinear_init", pretrained: bool | str = False, **options: object
) -> torch.nn.Module:
    """U-Net: images (B, in_channels, H, W) -> class scores (B, num_classes, H, W).

    Args:
        upsample: as `fcn32s`.
        pretrained: as `fcn32s`.
        options: num_classes (an untrained net needs it), in_channels, and those of
            `upzoo.unet.UNet`.
    """
    return _create("unet", upsample, pretrained, **options)


def dcgan(
    upsample: object = "transposed_conv", pretrained: bool | str = False, **options: object
) -> torch.nn.Module:
    """DCGAN: noise (B, latent) -> images (B, in_channels, *size) in [-1, 1].

    Args:
        upsample: as `fcn32s`.
        pretrained: as `fcn32s`; the shipped net is the generator alone.
        options: in_channels and size ((64, 64) in colour, for an untrained net), and those of
            `upzoo.dcgan.DCGAN`.
    """
    return _create("dcgan", upsample, pretrained, **options)


def deconvnet(
    upsample: object = "max_unpool", pretrained: bool | str = False, **options: object
) -> torch.nn.Module:
    """DeconvNet: images (B, in_channels, H, W) -> (B, num_classes, H, W), classes or an image.

    Args:
        upsample: as `fcn32s`.
        pretrained: as `fcn32s`.
        options: num_classes (an untrained net needs it), in_channels, and those of
            `upzoo.deconvnet.DeconvNet`.
    """
    return _create("deconvnet", upsample, pretrained, **options)


def segnet_basic(
    upsample: object = "max_unpool", pretrained: bool | str = False, **options: object
) -> torch.nn.Module:
    """SegNet-Basic: images (B, in_channels, H, W) -> class scores (B, num_classes, H, W).

    Args:
        upsample: as `fcn32s`.
        pretrained: as `fcn32s`.
        options: num_classes (an untrained net needs it), in_channels, and those of
            `upzoo.segnet.SegNetBasic`.
    """
    return _create("segnet_basic", upsample, pretrained, **options)


def espcn(
    upsample: object = "pixel_shuffle", pretrained: bool | str = False, **options: object
) -> torch.nn.Module:
    """ESPCN: images (B, in_channels, H, W) -> (B, in_channels, scale·H, scale·W).

    Args:
        upsample: as `fcn32s`.
        pretrained: as `fcn32s`.
        options: scale (an untrained net needs it), in_channels (1 by default: luma), and those of
            `upzoo.espcn.ESPCN`.
    """
    return _create("espcn", upsample, pretrained, **options)


def fsrcnn(
    upsample: object = "transposed_conv", pretrained: bool | str = False, **options: object
) -> torch.nn.Module:
    """FSRCNN: images (B, in_channels, H, W) -> (B, in_channels, scale·H, scale·W).

    Args:
        upsample: as `fcn32s`.
        pretrained: as `fcn32s`.
        options: scale (an untrained net needs it), in_channels (1 by default: luma), and those of
            `upzoo.fsrcnn.FSRCNN`.
    """
    return _create("fsrcnn", upsample, pretrained, **options)


def srresnet(
    upsample: object = "pixel_shuffle", pretrained: bool | str = False, **options: object
) -> torch.nn.Module:
    """SRResNet: images (B, in_channels, H, W) -> (B, in_channels, scale·H, scale·W).

    Args:
        upsample: as `fcn32s`.
        pretrained: as `fcn32s`.
        options: scale (an untrained net needs it), in_channels (1 by default: luma), and those of
            `upzoo.srresnet.SRResNet`.
    """
    return _create("srresnet", upsample, pretrained, **options)


def edsr(
    upsample: object = "pixel_shuffle", pretrained: bool | str = False, **options: object
) -> torch.nn.Module:
    """EDSR's baseline: images (B, in_channels, H, W) -> (B, in_channels, scale·H, scale·W).

    Args:
        upsample: as `fcn32s`.
        pretrained: as `fcn32s`.
        options: scale (an untrained net needs it), in_channels (1 by default: luma), and those of
            `upzoo.edsr.EDSR`.
    """
    return _create("edsr", upsample, pretrained, **options)


def _create(
    arch: str, upsample: object, pretrained: bool | str, **options: object
) -> torch.nn.Module:
    from upzoo import zoo

    return zoo.create(arch, upsample, pretrained, **options)
