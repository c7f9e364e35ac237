"""The common U-Net as anybody writes it: two convolutions, pooling, transposed 2×2, skips."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PlainUNet(nn.Module):
    """(B, 3, H, W) -> (B, classes, H, W); sizes must be multiples of 2^(levels − 1).

    Args:
        widths: channels of each level, from fine to coarse.
        classes: channels of the output.
    """

    def __init__(self, widths: Sequence[int], classes: int):
        super().__init__()
        self.down = nn.ModuleList(_double(a, b) for a, b in pairwise([3, *widths]))
        steps = list(pairwise(widths[::-1]))
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 2, stride=2, bias=False) for a, b in steps
        )
        self.mix = nn.ModuleList(_double(2 * b, b) for _, b in steps)
        self.head = nn.Conv2d(widths[0], classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of the classes."""
        skips = []
        for i, level in enumerate(self.down):
            x = level(x if i == 0 else F.max_pool2d(x, 2))
            skips.append(x)
        for up, mix, skip in zip(self.ups, self.mix, skips[-2::-1], strict=True):
            x = mix(torch.cat([skip, up(x)], 1))
        return self.head(x)


def _double(in_channels: int, out_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (in_channels, out_channels):
        layers += [
            nn.Conv2d(channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
