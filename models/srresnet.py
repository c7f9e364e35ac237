"""SRResNet, the generator of SRGAN (Ledig et al. 2017)."""

from collections.abc import Callable

from torch import Tensor, nn

from upzoo.fitting import steps_of
from upzoo.super_resolver import SuperResolver


class SRResNet(SuperResolver):
    """Residual blocks with batch norm at low resolution, the operator, a 9×9 convolution.

    The operator keeps the channels and a PReLU follows it; a power of two is taken in steps of ×2
    (×4 in two, as in the paper), any other scale in one. The last convolution, at full size, is
    the same behind every operator.

    Args:
        upsample, scale, in_channels, skip: see `SuperResolver`, which also says what is refused.
        width: channels of all layers.
        blocks: residual blocks; a small variant is width=32, blocks=6.
    """

    label = "srresnet"

    def __init__(
        self,
        upsample: Callable[[int, int, int], nn.Module],
        scale: int,
        in_channels: int = 1,
        width: int = 64,
        blocks: int = 16,
        skip: bool = False,
    ):
        super().__init__(upsample, scale, in_channels, skip, width=width, blocks=blocks)
        self.start = nn.Sequential(nn.Conv2d(in_channels, width, 9, padding=4), nn.PReLU())
        self.body = nn.Sequential(
            *(Block(width) for _ in range(blocks)),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )
        steps = steps_of(scale)
        self.activations = nn.ModuleList(nn.PReLU() for _ in steps)
        self.head = nn.Conv2d(width, in_channels, 9, padding=4)
        # The operators come last: with one seed, all else starts alike whatever they draw.
        self.upsamples = nn.ModuleList(upsample(width, width, step) for step in steps)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, in_channels, scale·H, scale·W)."""
        y = self.start(x)
        y = y + self.body(y)
        for up, activation in zip(self.upsamples, self.activations, strict=True):
            y = activation(up(y))
        y = self.head(y)
        return self.finished(y, x)


class Block(nn.Module):
    """x + BN(conv(PReLU(BN(conv(x))))), 3×3 both."""

    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.PReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) -> the same shape."""
        return x + self.layers(x)
