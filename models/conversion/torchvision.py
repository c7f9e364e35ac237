"""torchvision's fcn_resnet50 and fcn_resnet101."""

from collections.abc import Mapping
from typing import Any

from upzoo.conversion.format import Layout, State, batch_norm, classes, convolution, operator, shape

#: Bottlenecks in each stage of the backbone.
STAGES = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}


class TorchvisionFCN(Layout):
    """A dilated ResNet and one head; the auxiliary classifier serves training only.

    torchvision stretches the scores to the image's size, ours enlarges ×8 and crops: they agree
    where both sides are multiples of 8.

    Args:
        backbone: "resnet50" or "resnet101".
    """

    operator = "interpolate"
    unused = ("aux_classifier.",)
    note = "RGB images normalised by mean and std; equals the original at multiples of 8"

    def __init__(self, backbone: str):
        self.name = f"fcn_{backbone}"
        self.backbone = backbone
        pairs = {"backbone.conv1": "backbone.bn1"}
        for stage, blocks in enumerate(STAGES[backbone], 1):
            for block in range(blocks):
                prefix = f"backbone.layer{stage}.{block}"
                pairs |= {f"{prefix}.conv{i}": f"{prefix}.bn{i}" for i in (1, 2, 3)}
                if block == 0:
                    pairs[f"{prefix}.downsample.0"] = f"{prefix}.downsample.1"
        self.names = {}
        for conv, norm in pairs.items():  # the backbone is torchvision's own, names included
            self.names |= convolution(conv, conv, bias=False) | batch_norm(norm, norm)
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
        }

    def card(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """ImageNet's mean and std."""
        if spec["in_channels"] != 3:
            return super().card(spec)
        mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
        return {"mean": mean, "std": std, **classes(spec["num_classes"])}


LAYOUTS: tuple[Layout, ...] = tuple(TorchvisionFCN(backbone) for backbone in STAGES)
