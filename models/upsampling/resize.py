"""Interpolation by a fixed rule, alone or followed by a convolution."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upzoo.upsampling.base import Summary, Upsample, check_choice, check_kernel, projection
from upzoo.upsampling.functional import fold_nearest
from upzoo.upsampling.interpolation import bilinear_additive, resize, resize_to

MODES = ("nearest", "bilinear", "bicubic")


class Interpolate(Upsample):
    """Interpolation with no weights but the 1×1 projection where in_channels ≠ out_channels.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        scale: integer enlargement.
        mode: "nearest", "bilinear" or "bicubic". On CUDA bicubic's backward is not deterministic.
        align_corners: put the centres of the corner pixels, not their outer edges, over each other:
            steps of (n − 1) / (scale·n − 1), which depend on the size. For nets trained that way.
        residual: add the bilinear-additive enlargement (see `Upsample`).

    Raises:
        ValueError: for an unknown mode, or align_corners with "nearest".
    """

    summary = Summary(
        "↑x",
        "P",
        "–",
    )
    flat = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scale: int = 2,
        *,
        mode: str = "bilinear",
        align_corners: bool = False,
        residual: bool = False,
    ):
        super().__init__(in_channels, out_channels, scale, residual=residual)
        check_choice(self, "mode", mode, MODES)
        if align_corners and mode == "nearest":
            raise ValueError(
                "Interpolate: align_corners=True is not defined for mode='nearest': "
                "take bilinear or bicubic"
            )
        self.mode = mode
        self.align_corners = align_corners
        self.project = projection(in_channels, out_channels)

    def enlarge(self, x: Tensor) -> Tensor:
        """The whole map, (B, out_channels, scale·H, scale·W)."""
        return resize(self.project(x), self.scale, self.mode, self.align_corners)

    def stretch(self, x: Tensor, size: Sequence[int]) -> Tensor:
        """(B, out_channels, *size), each axis by its own ratio, where `forward` would crop.

        Pixels then lie up to scale − 1 away from where they come from: for nets trained that way.
        """
        return resize_to(self.project(x), size, self.mode, self.align_corners)

    def extra_repr(self) -> str:
        """Channels, scale, mode and, where it is not the usual one, the alignment."""
        corners = ", align_corners=True" if self.align_corners else ""
        return f"{super().extra_repr()}, mode={self.mode}{corners}"


class BilinearAdditive(Upsample):
    """Bilinear enlargement, then the sum of consecutive channels; no weights (Wojna et al. 2019).

    Where in_channels is no multiple of out_channels the groups differ by one channel; where it is
    smaller, channels are repeated. A sum of N channels has N times their mean: normalise after it.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        scale: integer enlargement.
        residual: add the same once more (see `Upsample`).
    """

    summary = Summary(
        "↑ of sums of in/out consecutive channels",
        "0",
        "Wojna et al. 2019",
    )
    flat = True

    def enlarge(self, x: Tensor) -> Tensor:
        """The whole map, (B, out_channels, scale·H, scale·W)."""
        return bilinear_additive(x, self.out_channels, self.scale)


class ResizeConv(Upsample):
    """Interpolation, then a learned convolution at the large size (Odena et al. 2016).

    A constant leaves every phase alike: the steps themselves cannot put a checkerboard there.
    Nearest enlargement and the convolution are folded into one transposed convolution, with the
    same result at less cost.
    Weights start as N(0, 1 / (in_channels · kernel²)).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        scale: integer enlargement.
        mode: "nearest", "bilinear" or "bicubic"; align_corners=False. On CUDA bicubic's backward
            is not deterministic.
        kernel: odd kernel size of the convolution, zero-padded.
        residual: add the bilinear-additive enlargement (see `Upsample`).

    Raises:
        ValueError: for an unknown mode, or a kernel that is even or below 1.
    """

    summary = Summary(
        "w ∗ ↑x, nearest, bilinear or bicubic",
        "in·out·k², k = 3",
        "Odena et al. 2016",
    )
    flat = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scale: int = 2,
        *,
        mode: str = "nearest",
        kernel: int = 3,
        residual: bool = False,
    ):
        super().__init__(in_channels, out_channels, scale, residual=residual)
        check_choice(self, "mode", mode, MODES)
        check_kernel(self, kernel, least=1, odd=True, why="an even one has no centre to align")
        self.mode = mode
        self.kernel = kernel
        std = 1 / (kernel * math.sqrt(in_channels))
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel) * std)

    def enlarge(self, x: Tensor) -> Tensor:
        """The whole map, (B, out_channels, scale·H, scale·W)."""
        if self.mode == "nearest" and self.kernel > 1 and folding_pays(x, self.scale):
            return self.folded(x)
        return self.in_two_steps(x)

    def folded(self, x: Tensor) -> Tensor:
        """Nearest enlargement and convolution at once: the enlarged input is never made."""
        weight = fold_nearest(self.weight, self.scale)
        return F.conv_transpose2d(x, weight, stride=self.scale, padding=self.kernel // 2)

    def in_two_steps(self, x: Tensor) -> Tensor:
        """The same by the definition; it holds the enlarged input of in_channels in memory."""
        return F.conv2d(resize(x, self.scale, self.mode), self.weight, padding=self.kernel // 2)

    def extra_repr(self) -> str:
        """Channels, scale, mode and kernel."""
        return f"{super().extra_repr()}, mode={self.mode}, kernel={self.kernel}"


def folding_pays(x: Tensor, scale: int) -> bool:
    """Whether the folded form is faster: enough pixels to make up for folding, and a small scale.

    Measured on a CPU, where it takes twice the pixels forward alone, and on an H100, whose launches
    of many small kernels cost more than what they do (`benchmarks/operators.py`).
    """
    if torch.compiler.is_compiling():  # no question about sizes, which may be dynamic
        return scale <= 4
    if x.is_cuda and torch.is_grad_enabled():
        least = 2**18 if x.element_size() == 4 else math.inf
    elif x.is_cuda:
        least = 2**17
    else:
        least = 2**12 if torch.is_grad_enabled() else 2**13
    return scale <= 4 and x.numel() * scale**2 >= least * x.shape[1]
