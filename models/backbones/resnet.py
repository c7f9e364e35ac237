"""torchvision's ResNets as encoders."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from upzoo.backbones.base import Backbone, refuse_width, unknown


class ResNet(Backbone):
    """torchvision's ResNet without its classifier (He et al. 2016), its layers under their names.

    Args:
        in_channels: channels of the image.
        weights: name of torchvision's weights for this depth, such as "IMAGENET1K_V1".
        width: must be None, the widths are torchvision's.
        depth: 18, 34, 50 or 101.
        dilated: stay at stride 8 and dilate instead, 2 in the third and 4 in the fourth stage (Yu &
            Koltun 2016); the feature at stride 8 is then the fourth stage's. For depth 50 and 101.

    Raises:
        ValueError: for unknown weights, weights with in_channels ≠ 3, a width, or a depth of 18 or
            34 to dilate.
    """

    def __init__(
        self,
        in_channels: int = 3,
        weights: str | None = None,
        width: int | None = None,
        *,
        depth: int = 18,
        dilated: bool = False,
    ):
        super().__init__(in_channels, weights, width)
        from torchvision.models import get_model

        name = f"resnet{depth}"
        refuse_width(name, width)
        if dilated and depth < 50:
            raise ValueError(f"dilated=True fits resnet50 and resnet101, not {name}")
        if weights is not None and in_channels != 3:
            raise ValueError(
                f"weights={weights!r} fit in_channels=3, not in_channels={in_channels}: "
                "leave weights=null, or take timm/<name>, which adapts them"
            )
        known = None if weights is None else torchvision_weights(name, weights)
        net = get_model(
            name,
            weights=known,
            zero_init_residual=True,
            replace_stride_with_dilation=[False, dilated, dilated],
        )
        if in_channels != 3:
            net.conv1 = nn.Conv2d(in_channels, 64, 7, 2, padding=3, bias=False)
            nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.conv1, self.bn1, self.maxpool = net.conv1, net.bn1, net.maxpool
        self.layer1, self.layer2 = net.layer1, net.layer2
        self.layer3, self.layer4 = net.layer3, net.layer4
        last = net.fc.in_features  # 512, or 2048 with bottlenecks
        self.channels = {2: 64, 4: last // 8, 8: last // 4, 16: last // 2, 32: last}
        self.dilated = dilated
        if dilated:
            self.channels = {2: 64, 4: last // 8, 8: last}

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """(B, in_channels, H, W) -> features at strides 2, 4, 8, 16, 32; dilated at 2, 4, 8."""
        features = {2: F.relu(self.bn1(self.conv1(x)), inplace=True)}
        features[4] = self.layer1(self.maxpool(features[2]))
        features[8] = self.layer2(features[4])
        if self.dilated:
            features[8] = self.layer4(self.layer3(features[8]))
            return features
        features[16] = self.layer3(features[8])
        features[32] = self.layer4(features[16])
        return features


def torchvision_weights(model: str, name: str) -> Any:
    """The entry of torchvision for these weights of this model; downloads nothing yet.

    Raises:
        ValueError: for a name that torchvision does not know.
    """
    from torchvision.models import get_model_weights

    entries = get_model_weights(model).__members__
    # Entries without categories lack the dense layers, and expect another normalisation.
    known = [key for key, entry in entries.items() if entry.meta["categories"]]
    if name not in known:
        raise unknown(f"weights={name!r} of {model}", name, known)
    return entries[name]
