"""FSRCNN, the fast super-resolution convolutional net (Dong, Loy and Tang 2016)."""

from collections.abc import Callable

from torch import nn

from upzoo.super_resolver import OperatorLast


class FSRCNN(OperatorLast):
    """Features, shrunk, mapped and expanded again at low resolution; the operator comes last.

    FSRCNN(d, s, m) of the paper: a 5×5 convolution to d channels, 1×1 to s, m of 3×3, 1×1 back to
    d, each with a PReLU, then a 9×9 deconvolution to the image: 12,464 weights at (56, 12, 4) with
    `upsample=transposed_conv upsample.kernel=9`. Any other operator also goes from the features to
    the image's channels at once, one without a convolution of its own by a 1×1 projection. With
    `head`, every operator keeps the d channels, and one convolution at full size, alike for all,
    makes the image.

    Args:
        upsample, scale, in_channels, head, gain, skip: see `OperatorLast`.
        width: channels of the features, the paper's d.
        shrink: channels that they are mapped in, the paper's s.
        depth: 3×3 convolutions of the mapping, the paper's m.
    """

    label = "fsrcnn"

    def __init__(
        self,
        upsample: Callable[[int, int, int], nn.Module],
        scale: int,
        in_channels: int = 1,
        width: int = 56,
        shrink: int = 12,
        depth: int = 4,
        head: int | None = None,
        gain: float = 1.0,
        skip: bool = False,
    ):
        super().__init__(
            upsample, scale, in_channels, skip, width=width, shrink=shrink, depth=depth
        )
        layers = [*_convolution(in_channels, width, 5), *_convolution(width, shrink, 1)]
        for _ in range(depth):
            layers += _convolution(shrink, shrink, 3)
        self.body = nn.Sequential(*layers, *_convolution(shrink, width, 1))
        self.end(upsample, width, in_channels, head, gain)


def _convolution(before: int, after: int, kernel: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, kernel, padding=kernel // 2), nn.PReLU(after)]
