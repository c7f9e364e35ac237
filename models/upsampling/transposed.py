"""Learned transposed convolution."""

import math

import torch
from torch import Tensor, nn

from upzoo.upsampling.base import Summary, Upsample, check_kernel
from upzoo.upsampling.functional import conv_transpose_same


class TransposedConv(Upsample):
    """Learned transposed convolution, cropped as TensorFlow's SAME.

    Every input pixel stamps a scaled kernel on the output and overlapping stamps add (Dumoulin &
    Visin 2016, section 4). A kernel that is a multiple of the scale overlaps evenly; any other,
    3 or 5 at scale 2 for instance, does not (Odena et al. 2016).

    Weights start as N(0, σ²) with σ² = 1 / (in_channels · (kernel / scale)²), which keeps the
    variance of white input: an output pixel sums (kernel / scale)² taps of each input channel.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        scale: integer enlargement.
        kernel: kernel size, at least the scale; 2·scale by default.
        residual: add the bilinear-additive enlargement (see `Upsample`).

    Raises:
        ValueError: for a kernel below the scale, which would leave pixels that nothing reaches.
    """

    summary = Summary(
        "Σ stamps x · w, cropped as SAME",
        "in·out·k², k = 2s",
        "Dumoulin & Visin 2016",
    )

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scale: int = 2,
        *,
        kernel: int | None = None,
        residual: bool = False,
    ):
        super().__init__(in_channels, out_channels, scale, residual=residual)
        self.kernel = 2 * scale if kernel is None else kernel
        check_kernel(
            self,
            self.kernel,
            least=scale,
            why=f"a smaller one leaves gaps between its stamps at scale {scale}",
        )
        std = scale / (self.kernel * math.sqrt(in_channels))
        self.weight = nn.Parameter(
            torch.randn(in_channels, out_channels, self.kernel, self.kernel) * std
        )

    def enlarge(self, x: Tensor) -> Tensor:
        """The whole map, (B, out_channels, scale·H, scale·W)."""
        return conv_transpose_same(x, self.weight, self.scale)

    def extra_repr(self) -> str:
        """Channels, scale and kernel."""
        return f"{super().extra_repr()}, kernel={self.kernel}"
