"""FSRCNN, the fast super-resolution convolutional net (Dong, Loy and Tang 2016)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from upzoo.base import Net
from upzoo.bicubic import enlarge
from upzoo.fitting import check_head, check_sizes, initialise, refuse_needs


class FSRCNN(Net):
    """Features, shrunk, mapped and expanded again at low resolution; the operator comes last.

    FSRCNN(d, s, m) of the paper: a 5×5 convolution to d channels, 1×1 to s, m of 3×3, 1×1 back to
    d, each with a PReLU, then a 9×9 deconvolution to the image: 12,464 weights at (56, 12, 4) with
    `upsample=transposed_conv upsample.kernel=9`. Any other operator also goes from the features to
    the image's channels at once, one without a convolution of its own by a 1×1 projection. With
    `head`, every operator keeps the d channels, and one convolution at full size, alike for all,
    makes the image.

    Args:
        upsample: builds an operator from (in_channels, out_channels, scale).
        scale: integer enlargement.
        in_channels: channels of the low and of the large image.
        width: channels of the features, the paper's d.
        shrink: channels that they are mapped in, the paper's s.
        depth: 3×3 convolutions of the mapping, the paper's m.
        head: odd kernel of a convolution at full size behind the operator; None for none.
        gain: factor of what is added to the bias; 0.1 lets the last layer start small and learn at a
            tenth of the rate, as FSRCNN's paper trains its deconvolution.
        skip: add the image as bicubic interpolation enlarges it, so that the net learns the rest.

    Raises:
        ValueError: for an option out of range, or an operator that needs an encoder.
    """

    label = "fsrcnn"
    makes = "images"

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
        super().__init__()
        check_sizes(scale=scale, in_channels=in_channels, width=width, shrink=shrink, depth=depth)
        check_head(head)
        refuse_needs(
            upsample, "FSRCNN", no_switches="it has no pooling", no_guide="it has no skips"
        )
        self.scale = scale
        self.gain = gain
        self.skip = skip
        layers = [*_convolution(in_channels, width, 5), *_convolution(width, shrink, 1)]
        for _ in range(depth):
            layers += _convolution(shrink, shrink, 3)
        self.body = nn.Sequential(*layers, *_convolution(shrink, width, 1))
        self.head = nn.Conv2d(width, in_channels, head, padding=head // 2) if head else None
        initialise(self)
        self.bias = nn.Parameter(torch.zeros(in_channels, 1, 1)) if head is None else None
        # The operator comes last: with one seed, all else starts alike whatever it draws.
        self.upsamples = nn.ModuleList([upsample(width, width if head else in_channels, scale)])

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, in_channels, scale·H, scale·W)."""
        y = self.upsamples[0](self.body(x))
        y = self.gain * (y if self.head is None else self.head(y))
        if self.bias is not None:
            y = y + self.bias
        return y + enlarge(x, self.scale) if self.skip else y


def _convolution(before: int, after: int, kernel: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, kernel, padding=kernel // 2), nn.PReLU(after)]
