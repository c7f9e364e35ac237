"""EDSR, the enhanced deep super-resolution net, as its small baseline (Lim et al. 2017)."""

from collections.abc import Callable

from torch import Tensor, nn

from upzoo.fitting import steps_of
from upzoo.super_resolver import SuperResolver


class EDSR(SuperResolver):
    """Residual blocks without batch norm at low resolution, the operator, a 3×3 convolution.

    The operator keeps the channels; a power of two is taken in steps of ×2, any other scale in
    one. The last convolution, at full size, is the same behind every operator. The paper's baseline
    has 16 blocks of 64 channels; 12 keep `pixel_shuffle` below 1.5 million parameters at ×3.

    Args:
        upsample, scale, in_channels, skip: see `SuperResolver`, which also says what is refused.
        width: channels of all layers.
        blocks: residual blocks.
    """

    label = "edsr"

    def __init__(
        self,
        upsample: Callable[[int, int, int], nn.Module],
        scale: int,
        in_channels: int = 1,
        width: int = 64,
        blocks: int = 12,
        skip: bool = False,
    ):
        super().__init__(upsample, scale, in_channels, skip, width=width, blocks=blocks)
        self.start = nn.Conv2d(in_channels, width, 3, padding=1)
        self.body = nn.Sequential(
            *(Block(width) for _ in range(blocks)), nn.Conv2d(width, width, 3, padding=1)
        )
        self.head = nn.Conv2d(width, in_channels, 3, padding=1)
        # The operators come last: with one seed, all else starts alike whatever they draw.
        self.upsamples = nn.ModuleList(upsample(width, width, step) for step in steps_of(scale))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, in_channels, scale·H, scale·W)."""
        y = self.start(x)
        y = y + self.body(y)
        for up in self.upsamples:
            y = up(y)
        y = self.head(y)
        return self.finished(y, x)


class Block(nn.Module):
    """x + conv(ReLU(conv(x))), 3×3 both."""

    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) -> the same shape."""
        return x + self.layers(x)
