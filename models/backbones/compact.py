"""Our own encoder, trained from scratch on a CPU."""

import torch.nn.functional as F
from torch import Tensor, nn

from upzoo.backbones.base import Backbone, initialise


class ConvBlock(nn.Sequential):
    """3×3 convolution, batch norm, ReLU; stride 2 gives ⌈n/2⌉ pixels."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1):
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class ResidualBlock(nn.Module):
    """relu(x + norm(conv(block(x)))), two 3×3 convolutions at one width (He et al. 2016).

    The last norm's gain starts at zero, so the block starts as the identity (Goyal et al. 2017).
    """

    def __init__(self, channels: int):
        super().__init__()
        self.block = ConvBlock(channels, channels)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return F.relu(self.norm(self.conv(self.block(x))).add_(x), inplace=True)


class Compact(Backbone):
    """A small residual encoder, made to be trained from scratch on two CPU cores.

    Five stages halve the image, each a strided convolution and then residual blocks. Where pixels
    are many (strides 2 and 4) there is one thin convolution: batch norm and ReLU, bound by memory,
    would cost more there than the convolution itself. The blocks stand at strides 8, 16 and 32; a
    position at stride 32 sees 511×511 pixels, the whole of a 360×480 street scene.
    At width 16: 2.5 million parameters, 1.55·10⁹ multiplications for an image of 360×480.

    Args:
        in_channels: channels of the image.
        weights: must be None, there are no released ones.
        width: channels at stride 2; strides 4 to 32 have 3, 5, 8 and 12 times as many. 16 if None.

    Raises:
        ValueError: for weights, or a width below 1.
    """

    multipliers = (1, 3, 5, 8, 12)
    blocks = (0, 0, 2, 2, 2)

    def __init__(self, in_channels: int = 3, weights: str | None = None, width: int | None = None):
        super().__init__(in_channels, weights, width)
        if weights is not None:
            raise ValueError(
                f"weights={weights!r}: backbone 'compact' has none, it trains from scratch: "
                "leave weights=null, or take vgg16, resnet18, resnet34, resnet50 or timm/<name>"
            )
        width = 16 if width is None else width
        self.channels = {2 << i: m * width for i, m in enumerate(self.multipliers)}
        self.stages = nn.ModuleList()
        for channels, blocks in zip(self.channels.values(), self.blocks, strict=True):
            residuals = (ResidualBlock(channels) for _ in range(blocks))
            self.stages.append(nn.Sequential(ConvBlock(in_channels, channels, 2), *residuals))
            in_channels = channels
        initialise(self)

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """(B, in_channels, H, W) -> features at strides 2, 4, 8, 16, 32."""
        features = {}
        for stride, stage in zip(self.channels, self.stages, strict=True):
            features[stride] = x = stage(x)
        return features
