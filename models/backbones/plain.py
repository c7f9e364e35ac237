"""U-Net's own encoder: convolutions at one resolution, then a max-pooling, again and again."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from upzoo.backbones.base import Backbone, initialise
from upzoo.backbones.compact import ConvBlock
from upzoo.counts import check_counts, is_count
from upzoo.tracing import is_traced


class Plain(Backbone):
    """Two 3×3 convolutions a level and 2×2 max-pooling in between (Ronneberger et al. 2015).

    With batch norm and padding, as U-Net is built today. The pooling can tell where its maxima
    were, so that a decoder may unpool.

    Args:
        in_channels: channels of the image.
        weights: must be None, there are no released ones.
        width: channels at stride 1, doubled at every level; 16 if None. The paper has 64.
        depth: number of levels; the coarsest has stride 2^(depth − 1).
        widths: channels of every level, from fine to coarse, in place of width and depth.
        convs: convolutions at each level.

    Raises:
        ValueError: for weights, or numbers that make no encoder.
    """

    has_switches = True

    def __init__(
        self,
        in_channels: int = 3,
        weights: str | None = None,
        width: int | None = None,
        *,
        depth: int = 5,
        widths: Sequence[int] | None = None,
        convs: int = 2,
    ):
        super().__init__(in_channels, weights, width)
        if weights is not None:
            raise ValueError(
                f"weights={weights!r}: backbone 'plain' has none, it trains from scratch: "
                "leave weights=null, or take vgg16, resnet18, resnet34, resnet50 or timm/<name>"
            )
        if widths is None:
            widths = [(16 if width is None else width) << i for i in range(depth)]
        if len(widths) < 2 or not all(map(is_count, widths)):
            raise ValueError(
                f"widths={list(widths)} must be two or more integers of at least 1, one a level"
            )
        check_counts(convs=convs)
        # True: poolings round down, as torch's own, and a decoder has to pad: `PortedUNet` sets it.
        self.floor = False
        self.channels = {1 << i: channels for i, channels in enumerate(widths)}
        self.levels = nn.ModuleList()
        for channels in widths:
            blocks = [
                ConvBlock(in_channels if i == 0 else channels, channels) for i in range(convs)
            ]
            self.levels.append(nn.Sequential(*blocks))
            in_channels = channels
        initialise(self)

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """(B, in_channels, H, W) -> features at strides 1, 2, 4, …, before their pooling."""
        features = {}
        if self.floor:
            self._refuse_small(x)
        for stride, level in zip(self.channels, self.levels, strict=True):
            if stride > 1:
                x = F.max_pool2d(x, 2, ceil_mode=not self.floor)
            features[stride] = x = level(x)
        return features

    def with_switches(self, x: Tensor) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
        """The same features, and by stride the indices of the maxima of each that is pooled."""
        features, switches = {}, {}
        for stride, level in zip(self.channels, self.levels, strict=True):
            if stride > 1:
                x, switches[stride // 2] = F.max_pool2d(x, 2, ceil_mode=True, return_indices=True)
            features[stride] = x = level(x)
        return features, switches

    def _refuse_small(self, x: Tensor) -> None:
        """Refuse an image of which rounding down would leave nothing."""
        least = max(self.channels)
        if not is_traced() and min(x.shape[-2:]) < least:
            raise ValueError(
                f"an image of {x.shape[-2]}×{x.shape[-1]} is too small for poolings that round "
                f"down to 1/{least}: give at least {least}×{least} pixels"
            )
