"""Upsampling by learning where to sample."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from upzoo.counts import check_counts
from upzoo.upsampling.base import Summary, Upsample, check_choice, projection
from upzoo.upsampling.sampling import sample

GROUPS = 4  # the paper's choice


class DySample(Upsample):
    """Bilinear samples of the input at learned positions (Liu et al. 2023).

    Each group of channels samples at its own positions: the pixel centres of bilinear enlargement
    plus an offset that a linear layer predicts,

        offset = ¼ · linear(x), or ½ · σ(linear'(x)) · linear(x) with dynamic scope,

    in pixels of the input (section 3.2). It starts next to bilinear enlargement: offsets are
    N(0, .001²), the scope is ½. Beyond the border the outermost pixels repeat, so that a constant
    stays one everywhere.

    Large channels-last maps are sampled in bands of rows, in less memory (`sampling.py`).

    Checkpoints of the official code load as they are.

    A 1×1 convolution projects first where in_channels ≠ out_channels.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        scale: integer enlargement.
        style: "lp", linear then pixel shuffle, or "pl", the other way round, which has far fewer
            weights and needs out_channels to be a multiple of scale².
        dyscope: predict the scope of the offsets too.
        groups: sets of positions; by default the largest divisor of out_channels up to 4.
        residual: add the bilinear-additive enlargement (see `Upsample`).

    Raises:
        ValueError: for an unknown style, or channels that groups or "pl" cannot divide.
    """

    summary = Summary(
        "x at the bilinear places + ¼ · linear(x)",
        "P + (out + 1)·2·g·s², g = 4",
        "Liu et al. 2023",
    )
    flat = True
    nondeterministic = "grid_sampler_2d_backward_cuda"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scale: int = 2,
        *,
        style: str = "lp",
        dyscope: bool = False,
        groups: int | None = None,
        residual: bool = False,
    ):
        super().__init__(in_channels, out_channels, scale, residual=residual)
        check_choice(self, "style", style, ("lp", "pl"))
        if groups is None:
            groups = next(g for g in range(GROUPS, 0, -1) if out_channels % g == 0)
        check_counts(f"{type(self).__name__}: ", groups=groups)
        if out_channels % groups:
            raise ValueError(
                f"DySample: groups={groups} does not divide {out_channels} output channels: "
                "leave it out for the largest divisor up to 4"
            )
        if style == "pl" and out_channels % scale**2:
            raise ValueError(
                f"DySample: style='pl' at scale {scale} shuffles {scale**2} channels into pixels, "
                f"which {out_channels} output channels do not divide by: use style='lp'"
            )
        self.style = style
        self.dyscope = dyscope
        self.groups = groups
        self.project = projection(in_channels, out_channels)
        phases = scale**2
        seen = out_channels // phases if style == "pl" else out_channels
        made = 2 * groups if style == "pl" else 2 * groups * phases
        self.offset = nn.Conv2d(seen, made, 1)
        nn.init.normal_(self.offset.weight, std=0.001)
        assert self.offset.bias is not None
        nn.init.zeros_(self.offset.bias)
        if dyscope:
            self.scope = nn.Conv2d(seen, made, 1, bias=False)
            nn.init.zeros_(self.scope.weight)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        """Take the official checkpoints, whose constant positions are a buffer, as they are."""
        positions = state_dict.pop(f"{prefix}init_pos", None)
        if positions is not None and positions.shape != (1, 2 * self.groups * self.scale**2, 1, 1):
            raise ValueError(
                f"{prefix}init_pos has {positions.numel()} values, and "
                f"{2 * self.groups * self.scale**2} fit groups={self.groups} and scale={self.scale}"
            )
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def enlarge(self, x: Tensor) -> Tensor:
        """The whole map, (B, out_channels, scale·H, scale·W)."""
        x = self.project(x)
        seen = F.pixel_shuffle(x, self.scale) if self.style == "pl" else x
        offset = self.offset(seen)
        offset = 0.5 * self.scope(seen).sigmoid() * offset if self.dyscope else 0.25 * offset
        if self.style == "lp":
            offset = F.pixel_shuffle(offset, self.scale)
        return sample(x, offset, self.scale)  # offset: (B, 2·groups, scale·H, scale·W)

    def extra_repr(self) -> str:
        """Channels, scale and the options."""
        return (
            f"{super().extra_repr()}, style={self.style}, dyscope={self.dyscope}, "
            f"groups={self.groups}"
        )
