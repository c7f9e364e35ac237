"""Sub-pixel convolution."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upzoo.upsampling.base import Summary, Upsample, check_kernel
from upzoo.upsampling.functional import icnr_


class PixelShuffle(Upsample):
    """A convolution to scale² · out_channels, then depth to space (Shi et al. 2016, section 3).

    It starts as a convolution followed by nearest-neighbour enlargement (ICNR, Aitken et al. 2017),
    so that no phase differs from another before training. Entries are N(0, 1 / (in · kernel²)).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        scale: integer enlargement.
        kernel: odd kernel size of the convolution, zero-padded.
        icnr: start all phases alike; independent ones otherwise, which begin as a checkerboard.
        residual: add the bilinear-additive enlargement (see `Upsample`).

    Raises:
        ValueError: for a kernel that is even or below 1.
    """

    summary = Summary(
        "depth to space of w ∗ x",
        "in·out·k²·s², k = 3",
        "Shi et al. 2016; Aitken et al. 2017 (ICNR)",
    )
    flat = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scale: int = 2,
        *,
        kernel: int = 3,
        icnr: bool = True,
        residual: bool = False,
    ):
        super().__init__(in_channels, out_channels, scale, residual=residual)
        check_kernel(self, kernel, least=1, odd=True, why="an even one has no centre to align")
        self.kernel = kernel
        self.icnr = icnr
        std = 1 / (kernel * math.sqrt(in_channels))
        self.weight = nn.Parameter(
            torch.empty(out_channels * scale**2, in_channels, kernel, kernel)
        )
        if icnr:
            icnr_(self.weight, scale, std)
        else:
            nn.init.normal_(self.weight, std=std)

    def enlarge(self, x: Tensor) -> Tensor:
        """The whole map, (B, out_channels, scale·H, scale·W)."""
        y = F.conv2d(x, self.weight, padding=self.kernel // 2)  # (B, out·s², H, W)
        return F.pixel_shuffle(y, self.scale)

    def extra_repr(self) -> str:
        """Channels, scale, kernel and whether it started by ICNR."""
        return f"{super().extra_repr()}, kernel={self.kernel}, icnr={self.icnr}"
