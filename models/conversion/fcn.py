"""FCN-32s, -16s and -8s in the paper's padded form, under the names of two families of ports."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from upzoo.backbones import VGG16
from upzoo.conversion.format import (
    IMAGENET,
    Format,
    State,
    classes,
    convolution,
    operator,
    shape,
)

#: Caffe's mean colour of ImageNet, in RGB from 0 to 255.
MEAN = (122.67891434, 116.66876762, 104.00698793)
#: Names of the score layers and of the enlargements, from coarse to fine, by stride.
DECODERS = {
    32: (["score_fr"], ["upscore"]),
    16: (["score_fr", "score_pool4"], ["upscore2", "upscore16"]),
    8: (
        ["score_fr", "score_pool4", "score_pool3"],
        ["upscore2", "upscore_pool4", "upscore8"],
    ),
}
#: Factors on the poolings of nets trained in one go; here the kernels of their scores have them.
AT_ONCE = {"score_pool4": 0.01, "score_pool3": 0.0001}
LAYERS = [f"conv{s}_{i + 1}" for s, n in enumerate(VGG16.repeats, 1) for i in range(n)]


class PaddedFCN(Format):
    """VGG-16 in the paper's padded form with dense transposed kernels (Long et al. 2015).

    Args:
        name: of the format.
        stride: 32, 16 or 8.
        layers: their names of VGG-16's convolutions, fc6 and fc7, in order.
        score: their name of score_fr.
        at_once: the net was trained in one go. It multiplies the fourth pooling by 0.01 and the
            third by 0.0001 before their scores; here their kernels are.
    """

    operator = "transposed_conv"

    def __init__(self, name: str, stride: int, layers: list[str], score: str, at_once: bool):
        self.name, self.stride, self.at_once = name, stride, at_once
        self.first, self.score = layers[0], score
        scores, enlargements = DECODERS[stride]
        self.names = {}
        for layer, ours in zip(layers, [*LAYERS, "fc6", "fc7"], strict=True):
            self.names |= convolution(layer, f"backbone.{ours}")
        for i, layer in enumerate([score, *scores[1:]]):
            self.names |= convolution(layer, f"scores.{i}")
        for i, layer in enumerate(enlargements):
            self.names |= convolution(layer, f"upsamples.{i}", bias=False)

    def spec(self, state: State) -> dict[str, Any]:
        """Width and classes as in the file."""
        width, in_channels, *_ = shape(state, f"{self.first}.weight")
        return {
            "_target_": "models.fcn.FCN",
            "upsample": operator("transposed_conv"),
            "num_classes": shape(state, f"{self.score}.weight")[0],
            "in_channels": in_channels,
            "stride": self.stride,
            "backbone": "vgg16",
            "width": width,
            "padded": True,
        }

    def values(self, state: State) -> dict[str, Tensor]:
        """Take the factors on the poolings in."""
        factors = AT_ONCE if self.at_once else {}
        scaled = {f"{layer}.weight": factor for layer, factor in factors.items()}
        return {k: v * scaled[k] if k in scaled else v for k, v in state.items()}


class CaffeFCN(PaddedFCN):
    """The ports that keep the Caffe nets' layer names, conv1_1 … upscore8.

    They read BGR from 0 to 255 minus the mean colour. A mean of MEAN / 255 and a std of 1 / 255
    make exactly that of an image in 0 … 1, but in RGB: so conv1_1 has its input channels turned
    round, and the padding with zeros is one with the mean colour, as it was.
    """

    note = "RGB images normalised by mean and std; equals the original at every size"

    def __init__(self, stride: int, at_once: bool = False):
        name = f"fcn{stride}s{'_at_once' if at_once else ''}"
        super().__init__(name, stride, [*LAYERS, "fc6", "fc7"], "score_fr", at_once)
        if stride == 8 and not at_once:
            self.alternative = (
                "the FCN-8s trained at once has the same names, and other masks: "
                "format=fcn8s_at_once if it is that one"
            )

    def spec(self, state: State) -> dict[str, Any]:
        """Width and classes as in the file."""
        spec = super().spec(state)
        if spec["in_channels"] != len(MEAN):
            raise ValueError(f"conv1_1.weight reads {spec['in_channels']} channels, and BGR has 3")
        return spec

    def values(self, state: State) -> dict[str, Tensor]:
        """Turn BGR into RGB, and take the factors on the poolings in."""
        values = super().values(state)
        values["conv1_1.weight"] = state["conv1_1.weight"].flip(1)
        return values

    def card(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """The mean colour, and pixels in steps of 1."""
        mean, std = [value / 255 for value in MEAN], [1 / 255] * 3
        return {"mean": mean, "std": std, **classes(spec["num_classes"])}


class FeaturesFCN(PaddedFCN):
    """The port that cuts torchvision's VGG-16 at its poolings: features3, features4, features5.

    Its nets are those trained at once: the factors on the poolings are in its code.
    """

    note = (
        "RGB images normalised by mean and std, as the port's training has them; equals the "
        "original at every size"
    )

    def __init__(self, stride: int):
        # torchvision's `features` has the convolutions here, with a ReLU after each; poolings are
        # at 4, 9, 16, 23 and 30. What follows the pooling of a skip is a `Sequential` of its own.
        places = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
        ends = {32: ((5, 31),), 16: ((4, 24), (5, 31)), 8: ((3, 17), (4, 24), (5, 31))}[stride]
        layers, start = [], 0
        for part, end in ends:
            layers += [f"features{part}.{p - start}" for p in places if start <= p < end]
            start = end
        layers += ["score_fr.0", "score_fr.3"]
        super().__init__(f"fcn{stride}s_features", stride, layers, "score_fr.6", at_once=True)

    def card(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """ImageNet's mean and std."""
        if spec["in_channels"] != 3:
            return super().card(spec)
        return {**IMAGENET, **classes(spec["num_classes"])}


FORMATS: tuple[Format, ...] = (
    *(CaffeFCN(stride) for stride in DECODERS),
    CaffeFCN(8, at_once=True),
    *(FeaturesFCN(stride) for stride in DECODERS),
)
