"""Learned transposed convolution, then a fixed low-pass: no checkerboard from a constant."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upzoo.upsampling.base import Summary, Upsample, check_kernel
from upzoo.upsampling.functional import smooth_kernel


def conv_transpose_filtered(x: Tensor, weight: Tensor, line: Tensor, scale: int) -> Tensor:
    """Transposed convolution, then `line` along rows and columns of every channel.

    Together they are one transposed convolution with the kernel weight ∗ line ∗ lineᵀ, and cropped
    as TensorFlow's SAME would crop that one.

    Args:
        x: (B, C, H, W).
        weight: (C, out, k, k).
        line: (taps,) with k + taps > scale.
        scale: the stride.

    Returns:
        (B, out, scale·H, scale·W).
    """
    h, w = x.shape[-2:]
    kernel, taps = weight.shape[-1], len(line)
    # L = ⌊(k + taps − 1 − s) / 2⌋; filtering with padding p cuts taps − 1 − p of it.
    cut = (kernel + taps - 1 - scale) // 2
    pad = max(taps - 1 - cut, 0)
    y = F.conv_transpose2d(x, weight, stride=scale, padding=max(cut - taps + 1, 0))
    if y.device.type == "cpu" and y.dtype == torch.bfloat16:
        # oneDNN 3.12 never returns from a bfloat16 filter along rows of 12 taps or more.
        with torch.autocast("cpu", enabled=False):
            y = _filter(y.float(), line, pad).bfloat16()
    else:
        y = _filter(y, line, pad)
    return y[..., : scale * h, : scale * w]


def _filter(y: Tensor, line: Tensor, pad: int) -> Tensor:
    """Every channel along its rows and its columns, with `pad` zeros at each border."""
    filt = line.to(y.dtype).flip(0)  # conv2d correlates
    # on an H100 one axis after the other is a tenth as fast for three taps, then that turns
    few = len(filt) <= (4 if y.element_size() == 4 else 3)
    return at_once(y, filt, pad) if y.is_cuda and few else by_axes(y, filt, pad)


def at_once(y: Tensor, filt: Tensor, pad: int) -> Tensor:
    """Every channel with the outer product of `filt`, (taps,)."""
    plane = torch.outer(filt, filt).expand(y.shape[1], 1, -1, -1)
    return F.conv2d(y, plane, padding=pad, groups=y.shape[1])


def by_axes(y: Tensor, filt: Tensor, pad: int) -> Tensor:
    """The same along the rows, then along the columns."""
    channels = y.shape[1]
    filt = filt.expand(channels, 1, -1)
    y = F.conv2d(y, filt[..., None], padding=(pad, 0), groups=channels)
    return F.conv2d(y, filt[..., None, :], padding=(0, pad), groups=channels)


class SmoothTransposed(Upsample):
    """Transposed convolution, then a fixed smooth layer of the stride's length.

    Convolved with a box as long as the stride, any kernel gets the same gain in all phases: a
    constant leaves no checkerboard, whatever was learned (Kinoshita & Kiya 2020, "Fixed smooth
    convolutional layer for avoiding checkerboard artifacts in CNNs").

    Weights start as N(0, 1 / (in_channels · kernel²)): all kernel² taps reach every pixel of a
    constant.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        scale: integer enlargement.
        order: smoothness; 0 filters by a box, and every further order by one more.
        kernel: kernel size of the transposed convolution; by default 2·scale, or one more where
            that centres the whole on the pixel.
        residual: add the bilinear-additive enlargement (see `Upsample`).

    Raises:
        ValueError: for an order below 0 or a kernel below 1.
    """

    summary = Summary(
        "(stamps x · w) ∗ box of length s, order + 1 times",
        "in·out·k², k = 2s",
        "Kinoshita & Kiya 2020",
    )
    flat = True
    line: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scale: int = 2,
        *,
        order: int = 1,
        kernel: int | None = None,
        residual: bool = False,
    ):
        super().__init__(in_channels, out_channels, scale, residual=residual)
        if isinstance(order, bool) or not isinstance(order, int) or order < 0:
            raise ValueError(
                f"SmoothTransposed: order={order!r} must be an integer of at least 0: 0 is a box"
            )
        self.order = order
        # Centred where (kernel + taps − 1) − scale is even, taps = (order + 1)·(scale − 1) + 1.
        off_centre = (scale + (order + 1) * (scale - 1)) % 2
        self.kernel = 2 * scale + off_centre if kernel is None else kernel
        check_kernel(self, self.kernel, least=1, why="it is the size of the learned stamp")
        std = 1 / (self.kernel * math.sqrt(in_channels))
        self.weight = nn.Parameter(
            torch.randn(in_channels, out_channels, self.kernel, self.kernel) * std
        )
        # The outer product's marginal: (Σ line) · line, Σ line = scale.
        line = smooth_kernel(scale, order).sum(0) / scale
        self.register_buffer("line", line.float())

    def enlarge(self, x: Tensor) -> Tensor:
        """The whole map, (B, out_channels, scale·H, scale·W)."""
        return conv_transpose_filtered(x, self.weight, self.line, self.scale)

    def extra_repr(self) -> str:
        """Channels, scale, kernel and order."""
        return f"{super().extra_repr()}, kernel={self.kernel}, order={self.order}"


class FIRTransposed(Upsample):
    """Zero-insertion, a learned kernel, then a fixed low-pass filter, as StyleGAN2 enlarges.

    The filter removes the images of the spectrum that zero-insertion makes (Karras et al. 2020;
    Zhang 2019). Its taps are scaled to a sum of `scale` along each axis, which makes up
    for the zeros: a constant comes out multiplied by the sum of the learned kernel.

    Weights start as N(0, 1 / (in_channels · kernel²)).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        scale: integer enlargement.
        kernel: kernel size of the learned convolution.
        taps: the filter along one axis; by default three boxes of the stride's length convolved,
            1, 3, 3, 1 at scale 2.
        residual: add the bilinear-additive enlargement (see `Upsample`).

    Raises:
        ValueError: for a kernel below 1, or taps whose phases at this scale have unequal sums.
    """

    summary = Summary(
        "(stamps x · w) ∗ low-pass, 1, 3, 3, 1 at s = 2",
        "in·out·k², k = 3",
        "Karras et al. 2020; Zhang 2019",
    )
    flat = True
    line: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scale: int = 2,
        *,
        kernel: int = 3,
        taps: Sequence[float] | None = None,
        residual: bool = False,
    ):
        super().__init__(in_channels, out_channels, scale, residual=residual)
        check_kernel(self, kernel, least=1, why="it is the size of the learned stamp")
        self.kernel = kernel
        if taps is None:
            line = smooth_kernel(scale, order=2).sum(0) / scale
        else:
            taps = list(taps)
            sums = [sum(taps[phase::scale]) for phase in range(scale)]
            if not sums[0] > 0 or not all(math.isclose(sums[0], each) for each in sums):
                raise ValueError(
                    f"FIRTransposed: taps={taps} make a checkerboard at scale={scale}: the "
                    f"taps {scale} apart sum to {sums}, which must be equal and positive"
                )
            line = torch.tensor(taps, dtype=torch.float64) / sums[0]
        std = 1 / (kernel * math.sqrt(in_channels))
        self.weight = nn.Parameter(torch.randn(in_channels, out_channels, kernel, kernel) * std)
        self.register_buffer("line", line.float())

    def enlarge(self, x: Tensor) -> Tensor:
        """The whole map, (B, out_channels, scale·H, scale·W)."""
        return conv_transpose_filtered(x, self.weight, self.line, self.scale)

    def extra_repr(self) -> str:
        """Channels, scale, kernel and the number of taps."""
        return f"{super().extra_repr()}, kernel={self.kernel}, taps={len(self.line)}"
