"""Pixel transposed convolution: the interleaved maps are made one from another."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upzoo.upsampling.base import Summary, Upsample, check_kernel, is_channels_last


class PixelTransposed(Upsample):
    """Neighbouring output pixels depend on each other (Gao et al. 2020, PixelTCL).

    A transposed convolution of stride 2 interleaves four maps that know nothing of one another.
    Here F1 = k1 ∗ x and F2 = k2 ∗ F1 take the even and the odd diagonal of every 2×2 block, and one
    kernel over the map so interleaved, masked to the taps that meet them, gives the other two:

        F1 F4
        F3 F2

    With `see_input` (iPixelTCL) every map also sees the input and all the maps before:
    F2 = k2 ∗ [x, F1] and (F3, F4) = k3 ∗ [x, F1, F2].

    Larger powers of two repeat the layer. Weights start as N(0, 1 / (taps · channels)).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output, and of the maps between.
        scale: enlargement, a power of two from 2 on.
        kernel: odd size of all kernels, at least 3.
        see_input: iPixelTCL instead of PixelTCL.
        residual: add the bilinear-additive enlargement (see `Upsample`).

    Raises:
        ValueError: for another scale, or a kernel that is even or below 3.
    """

    summary = Summary(
        "F1 = k1 ∗ x, F2 = k2 ∗ F1, F3 and F4 = k3 ∗ (F1, F2), interleaved",
        "(in + 2·out)·out·k², k = 3",
        "Gao et al. 2020",
    )

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scale: int = 2,
        *,
        kernel: int = 3,
        see_input: bool = False,
        residual: bool = False,
    ):
        super().__init__(in_channels, out_channels, scale, residual=residual)
        if scale < 2 or scale & (scale - 1):
            raise ValueError(
                f"PixelTransposed: scale={scale} must be a power of two from 2 on: the layer "
                f"interleaves 2×2 maps and repeats"
            )
        check_kernel(self, kernel, least=3, odd=True, why="it joins a pixel to its neighbours")
        self.kernel = kernel
        self.see_input = see_input
        doubling = DenseDoubling if see_input else Doubling
        steps = scale.bit_length() - 1  # log2
        widths = [in_channels] + [out_channels] * steps
        self.steps = nn.Sequential(*map(doubling, widths, widths[1:], [kernel] * steps))

    def enlarge(self, x: Tensor) -> Tensor:
        """The whole map, (B, out_channels, scale·H, scale·W)."""
        return self.steps(x)

    def extra_repr(self) -> str:
        """Channels, scale, kernel and variant."""
        return f"{super().extra_repr()}, kernel={self.kernel}, see_input={self.see_input}"


class Doubling(nn.Module):
    """PixelTCL: (B, in_channels, H, W) -> (B, out_channels, 2·H, 2·W)."""

    mask: Tensor

    def __init__(self, in_channels: int, out_channels: int, kernel: int):
        super().__init__()
        self.first = random_kernel(in_channels, out_channels, kernel)
        self.second = random_kernel(out_channels, out_channels, kernel)
        # From a pixel off the diagonals, F1 and F2 lie an odd number of steps away.
        step = torch.arange(kernel)
        mask = (step + step[:, None]) % 2  # (kernel, kernel)
        self.register_buffer("mask", mask.float())
        taps = kernel**2 // 2
        self.third = random_kernel(out_channels, out_channels, kernel, taps)

    def forward(self, x: Tensor) -> Tensor:
        """Double height and width."""
        pad = self.mask.shape[-1] // 2
        f1 = F.conv2d(x, self.first, padding=pad)
        f2 = F.conv2d(f1, self.second, padding=pad)
        zero = torch.zeros_like(f1)
        diagonal = interleave(f1, zero, zero, f2)
        # On the diagonals themselves the masked taps meet zeros only.
        return diagonal + F.conv2d(diagonal, self.third * self.mask, padding=pad)


class DenseDoubling(nn.Module):
    """iPixelTCL: (B, in_channels, H, W) -> (B, out_channels, 2·H, 2·W)."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int):
        super().__init__()
        self.first = random_kernel(in_channels, out_channels, kernel)
        self.second = random_kernel(in_channels + out_channels, out_channels, kernel)
        self.third = random_kernel(in_channels + 2 * out_channels, 2 * out_channels, kernel)

    def forward(self, x: Tensor) -> Tensor:
        """Double height and width."""
        pad = self.first.shape[-1] // 2
        f1 = F.conv2d(x, self.first, padding=pad)
        seen = torch.cat([x.to(f1.dtype), f1], 1)
        f2 = F.conv2d(seen, self.second, padding=pad)
        seen = torch.cat([seen, f2], 1)
        f3, f4 = F.conv2d(seen, self.third, padding=pad).chunk(2, 1)
        return interleave(f1, f4, f3, f2)


def random_kernel(inputs: int, outputs: int, kernel: int, taps: int | None = None) -> nn.Parameter:
    """A kernel that keeps the variance of white input, of which it sees `taps` pixels."""
    std = 1 / math.sqrt(inputs * (taps or kernel**2))
    return nn.Parameter(torch.randn(outputs, inputs, kernel, kernel) * std)


def interleave(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """Four maps as the pixels of 2×2 blocks, a and b above c and d, in the memory format of a."""

    def alternate(first: Tensor, second: Tensor, dim: int) -> Tensor:
        return torch.stack([first, second], dim + 1).flatten(dim, dim + 1)

    if is_channels_last(a):
        a, b, c, d = (part.permute(0, 2, 3, 1) for part in (a, b, c, d))
        y = alternate(alternate(a, b, 2), alternate(c, d, 2), 1)  # (B, 2·H, 2·W, C)
        return y.permute(0, 3, 1, 2)
    return alternate(alternate(a, b, 3), alternate(c, d, 3), 2)
