"""Fully convolutional net for segmentation (Long, Shelhamer and Darrell 2015)."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from upzoo.backbones import build_backbone
from upzoo.base import Net
from upzoo.counts import check_counts
from upzoo.fitting import refuse_needs
from upzoo.pointwise import Pointwise
from upzoo.upsampling.base import enlarge_scores

#: Crops of the paper's padded layout, by stride: one for each skip's score, then the final one.
CROPS = {32: (19,), 16: (5, 27), 8: (5, 9, 31)}


class FCN(Net):
    """FCN-32s, -16s or -8s: class scores at strides 32, 16, 8, fused from coarse to fine.

    A 1×1 convolution scores each feature; the operator enlarges the coarser sum ×2 to the next
    skip's size, they are added, and the operator takes the last sum to the image's size at once.
    Score layers start at zero (section 4.1), so that every class starts equally likely; what they
    read and the operators do not. The widths never depend on the operator.

    In the released Caffe nets, for `stride=8`: `scores` are score_fr, score_pool4, score_pool3 and
    `upsamples` are upscore2, upscore_pool4, upscore8.

    Args:
        upsample: builds an operator from (in_channels, out_channels, scale).
        num_classes: classes to score.
        in_channels: channels of the image.
        stride: of the finest score: 32, 16 or 8.
        backbone: a key of `upzoo.backbones.BACKBONES`, or "timm/<name>".
        weights: name of the backbone's released weights; None starts at random.
        width: the backbone's base width; None is the backbone's own.
        padded: the paper's exact layout, for vgg16: pad 100, unpadded fc6, upsampling without
            padding, fixed crops. Released weights need it.

    Raises:
        ValueError: for a stride, a backbone, a layout or an operator that does not fit.
    """

    def __init__(
        self,
        upsample: Callable[[int, int, int], nn.Module],
        num_classes: int,
        in_channels: int = 3,
        stride: int = 8,
        backbone: str = "compact",
        weights: str | None = None,
        width: int | None = None,
        padded: bool = False,
    ):
        super().__init__()
        if stride not in CROPS:
            raise ValueError(f"stride={stride} is not one of FCN's: choose from 32, 16, 8")
        check_counts(num_classes=num_classes)
        if padded and backbone != "vgg16":
            raise ValueError(f"padded=true is the layout of backbone 'vgg16', not of {backbone!r}")
        self.stride = stride
        self.padded = padded
        self.strides = tuple(s for s in (32, 16, 8) if s >= stride)
        refuse_needs(
            upsample,
            "FCN",
            no_switches="class scores come from no pooling",
            no_guide="the last step to the image has none",
        )

        # The operators come last: with one seed, all else starts alike whatever they draw.
        layout = {"padded": True} if padded else {}
        self.backbone = build_backbone(backbone, in_channels, weights, width, **layout)
        channels = self.backbone.channels
        missing = [s for s in self.strides if s not in channels]
        if missing:
            raise ValueError(
                f"backbone={backbone!r} has features at strides {sorted(channels)}, "
                f"but FCN-{stride}s needs {missing} too"
            )
        self.scores = nn.ModuleList(Pointwise(channels[s], num_classes) for s in self.strides)
        for parameter in self.scores.parameters():
            nn.init.zeros_(parameter)
        scales = [2] * (len(self.strides) - 1) + [stride]
        self.upsamples = nn.ModuleList(upsample(num_classes, num_classes, s) for s in scales)

    @property
    def label(self) -> str:
        """Short name, such as "fcn8s"."""
        return f"fcn{self.stride}s"

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> class scores (B, num_classes, H, W), before the softmax."""
        features = self.backbone(x)
        scores = [score(features[s]) for score, s in zip(self.scores, self.strides, strict=True)]
        return self._fuse_padded(scores, x) if self.padded else self._fuse(scores, x)

    def _fuse(self, scores: list[Tensor], image: Tensor) -> Tensor:
        """Add the scores from coarse to fine, each enlarged to the size of the next."""
        total = scores[0]
        for skip, up in zip(scores[1:], self.upsamples, strict=False):
            total = skip + up(total, size=skip.shape[-2:])
        return enlarge_scores(self.upsamples[-1], total, image.shape[-2:])

    def _fuse_padded(self, scores: list[Tensor], image: Tensor) -> Tensor:
        """The same with the paper's unpadded upsamplings and its crops."""
        *skip_crops, last_crop = CROPS[self.stride]
        total = scores[0]
        for skip, up, crop in zip(scores[1:], self.upsamples, skip_crops, strict=False):
            enlarged = _enlarge_unpadded(up, total, 2)
            total = enlarged + _crop(skip, crop, enlarged)
        return _crop(_enlarge_unpadded(self.upsamples[-1], total, self.stride), last_crop, image)


def _enlarge_unpadded(up: nn.Module, x: Tensor, scale: int) -> Tensor:
    """The operator's output with half a scale more on every side: n -> (n + 1)·scale pixels.

    For a transposed convolution with kernel 2·scale this is its full, unpadded output; every other
    operator keeps the same geometry.
    """
    y = up(F.pad(x, (1, 1, 1, 1)))
    # scale·(n + 2) pixels, of which scale/2 go on each side.
    edge = scale // 2
    return y[..., edge:-edge, edge:-edge]


def _crop(x: Tensor, offset: int, like: Tensor) -> Tensor:
    """As many pixels of `x` as `like` has, from `offset` on in both directions."""
    h, w = like.shape[-2:]
    return x[..., offset : offset + h, offset : offset + w]
