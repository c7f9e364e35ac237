"""Nets on torchvision's ResNets: its own FCNs, and segmentation_models_pytorch's Unet."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from upzoo.conversion.format import (
    IMAGENET,
    Format,
    State,
    batch_norm,
    classes,
    convolution,
    operator,
    shape,
    skip_first,
)

#: Blocks in each stage, and convolutions in a block.
RESNETS = {
    "resnet18": ((2, 2, 2, 2), 2),
    "resnet34": ((3, 4, 6, 3), 2),
    "resnet50": ((3, 4, 6, 3), 3),
    "resnet101": ((3, 4, 23, 3), 3),
}


def encoder_names(backbone: str, theirs: str, ours: str = "backbone.") -> dict[str, str | None]:
    """Names of a ResNet's tensors, which are torchvision's own but for what stands before them."""
    stages, convolutions = RESNETS[backbone]
    pairs = {"conv1": "bn1"}
    for stage, blocks in enumerate(stages, 1):
        for block in range(blocks):
            prefix = f"layer{stage}.{block}"
            pairs |= {f"{prefix}.conv{i}": f"{prefix}.bn{i}" for i in range(1, convolutions + 1)}
            if block == 0 and (stage > 1 or convolutions == 3):
                pairs[f"{prefix}.downsample.0"] = f"{prefix}.downsample.1"
    names: dict[str, str | None] = {}
    for conv, norm in pairs.items():
        names |= convolution(f"{theirs}{conv}", f"{ours}{conv}", bias=False)
        names |= batch_norm(f"{theirs}{norm}", f"{ours}{norm}")
    return names


class ImageNetFormat(Format):
    """What both share: images as the encoder's released weights expect them."""

    def card(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """ImageNet's mean and std, for images in colour."""
        if spec["in_channels"] != 3:
            return super().card(spec)
        return {**IMAGENET, **classes(spec["num_classes"])}


class TorchvisionFCN(ImageNetFormat):
    """A dilated ResNet and one head; the auxiliary classifier serves training only.

    torchvision stretches the scores to the image's size: our option `stretch`.

    Args:
        backbone: "resnet50" or "resnet101".
    """

    operator = "interpolate"
    unused = ("aux_classifier.",)
    note = "RGB images normalised by mean and std; equals the original at every size"

    def __init__(self, backbone: str):
        self.name = f"fcn_{backbone}"
        self.backbone = backbone
        self.names = encoder_names(backbone, "backbone.")
        self.names |= convolution("classifier.0", "head.0", bias=False)
        self.names |= batch_norm("classifier.1", "head.1")
        self.names |= convolution("classifier.4", "head.4")

    def spec(self, state: State) -> dict[str, Any]:
        """Classes and the image's channels as in the file."""
        return {
            "_target_": "models.dilated_fcn.DilatedFCN",
            "upsample": operator("interpolate", mode="bilinear"),
            "num_classes": shape(state, "classifier.4.weight")[0],
            "in_channels": shape(state, "backbone.conv1.weight")[1],
            "backbone": self.backbone,
            "stretch": True,
        }


class SegmentationModelsUNet(ImageNetFormat):
    """segmentation_models_pytorch's Unet: nearest enlargement, (enlarged, skip), a 3×3 head.

    It refuses sides that are no multiples of 32, which ours takes.

    Args:
        backbone: a key of `RESNETS`.
        prefix: what stands before the encoder's names; timm's encoders there have one word more.
    """

    name = "unet_smp"
    operator = "interpolate"
    unused = ("classification_head.",)
    note = (
        "RGB images normalised by ImageNet's mean and std, as its encoder's weights expect them; "
        "equals the original at the multiples of 32 that it takes"
    )

    def __init__(self, backbone: str, prefix: str = "encoder."):
        self.backbone, self.prefix = backbone, prefix
        self.names = encoder_names(backbone, prefix)
        self.convs = [[f"decoder.blocks.{i}.conv{j}" for j in (1, 2)] for i in range(5)]
        for i, block in enumerate(self.convs):
            for j, conv in enumerate(block):
                self.names |= convolution(f"{conv}.0", f"blocks.{i}.{j}.0", bias=False)
                self.names |= batch_norm(f"{conv}.1", f"blocks.{i}.{j}.1")
        self.names |= convolution("segmentation_head.0", "head")

    def spec(self, state: State) -> dict[str, Any]:
        """Widths of the decoder, head, classes and the image's channels as in the file."""
        num_classes, _, kernel, _ = shape(state, "segmentation_head.0.weight")
        widths = [[shape(state, f"{conv}.0.weight")[0] for conv in block] for block in self.convs]
        return {
            "_target_": "models.ported_unet.PortedUNet",
            "upsample": operator("interpolate", mode="nearest"),
            "num_classes": num_classes,
            "in_channels": shape(state, f"{self.prefix}conv1.weight")[1],
            "backbone": self.backbone,
            "decoder_widths": widths[::-1],
            "keep": True,
            "head_kernel": kernel,
        }

    def values(self, state: State) -> dict[str, Tensor]:
        """Let the decoder read the skip first."""
        values = dict(state)
        last = RESNETS[self.backbone][1]
        skips = [*(f"layer{stage}.0.conv{last}" for stage in (3, 2, 1)), "conv1"]
        for block, skip in zip(self.convs, skips, strict=False):  # the last step has no skip
            skip_first(values, f"{block[0]}.0", shape(state, f"{self.prefix}{skip}.weight")[0])
        return values


FORMATS: tuple[Format, ...] = (
    *(TorchvisionFCN(backbone) for backbone in ("resnet50", "resnet101")),
    *(
        SegmentationModelsUNet(backbone, prefix)
        for backbone in RESNETS
        for prefix in ("encoder.", "encoder.model.")
    ),
)
