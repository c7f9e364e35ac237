"""VGG-16 turned into a fully convolutional encoder."""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from upzoo.backbones.base import Backbone, initialise
from upzoo.backbones.resnet import torchvision_weights


class VGG16(Backbone):
    """VGG-16 with its first two dense layers as convolutions (Long et al. 2015, section 4.1).

    Poolings round up. Feature 2^i is the i-th pooling's output for i up to 4; feature 32 is fc7's.
    Layers are named as in the released nets: conv1_1 … conv5_3, fc6, fc7.

    Args:
        in_channels: channels of the image.
        weights: name of torchvision's weights for VGG-16, such as "IMAGENET1K_V1".
        width: channels of conv1_1; fc6 and fc7 have 64 times as many. 64 if None, as in the paper.
        padded: the paper's layout. conv1_1 pads by 100 and fc6 not at all, so features are larger
            than ⌈n/s⌉ and begin outside the image: the decoder has to crop as the paper does.

    Raises:
        ValueError: for unknown weights, or weights with channels or a width unlike theirs.
    """

    repeats = (2, 2, 3, 3, 3)
    multipliers = (1, 2, 4, 8, 8)

    def __init__(
        self,
        in_channels: int = 3,
        weights: str | None = None,
        width: int | None = None,
        *,
        padded: bool = False,
    ):
        super().__init__(in_channels, weights, width)
        width = 64 if width is None else width
        if weights is not None and (in_channels, width) != (3, 64):
            raise ValueError(
                f"weights={weights!r} fit in_channels=3 and width=64, "
                f"not in_channels={in_channels} and width={width}: leave weights=null"
            )
        hidden = 64 * width
        self.channels = {2 << i: m * width for i, m in enumerate(self.multipliers)} | {32: hidden}
        stages = zip(self.repeats, self.multipliers, strict=True)
        for stage, (repeat, multiplier) in enumerate(stages, start=1):
            for i in range(1, repeat + 1):
                padding = 100 if padded and stage == i == 1 else 1
                conv = nn.Conv2d(in_channels, multiplier * width, 3, padding=padding)
                self.add_module(f"conv{stage}_{i}", conv)
                in_channels = multiplier * width
        self.fc6 = nn.Conv2d(in_channels, hidden, 7, padding=0 if padded else 3)
        self.fc7 = nn.Conv2d(hidden, hidden, 1)
        self.dropout = nn.Dropout(0.5)
        if weights is None:
            initialise(self)
        else:
            self._load_torchvision(weights)

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """(B, in_channels, H, W) -> features at strides 2, 4, 8, 16 (poolings) and 32 (fc7)."""
        features = {}
        for stage, repeat in enumerate(self.repeats, start=1):
            for i in range(1, repeat + 1):
                x = F.relu(self.get_submodule(f"conv{stage}_{i}")(x), inplace=True)
            features[2**stage] = x = F.max_pool2d(x, 2, ceil_mode=True)
        x = self.dropout(F.relu(self.fc6(x), inplace=True))
        features[32] = self.dropout(F.relu(self.fc7(x), inplace=True))
        return features

    def _load_torchvision(self, name: str) -> None:
        """Copy torchvision's VGG-16: the same layers in the same order, but for its last one."""
        source = torchvision_weights("vgg16", name).get_state_dict(progress=True, check_hash=True)
        state = self.translate(source)
        self.load_state_dict({key: state[key] for key in self.state_dict()})

    def translate(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of torchvision's or timm's VGG-16 by the names here; those of others as they are.

        A dense layer over a 512×7×7 map is a 7×7 convolution of 512 channels: only reshaped.
        """
        layers = [name for name, module in self.named_modules() if isinstance(module, nn.Conv2d)]
        places = [f"features.{i}" for i in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)]
        names = dict(zip(places, layers, strict=False))
        for pair in (("classifier.0", "classifier.3"), ("pre_logits.fc1", "pre_logits.fc2")):
            names |= dict(zip(pair, ("fc6", "fc7"), strict=True))
        own, found = self.state_dict(), {}
        for key, value in state.items():
            layer, _, kind = key.rpartition(".")
            ours = f"{names.get(layer, layer)}.{kind}"
            reshaped = ours in own and value.numel() == own[ours].numel()
            found[ours] = value.reshape(own[ours].shape) if reshaped else value
        return found
