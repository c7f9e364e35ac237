"""Transposed convolution with a bilinear kernel, fixed or learned on from there."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.upsampling.base import Upsample, check_choice, check_kernel, projection
from models.upsampling.functional import bilinear_kernel, conv_transpose_same, replicate_border


class BilinearInit(Upsample):
    """Transposed convolution whose kernel starts as bilinear interpolation (Long et al. 2015, 3.3).

    As it starts, the output equals `interpolate(mode="bilinear", align_corners=False)`, borders
    included: the input's border is repeated before the stamps are added. `border="zero"` adds
    nothing, as FCN did, and darkens the edges (a constant comes out as .75 at scale 2).

    A 1×1 convolution projects first where in_channels ≠ out_channels.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        scale: integer enlargement.
        trainable: learn the kernel from its bilinear start, as FCN's paper does; fixed otherwise.
        dense: one kernel for each pair of channels, bilinear on the diagonal and zero elsewhere, as
            in FCN's released nets; otherwise one for each channel.
        border: "replicate" (exact) or "zero" (as FCN).
        kernel: kernel size; by default the filter's own, 2·scale − scale mod 2. A wider one has
            zeros around the filter.
        residual: add the bilinear-additive enlargement (see `Upsample`).

    Raises:
        ValueError: for a kernel smaller than the bilinear filter, or an unknown border.
    """

    flat = True
    weight: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scale: int = 2,
        *,
        trainable: bool = False,
        dense: bool = False,
        border: str = "replicate",
        kernel: int | None = None,
        residual: bool = False,
    ):
        super().__init__(in_channels, out_channels, scale, residual=residual)
        check_choice(self, "border", border, ("replicate", "zero"))
        if kernel is not None:
            taps = 2 * scale - scale % 2
            check_kernel(self, kernel, least=taps, why=f"bilinear at scale {scale} has {taps} taps")
        self.trainable = trainable
        self.dense = dense
        self.border = border
        self.project = projection(in_channels, out_channels)
        filt = bilinear_kernel(scale, kernel).float()
        self.kernel = filt.shape[-1]
        if dense:
            weight = torch.zeros(out_channels, out_channels, self.kernel, self.kernel)
            weight[range(out_channels), range(out_channels)] = filt
        else:
            weight = filt.repeat(out_channels, 1, 1, 1)  # (C, 1, k, k)
        if trainable:
            self.weight = nn.Parameter(weight)
        else:
            self.register_buffer("weight", weight)

    def enlarge(self, x: Tensor) -> Tensor:
        """The whole map, (B, out_channels, scale·H, scale·W)."""
        x = self.project(x)
        groups = 1 if self.dense else self.out_channels
        weight = self.weight.to(x.dtype)
        if self.border == "zero":
            return conv_transpose_same(x, weight, self.scale, groups)
        # Stamps of the pixels up to `reach` beyond the border fall into the picture.
        h, w = x.shape[-2:]
        pad = (self.kernel - self.scale) // 2
        reach = -(-(self.kernel - self.scale - pad) // self.scale)
        x = replicate_border(x, reach)
        crop = pad + reach * self.scale
        y = F.conv_transpose2d(x, weight, stride=self.scale, padding=crop, groups=groups)
        return y[..., : self.scale * h, : self.scale * w]

    def extra_repr(self) -> str:
        """Channels, scale and the options."""
        return (
            f"{super().extra_repr()}, kernel={self.kernel}, trainable={self.trainable}, "
            f"dense={self.dense}, border={self.border}"
        )
