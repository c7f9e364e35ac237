"""Transposed convolution with a bilinear kernel, fixed or learned on from there."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upzoo.tracing import is_compiled_for_cpu, is_exported
from upzoo.upsampling.base import (
    Summary,
    Upsample,
    check_choice,
    check_kernel,
    is_channels_last,
    projection,
)
from upzoo.upsampling.functional import bilinear_kernel, conv_transpose_same, replicate_border
from upzoo.upsampling.interpolation import bilinear_separable, resize


class BilinearInit(Upsample):
    """Transposed convolution whose kernel starts as bilinear interpolation (Long et al. 2015, 3.3).

    As it starts, the output equals `interpolate(mode="bilinear", align_corners=False)`, borders
    included: the input's border is repeated before the stamps are added. `border="zero"` adds
    nothing, as FCN did, and darkens the edges (a constant comes out as .75 at scale 2).

    A fixed kernel is known beforehand, so the same map may be computed by interpolation or as two
    matrix products: whichever is fastest for the input.

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

    summary = Summary(
        "the same, w bilinear for s, border repeated",
        "P (fixed)",
        "Long et al. 2015",
    )
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
        weight = start(out_channels, scale, kernel, dense)
        self.kernel = weight.shape[-1]
        if trainable:
            self.weight = nn.Parameter(weight)
        else:
            self.register_buffer("weight", weight)

    def enlarge(self, x: Tensor) -> Tensor:
        """The whole map, (B, out_channels, scale·H, scale·W)."""
        x = self.project(x)
        if self.trainable:
            return self.stamp(x)
        form = fastest_form(x, self.scale, self.border)
        if form == "resize":
            return resize(x, self.scale, "bilinear")
        return (
            bilinear_separable(x, self.scale, self.border) if form == "products" else self.stamp(x)
        )

    def scores_channels_first(self, x: Tensor) -> bool:
        """In half precision on a CPU, where both layouts take matrix products."""
        return not self.trainable and x.element_size() < 4 and x.device.type == "cpu"

    def starts(self) -> dict[str, Tensor]:
        """The bilinear kernel, of one that is learned."""
        if not self.trainable:
            return {}
        fixed = start(self.out_channels, self.scale, self.kernel, self.dense, device="cpu")
        return {"weight": fixed.to(self.weight)}

    def stamp(self, x: Tensor) -> Tensor:
        """The projected `x` enlarged by the transposed convolution itself."""
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

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *rest: Any, **named: Any
    ) -> None:
        """Load as any module does, but keep a fixed kernel bilinear: it is not always read."""
        super()._load_from_state_dict(state_dict, prefix, *rest, **named)
        loaded = state_dict.get(f"{prefix}weight")
        if self.trainable or loaded is None or loaded.shape != self.weight.shape:
            return
        fixed = start(self.out_channels, self.scale, self.kernel, self.dense, device="cpu")
        if not torch.allclose(loaded.detach().cpu().float(), fixed, atol=1e-3):
            errors = named["error_msgs"] if "error_msgs" in named else rest[-1]
            errors.append(
                f"{prefix}weight is not bilinear, but this kernel is fixed: trainable=true"
            )

    def extra_repr(self) -> str:
        """Channels, scale and the options."""
        return (
            f"{super().extra_repr()}, kernel={self.kernel}, trainable={self.trainable}, "
            f"dense={self.dense}, border={self.border}"
        )


def fastest_form(x: Tensor, scale: int, border: str) -> str:
    """Which of three forms of the same map, "resize", "products" or "stamps", is fastest for `x`.

    Measured on a CPU (`benchmarks/operators.py`): interpolation wins by its gradient above all. On
    a GPU that gradient is slow at large scales.
    """
    exact = border == "replicate"  # `resize` knows no other
    compiled = is_compiled_for_cpu(x)  # sizes may be dynamic then, and are not asked
    if x.is_cuda and not is_exported():
        half = x.element_size() < 4
        slow = scale > (2 if half else 8) and torch.is_grad_enabled()
        exact = exact and not torch.are_deterministic_algorithms_enabled()
        return "resize" if exact and not slow else "products"
    if torch.compiler.is_compiling() and not compiled:
        return "resize" if exact else "products"
    if not compiled and not is_channels_last(x):
        return "products"
    half = x.element_size() < 4
    least = 32
    if scale == 2 and (half or torch.is_grad_enabled()):
        least = 16 if half or compiled else 17  # 16 float32 are one vector of AVX-512: stamps win
    wide = x.shape[1] >= least
    small = half or (not compiled and max(x.shape[-2:]) <= 64)
    if exact and (wide or (scale <= 3 and small)):
        return "resize"
    return "products" if half else "stamps"


def start(
    channels: int, scale: int, kernel: int | None, dense: bool, device: str | None = None
) -> Tensor:
    """The bilinear kernel of every channel, (C, 1, k, k), or on the diagonal of (C, C, k, k)."""
    filt = bilinear_kernel(scale, kernel).float()
    if not dense:
        return filt.to(device).repeat(channels, 1, 1, 1)
    weight = torch.zeros(channels, channels, *filt.shape, device=device)
    weight[range(channels), range(channels)] = filt.to(device)
    return weight
