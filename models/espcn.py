"""ESPCN, the efficient sub-pixel convolutional net (Shi et al. 2016)."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import nn

from upzoo.counts import check_counts
from upzoo.super_resolver import OperatorLast

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}


class ESPCN(OperatorLast):
    """Convolutions at low resolution, 5×5 and 3×3, then the operator makes the large image.

    By default the operator goes from the features to the image's channels at once, as in the
    paper: with `pixel_shuffle`, whose kernel is 3×3, the net has the paper's three layers, 22,624
    weights at ×3 on one channel. An operator without a convolution of its own projects by 1×1.
    With `head`, every operator keeps the features' channels, and one convolution at full size,
    alike for all, makes the image.

    Args:
        upsample, scale, in_channels, head, gain, skip: see `OperatorLast`.
        widths: channels of the convolutions; the first is 5×5, the others are 3×3.
        activation: "tanh", the paper's, or "relu".
    """

    label = "espcn"

    def __init__(
        self,
        upsample: Callable[[int, int, int], nn.Module],
        scale: int,
        in_channels: int = 1,
        widths: Sequence[int] = (64, 32),
        activation: str = "tanh",
        head: int | None = None,
        gain: float = 1.0,
        skip: bool = False,
    ):
        super().__init__(upsample, scale, in_channels, skip)
        if not widths:
            raise ValueError(f"widths={list(widths)} must name the channels of a layer at least")
        for width in widths:
            check_counts(widths=width)
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation={activation!r} must be {' or '.join(ACTIVATIONS)}")
        layers: list[nn.Module] = []
        for before, after in pairwise([in_channels, *widths]):
            kernel = 3 if layers else 5
            layers.append(nn.Conv2d(before, after, kernel, padding=kernel // 2))
            layers.append(ACTIVATIONS[activation]())
        self.body = nn.Sequential(*layers)
        features = widths[-1]
        self.end(upsample, features, in_channels, head, gain)
