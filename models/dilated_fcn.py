"""Fully convolutional net on a dilated ResNet, as torchvision builds and releases it."""

from collections.abc import Callable

from torch import Tensor, nn

from upzoo.backbones import build_backbone
from upzoo.backbones.base import initialise
from upzoo.base import Net
from upzoo.counts import check_counts
from upzoo.fitting import refuse_needs
from upzoo.pointwise import Pointwise
from upzoo.upsampling import Interpolate
from upzoo.upsampling.base import enlarge_scores

#: ResNets whose bottlenecks torchvision can dilate.
BACKBONES = ("resnet50", "resnet101")


class DilatedFCN(Net):
    """Features at stride 8, a 3×3 convolution to a quarter of them, scores, and one step of ×8.

    The ResNet's last two stages dilate instead of halving (Yu & Koltun 2016), so that nothing has
    to be fused: the operator enlarges the class scores once. With operator `interpolate` and
    `stretch` it is torchvision's fcn_resnet50 or fcn_resnet101 without the auxiliary classifier;
    without `stretch` it crops what torchvision stretches, the same at multiples of 8.

    Args:
        upsample: builds an operator from (in_channels, out_channels, scale).
        num_classes: classes to score.
        in_channels: channels of the image.
        backbone: "resnet50" or "resnet101".
        weights: name of the backbone's released weights; None starts at random.
        dropout: share of channel values dropped before the scores.
        stretch: stretch the enlarged scores to the image's size instead of cropping them, as
            torchvision; for operator `interpolate` alone.

    Raises:
        ValueError: for a backbone, weights or an operator that do not fit.
    """

    label = "dilated_fcn"

    def __init__(
        self,
        upsample: Callable[[int, int, int], nn.Module],
        num_classes: int,
        in_channels: int = 3,
        backbone: str = "resnet50",
        weights: str | None = None,
        dropout: float = 0.1,
        stretch: bool = False,
    ):
        super().__init__()
        check_counts(num_classes=num_classes)
        if backbone not in BACKBONES:
            raise ValueError(f"backbone={backbone!r} must be {' or '.join(BACKBONES)}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout={dropout} must be at least 0 and below 1")
        refuse_needs(
            upsample,
            "DilatedFCN",
            no_switches="class scores come from no pooling",
            no_guide="the only step, to the image, has none",
        )
        self.backbone = build_backbone(backbone, in_channels, weights, dilated=True)
        channels = self.backbone.channels[8]
        score = Pointwise(channels // 4, num_classes)
        self.head = nn.Sequential(
            nn.Conv2d(channels, channels // 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels // 4),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            score,
        )
        initialise(self.head)
        nn.init.zeros_(score.weight)  # every class starts equally likely, as in `FCN`
        # The operator comes last: with one seed, all else starts alike whatever it draws.
        self.upsample = upsample(num_classes, num_classes, 8)
        if stretch and not isinstance(self.upsample, Interpolate):
            raise ValueError(
                f"stretch=true fits operator interpolate, not {type(self.upsample).__name__}: "
                "leave it out"
            )
        self.stretch = stretch

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> class scores (B, num_classes, H, W), before the softmax."""
        scores = self.head(self.backbone(x)[8])
        if self.stretch:
            return self.upsample.stretch(scores, x.shape[-2:])  # type: ignore[operator]
        return enlarge_scores(self.upsample, scores, x.shape[-2:])
