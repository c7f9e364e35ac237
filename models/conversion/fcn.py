"""FCN-32s, -16s and -8s of the PyTorch ports that keep the Caffe nets' layer names."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from upzoo.backbones import VGG16
from upzoo.conversion.format import Layout, State, classes, convolution, operator, shape

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


class ReleasedFCN(Layout):
    """VGG-16 in the paper's padded layout with dense transposed kernels (Long et al. 2015).

    They read BGR from 0 to 255 minus the mean colour. A mean of MEAN / 255 and a std of 1 / 255
    make exactly that of an image in 0 … 1, but in RGB: so conv1_1 has its input channels turned
    round, and the padding with zeros is one with the mean colour, as it was.

    Args:
        stride: 32, 16 or 8.
        at_once: the 8s net that was trained in one go. It multiplies the fourth pooling by 0.01
            and the third by 0.0001 before their scores; here their kernels are. Its names are those
            of the other 8s net.
    """

    operator = "transposed_conv"
    note = "RGB images normalised by mean and std; equals the original at every size"

    def __init__(self, stride: int, at_once: bool = False):
        self.name = f"fcn{stride}s{'_at_once' if at_once else ''}"
        self.stride = stride
        self.at_once = at_once
        layers = [f"conv{s}_{i + 1}" for s, n in enumerate(VGG16.repeats, 1) for i in range(n)]
        scores, enlargements = DECODERS[stride]
        self.names = {}
        for layer in [*layers, "fc6", "fc7"]:
            self.names |= convolution(layer, f"backbone.{layer}")
        for i, layer in enumerate(scores):
            self.names |= convolution(layer, f"scores.{i}")
        for i, layer in enumerate(enlargements):
            self.names |= convolution(layer, f"upsamples.{i}", bias=False)

    def spec(self, state: State) -> dict[str, Any]:
        """Width and classes as in the file."""
        width, in_channels, *_ = shape(state, "conv1_1.weight")
        if in_channels != len(MEAN):
            raise ValueError(f"conv1_1.weight reads {in_channels} channels, and BGR has 3")
        return {
            "_target_": "models.fcn.FCN",
            "upsample": operator("transposed_conv"),
            "num_classes": shape(state, "score_fr.weight")[0],
            "in_channels": in_channels,
            "stride": self.stride,
            "backbone": "vgg16",
            "width": width,
            "padded": True,
        }

    def values(self, state: State) -> dict[str, Tensor]:
        """Turn BGR into RGB, and take the factors on the poolings in."""
        values = dict(state)
        values["conv1_1.weight"] = state["conv1_1.weight"].flip(1)
        if self.at_once:
            values["score_pool4.weight"] = state["score_pool4.weight"] * 0.01
            values["score_pool3.weight"] = state["score_pool3.weight"] * 0.0001
        return values

    def card(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """The mean colour, and pixels in steps of 1."""
        mean, std = [value / 255 for value in MEAN], [1 / 255] * 3
        return {"mean": mean, "std": std, **classes(spec["num_classes"])}


LAYOUTS: tuple[Layout, ...] = (*(ReleasedFCN(s) for s in DECODERS), ReleasedFCN(8, at_once=True))
