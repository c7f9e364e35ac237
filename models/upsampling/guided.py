"""What operators share that look at the encoder's feature while they enlarge the decoder's."""

from collections.abc import Sequence

import torch
from torch import Tensor

from upzoo.counts import check_counts
from upzoo.tracing import is_traced
from upzoo.upsampling.base import Upsample, crop


class GuidedUpsample(Upsample):
    """An operator whose output at a pixel depends on a `guide` of the output's size.

    A subclass computes the whole map in `enlarge_guided`. A guide cropped to `size` is continued by
    repeating its last row and column, which changes nothing that is kept but at its very edge.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        scale: integer enlargement.
        guide_channels: channels of the guide.
        residual: add the bilinear-additive enlargement (see `Upsample`).

    Raises:
        ValueError: for a number of guide channels below 1, or one that is no integer.
    """

    needs_guide = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scale: int = 2,
        *,
        guide_channels: int,
        residual: bool = False,
    ):
        super().__init__(in_channels, out_channels, scale, residual=residual)
        check_counts(f"{type(self).__name__}: ", guide_channels=guide_channels)
        self.guide_channels = guide_channels

    def enlarge_to(
        self,
        x: Tensor,
        size: Sequence[int] | None,
        switches: Tensor | None,
        guide: Tensor | None,
    ) -> Tensor:
        """The enlarged map at `size`, (B, out_channels, *size)."""
        assert guide is not None  # refused in check_input
        full = (self.scale * x.shape[-2], self.scale * x.shape[-1])
        return crop(self.enlarge_guided(x, extend(guide, full)), size)

    def enlarge_guided(self, x: Tensor, guide: Tensor) -> Tensor:
        """The whole map, of a guide (B, guide_channels, scale·H, scale·W)."""
        raise NotImplementedError

    def check_input(
        self,
        x: Tensor,
        size: Sequence[int] | None,
        switches: Tensor | None,
        guide: Tensor | None,
    ) -> None:
        """Refuse a guide that is missing or of another shape than the output's, in one line."""
        super().check_input(x, size, switches, guide)
        if guide is None or is_traced():
            return
        h, w = size or (self.scale * x.shape[-2], self.scale * x.shape[-1])
        wanted = (x.shape[0], self.guide_channels, h, w)
        if guide.shape != wanted:
            raise ValueError(
                f"{type(self).__name__}: guide of shape {tuple(guide.shape)} must be {wanted}: "
                "the input's batch, guide_channels and the output's size"
            )

    def extra_repr(self) -> str:
        """Channels, scale and the guide's channels."""
        return f"{super().extra_repr()}, guide_channels={self.guide_channels}"


def extend(x: Tensor, size: Sequence[int]) -> Tensor:
    """`x` continued to `size` by its last row and column; deterministic, unlike CUDA's padding."""
    for dim, wanted in zip((-2, -1), size, strict=True):
        n = x.shape[dim]
        # A compiler would turn the comparison into a constraint on dynamic sizes.
        if is_traced() or n != wanted:
            x = x.index_select(dim, torch.arange(wanted, device=x.device).clamp(max=n - 1))
    return x
