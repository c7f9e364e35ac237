"""U-Net for segmentation (Ronneberger, Fischer and Brox 2015)."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from upzoo.backbones import build_backbone
from upzoo.backbones.base import initialise
from upzoo.backbones.compact import ConvBlock
from upzoo.base import Net
from upzoo.counts import check_counts
from upzoo.fitting import operator_class
from upzoo.pointwise import Pointwise


class UNet(Net):
    """An encoder, and a decoder that doubles step by step and takes the encoder's features in.

    At each step the operator enlarges ×2 to the size of the next finer feature, the skip is
    concatenated, and 3×3 convolutions with batch norm and ReLU mix them; a 1×1 convolution scores
    the classes. Where the encoder has nothing at stride 1, the last step has no skip. The widths
    never depend on the operator. An operator that unpools gets the switches of the encoder's
    pooling, one that looks at a guide gets the skip (the image, where there is none).

    Args:
        upsample: builds an operator from (in_channels, out_channels, scale).
        num_classes: classes to score.
        in_channels: channels of the image.
        backbone: a key of `upzoo.backbones.BACKBONES`, or "timm/<name>".
        weights: name of the backbone's released weights; None starts at random.
        width: the backbone's base width; None is the backbone's own.
        depth: levels of backbone "plain", by default five, or of a net of timm, by default all that
            it has: deeper ones are left out.
        widths: channels of each level of backbone "plain", from fine to coarse, in place of width
            and depth.
        decoder_widths: for each step, from fine to coarse, the widths of its convolutions; by
            default two as wide as the skip, one half as wide as the map below where there is none.
        keep: the operator keeps its input's channels; by default it brings them to the skip's, as
            U-Net's up-convolution.
        bias: add a learned bias to every enlarged map.

    Raises:
        ValueError: for a backbone, widths or an operator that do not fit.
    """

    label = "unet"

    def __init__(
        self,
        upsample: Callable[..., nn.Module],
        num_classes: int,
        in_channels: int = 3,
        backbone: str = "plain",
        weights: str | None = None,
        width: int | None = None,
        depth: int | None = None,
        widths: Sequence[int] | None = None,
        decoder_widths: Sequence[Sequence[int]] | None = None,
        keep: bool = False,
        bias: bool = False,
    ):
        super().__init__()
        check_counts(num_classes=num_classes)
        given = {k: v for k, v in (("depth", depth), ("widths", widths)) if v is not None}
        refused = [
            k for k in given if backbone != "plain" and not (k == "depth" and "/" in backbone)
        ]
        if refused:
            owners = "'plain' and 'timm/<name>'" if refused[0] == "depth" else "'plain'"
            raise ValueError(f"{refused[0]} is an option of backbone {owners}, not of {backbone!r}")
        operator = operator_class(upsample)
        self.backbone = build_backbone(backbone, in_channels, weights, width, **given)
        self.needs_switches = getattr(operator, "needs_switches", False)
        if self.needs_switches and not self.backbone.has_switches:
            raise ValueError(
                f"backbone={backbone!r} keeps no switches of its pooling, which "
                f"{operator.__name__} needs: take backbone=plain, or another operator"
            )

        skips = self.backbone.channels
        coarsest = max(skips)
        missing = [s for s in _halvings(coarsest) if s > 1 and s not in skips]
        if missing:
            raise ValueError(
                f"backbone={backbone!r} has features at strides {sorted(skips)}: U-Net doubles "
                f"step by step and needs {sorted(missing)} too"
            )
        self.strides = _halvings(coarsest)  # of the maps that the steps make, from coarse to fine
        if decoder_widths is not None and len(decoder_widths) != len(self.strides):
            raise ValueError(
                f"decoder_widths has {len(decoder_widths)} steps, the decoder {len(self.strides)}: "
                f"one for each of the strides {self.strides[::-1]}"
            )

        ends, blocks, below = [], [], skips[coarsest]
        for step, stride in enumerate(self.strides):
            skip = skips.get(stride, 0)
            enlarged = below if keep else skip or max(below // 2, 1)
            plan = [skip, skip] if skip else [enlarged]
            if decoder_widths is not None:
                plan = list(decoder_widths[len(self.strides) - 1 - step])
            ends.append((below, enlarged, skip or in_channels))
            blocks.append(_convolutions(enlarged + skip, plan))
            below = plan[-1] if plan else enlarged + skip
        self.blocks = nn.ModuleList(blocks)
        self.head: nn.Conv2d = Pointwise(below, num_classes)
        initialise(self.blocks)
        initialise(self.head)
        self.biases = nn.ParameterList(torch.zeros(out, 1, 1) for _, out, _ in ends if bias)
        # The operators come last: with one seed, all else starts alike whatever they draw.
        guided = getattr(operator, "needs_guide", False)
        self.upsamples = nn.ModuleList(
            upsample(n, out, 2, **({"guide_channels": guide} if guided else {}))
            for n, out, guide in ends
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> class scores (B, num_classes, H, W), before the softmax."""
        switches: dict[int, Tensor] = {}
        if self.needs_switches:
            features, switches = self.backbone.with_switches(x)
        else:
            features = self.backbone(x)
        y = features[2 * self.strides[0]]
        for i, stride in enumerate(self.strides):
            skip = features.get(stride)
            finer = x if skip is None else skip
            y = self.enlarge(i, y, finer, switches.get(stride))
            y = self.blocks[i](y if skip is None else torch.cat([skip, y], 1))
        return self.head(y)

    def enlarge(self, step: int, y: Tensor, finer: Tensor, switches: Tensor | None) -> Tensor:
        """The map below at the size of the finer one, with its bias."""
        y = self.upsamples[step](y, size=finer.shape[-2:], switches=switches, guide=finer)
        return y + self.biases[step] if self.biases else y


def _halvings(stride: int) -> list[int]:
    """All that halving leads to: 16 -> [8, 4, 2, 1]."""
    return [1 << i for i in reversed(range(stride.bit_length() - 1))]


def _convolutions(in_channels: int, widths: Sequence[int]) -> nn.Sequential:
    channels = [in_channels, *widths]
    return nn.Sequential(*(ConvBlock(a, b) for a, b in zip(channels, widths, strict=False)))
