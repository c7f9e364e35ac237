"""What the super-resolution nets share: their first arguments, what they refuse, and the skip."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from upzoo.base import Net
from upzoo.bicubic import enlarge
from upzoo.fitting import check_head, check_sizes, initialise, refuse_needs


class SuperResolver(Net):
    """Features at low resolution, then the operator: (B, C, H, W) -> (B, C, scale·H, scale·W).

    Args:
        upsample: builds an operator from (in_channels, out_channels, scale).
        scale: integer enlargement.
        in_channels: channels of the low and of the large image.
        skip: add the image as bicubic interpolation enlarges it, so that the net learns the rest.
        **sizes: further options that must be whole numbers of at least 1.

    Raises:
        ValueError: for an option out of range, or an operator that needs an encoder.
    """

    makes = "images"

    def __init__(
        self,
        upsample: Callable[..., nn.Module],
        scale: int,
        in_channels: int,
        skip: bool,
        **sizes: Any,
    ):
        super().__init__()
        check_sizes(scale=scale, in_channels=in_channels, **sizes)
        refuse_needs(
            upsample,
            type(self).__name__,
            no_switches="it has no pooling",
            no_guide="it has no encoder",
        )
        self.scale = scale
        self.skip = skip

    def finished(self, y: Tensor, x: Tensor) -> Tensor:
        """The net's own image `y` of the input `x`, with the skip where there is one."""
        return y + enlarge(x, self.scale) if self.skip else y


class OperatorLast(SuperResolver):
    """A body at low resolution, then one operator, straight to the image or with a `head` behind.

    Args:
        upsample, scale, in_channels, skip: see `SuperResolver`, which also says what is refused.
        head: odd kernel of a convolution at full size behind the operator; None for none.
        gain: factor of what is added to the bias; 0.1 lets the last layer start small and learn at
            a tenth of the rate, as FSRCNN's paper trains its deconvolution.
    """

    body: nn.Module

    def end(
        self,
        upsample: Callable[..., nn.Module],
        features: int,
        in_channels: int,
        head: int | None,
        gain: float,
    ) -> None:
        """Build what follows the body of so many features, which must be there already."""
        check_head(head)
        self.gain = gain
        self.head = nn.Conv2d(features, in_channels, head, padding=head // 2) if head else None
        initialise(self)
        self.bias = nn.Parameter(torch.zeros(in_channels, 1, 1)) if head is None else None
        # The operator comes last: with one seed, all else starts alike whatever it draws.
        out = features if head else in_channels
        self.upsamples = nn.ModuleList([upsample(features, out, self.scale)])

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, in_channels, scale·H, scale·W)."""
        y = self.upsamples[0](self.body(x))
        y = self.gain * (y if self.head is None else self.head(y))
        if self.bias is not None:
            y = y + self.bias
        return self.finished(y, x)
