"""ESPCN, the efficient sub-pixel convolutional net (Shi et al. 2016)."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from upzoo.base import Net
from upzoo.bicubic import enlarge
from upzoo.counts import check_counts
from upzoo.fitting import check_head, check_sizes, initialise, refuse_needs

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}


class ESPCN(Net):
    """Convolutions at low resolution, 5×5 and 3×3, then the operator makes the large image.

    By default the operator goes from the features to the image's channels at once, as in the
    paper: with `pixel_shuffle`, whose kernel is 3×3, the net has the paper's three layers, 22,624
    weights at ×3 on one channel. An operator without a convolution of its own projects by 1×1.
    With `head`, every operator keeps the features' channels, and one convolution at full size,
    alike for all, makes the image.

    Args:
        upsample: builds an operator from (in_channels, out_channels, scale).
        scale: integer enlargement.
        in_channels: channels of the low and of the large image.
        widths: channels of the convolutions; the first is 5×5, the others are 3×3.
        activation: "tanh", the paper's, or "relu".
        head: odd kernel of a convolution at full size behind the operator; None for none.
        gain: factor of what is added to the bias; 0.1 lets the last layer start small and learn at a
            tenth of the rate, as FSRCNN's paper trains its deconvolution.
        skip: add the image as bicubic interpolation enlarges it, so that the net learns the rest.

    Raises:
        ValueError: for an option out of range, or an operator that needs an encoder.
    """

    label = "espcn"
    makes = "images"

    def __init__(
        self,
        upsample: Callable[[int, int, int], nn.Module],
        scale: int,
        in_channels: int = 1,
        widths: Sequence[int] = (64, 32),
        activation: str = "tanh",
        head: int | None = None,
        gain: float = 1.0,
        skip: bool = False,
    ):
        super().__init__()
        check_sizes(scale=scale, in_channels=in_channels)
        if not widths:
            raise ValueError(f"widths={list(widths)} must name the channels of a layer at least")
        for width in widths:
            check_counts(widths=width)
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation={activation!r} must be {' or '.join(ACTIVATIONS)}")
        check_head(head)
        refuse_needs(upsample, "ESPCN", no_switches="it has no pooling", no_guide="it has no skips")
        self.scale = scale
        self.gain = gain
        self.skip = skip
        layers: list[nn.Module] = []
        for before, after in pairwise([in_channels, *widths]):
            kernel = 3 if layers else 5
            layers.append(nn.Conv2d(before, after, kernel, padding=kernel // 2))
            layers.append(ACTIVATIONS[activation]())
        self.body = nn.Sequential(*layers)
        features = widths[-1]
        self.head = nn.Conv2d(features, in_channels, head, padding=head // 2) if head else None
        initialise(self)
        self.bias = nn.Parameter(torch.zeros(in_channels, 1, 1)) if head is None else None
        # The operator comes last: with one seed, all else starts alike whatever it draws.
        self.upsamples = nn.ModuleList(
            [upsample(features, features if head else in_channels, scale)]
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, in_channels, scale·H, scale·W)."""
        y = self.upsamples[0](self.body(x))
        y = self.gain * (y if self.head is None else self.head(y))
        if self.bias is not None:
            y = y + self.bias
        return y + enlarge(x, self.scale) if self.skip else y
