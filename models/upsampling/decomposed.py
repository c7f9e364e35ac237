"""Transposed convolution in one dimension at a time."""

import math

import torch
from torch import Tensor, nn

from upzoo.upsampling.base import Summary, Upsample, check_kernel
from upzoo.upsampling.functional import conv_transpose_same


class DecomposedTransposed(Upsample):
    """A transposed convolution along the rows, then one along the columns, nothing between.

    The pair costs 2·kernel instead of kernel² weights for each pair of channels and spans only part
    of what the square kernel can (Wojna et al. 2019, "Decomposed Transposed Convolution"). Both are
    cropped as TensorFlow's SAME.

    Weights start as N(0, σ²), σ² = scale / (channels · kernel), which keeps the variance of white
    input in either step.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output, and between the two.
        scale: integer enlargement.
        kernel: length of both kernels, at least the scale; 2·scale by default.
        residual: add the bilinear-additive enlargement (see `Upsample`).

    Raises:
        ValueError: for a kernel below the scale, which would leave pixels that nothing reaches.
    """

    summary = Summary(
        "column stamps of row stamps of x",
        "(in + out)·out·k, k = 2s",
        "Wojna et al. 2019",
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
        row_std = math.sqrt(scale / (in_channels * self.kernel))
        column_std = math.sqrt(scale / (out_channels * self.kernel))
        self.row = nn.Parameter(torch.randn(in_channels, out_channels, 1, self.kernel) * row_std)
        self.column = nn.Parameter(
            torch.randn(out_channels, out_channels, self.kernel, 1) * column_std
        )

    def enlarge(self, x: Tensor) -> Tensor:
        """The whole map, (B, out_channels, scale·H, scale·W)."""
        y = conv_transpose_same(x, self.row, (1, self.scale))  # (B, out, H, s·W)
        return conv_transpose_same(y, self.column, (self.scale, 1))

    def extra_repr(self) -> str:
        """Channels, scale and kernel."""
        return f"{super().extra_repr()}, kernel={self.kernel}"
