"""EDSR, the enhanced deep super-resolution net, as its small baseline (Lim et al. 2017)."""

from collections.abc import Callable

from torch import Tensor, nn

from upzoo.base import Net
from upzoo.bicubic import enlarge
from upzoo.fitting import check_sizes, refuse_needs, steps_of


class EDSR(Net):
    """Residual blocks without batch norm at low resolution, the operator, a 3×3 convolution.

    The operator keeps the channels; a power of two is taken in steps of ×2, any other scale in
    one. The last convolution, at full size, is the same behind every operator. The paper's baseline
    has 16 blocks of 64 channels; 12 keep `pixel_shuffle` below 1.5 million parameters at ×3.

    Args:
        upsample: builds an operator from (in_channels, out_channels, scale).
        scale: integer enlargement.
        in_channels: channels of the low and of the large image.
        width: channels of all layers.
        blocks: residual blocks.
        skip: add the image as bicubic interpolation enlarges it, so that the net learns the rest.

    Raises:
        ValueError: for an option out of range, or an operator that needs an encoder.
    """

    label = "edsr"
    makes = "images"

    def __init__(
        self,
        upsample: Callable[[int, int, int], nn.Module],
        scale: int,
        in_channels: int = 1,
        width: int = 64,
        blocks: int = 12,
        skip: bool = False,
    ):
        super().__init__()
        check_sizes(scale=scale, in_channels=in_channels, width=width, blocks=blocks)
        refuse_needs(
            upsample, "EDSR", no_switches="it has no pooling", no_guide="it has no encoder"
        )
        self.scale = scale
        self.skip = skip
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
        return y + enlarge(x, self.scale) if self.skip else y


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
