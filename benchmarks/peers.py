"""Upsampling blocks of other libraries, each beside ours that computes the same or comes nearest.

`pip install -e ".[peers]"` brings MONAI and segmentation_models_pytorch; what is not installed is
left out.
"""

import importlib.util
from collections.abc import Iterator

from torch import Tensor, nn

from upzoo.upsampling import OPERATORS


def installed(library: str) -> bool:
    """Whether `library` can be imported; says so in a line where it cannot."""
    found = importlib.util.find_spec(library) is not None
    if not found:
        print(f"{library} is not installed: left out (the extra `peers` brings it)")
    return found


def pairs(in_channels: int, out_channels: int) -> Iterator[tuple[str, str, nn.Module, nn.Module]]:
    """The peer's name, ours, and the two modules, all for scale 2; no biases where they can go."""
    if installed("monai"):
        yield from monai_pairs(in_channels, out_channels)
    if installed("segmentation_models_pytorch"):
        yield from smp_pairs(in_channels, out_channels)


def monai_pairs(
    in_channels: int, out_channels: int
) -> Iterator[tuple[str, str, nn.Module, nn.Module]]:
    """The modes of MONAI's `UpSample`."""
    from monai.networks.blocks import UpSample

    def peer(mode: str, made: int = out_channels, **options: object) -> nn.Module:
        return UpSample(2, in_channels, made, 2, mode=mode, bias=False, **options)

    def ours(name: str, **options: object) -> nn.Module:
        return OPERATORS[name](in_channels, out_channels, 2, **options)

    flat = {"interp_mode": "nearest", "align_corners": None}
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
    yield (
        "MONAI UpSample, deconv",
        "transposed_conv kernel=2",
        peer("deconv"),
        ours("transposed_conv", kernel=2),
    )
    if in_channels == out_channels:
        yield (
            "MONAI UpSample, deconvgroup (kernel 2)",
            "bilinear_init trainable=true (kernel 4)",
            peer("deconvgroup"),
            ours("bilinear_init", trainable=True),
        )
    yield (
        "MONAI UpSample, nontrainable, bilinear",
        "interpolate",
        peer("nontrainable", interp_mode="bilinear", align_corners=False),
        ours("interpolate"),
    )
    yield (
        "MONAI UpSample, nontrainable, nearest, then 3×3",
        "resize_conv",
        peer("nontrainable", in_channels, **flat, post_conv=conv),
        ours("resize_conv"),
    )
    yield (
        "MONAI UpSample, pixelshuffle",
        "pixel_shuffle",
        peer("pixelshuffle", apply_pad_pool=False),
        ours("pixel_shuffle"),
    )


def smp_pairs(
    in_channels: int, out_channels: int
) -> Iterator[tuple[str, str, nn.Module, nn.Module]]:
    """Decoder blocks of segmentation_models_pytorch, without a skip connection."""
    from segmentation_models_pytorch.decoders.linknet.decoder import TransposeX2
    from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoderBlock

    def tail() -> list[nn.Module]:
        return [nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]

    yield (
        "smp UnetDecoderBlock",
        "resize_conv, BN, ReLU, 3×3, BN, ReLU",
        Doubled(UnetDecoderBlock(in_channels, 0, out_channels)),
        nn.Sequential(
            OPERATORS["resize_conv"](in_channels, out_channels, 2),
            *tail(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            *tail(),
        ),
    )
    yield (
        "smp TransposeX2 (Linknet)",
        "transposed_conv, BN, ReLU",
        TransposeX2(in_channels, out_channels),
        nn.Sequential(OPERATORS["transposed_conv"](in_channels, out_channels, 2), *tail()),
    )


class Doubled(nn.Module):
    """A block that wants to be told the size of its output, told twice the input's."""

    def __init__(self, block: nn.Module):
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, out, 2·H, 2·W)."""
        return self.block(x, 2 * x.shape[-2], 2 * x.shape[-1])
