"""U-Nets of batch norm and two convolutions a level: four projects' names for the same function."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from upzoo.conversion.format import (
    Format,
    State,
    batch_norm,
    convolution,
    operator,
    shape,
    skip_first,
    spread_over_map,
    take_bias_in,
)

EVERY_SIZE = "images in 0 … 1; equals the original at every size"


@dataclass(frozen=True)
class Names:
    """What a project calls the layers of a U-Net.

    Attributes:
        levels: the encoder's, from fine to coarse: two pairs of a convolution and its norm.
        steps: the decoder's, from coarse to fine.
        ups: what enlarges, from coarse to fine.
        head: what scores the classes.
    """

    levels: Sequence[Sequence[tuple[str, str]]]
    steps: Sequence[Sequence[tuple[str, str]]]
    ups: Sequence[str]
    head: str


class ConvolutionalUNet(Format):
    """The decoder enlarges by a learned kernel of 2 and a bias, or bilinearly with aligned corners.

    The originals pool with floor rounding and pad the enlarged maps with zeros, as `PortedUNet`
    with `floor`. A convolution's bias before batch norm becomes part of the norm's mean.

    Args:
        name: of the format.
        layers: their names.
        bilinear: enlarge without learned kernels; "projected" with a 1×1 convolution after it,
            which commutes with the enlargement, so that ours has it before.
        bias: whether the convolutions before the norms have biases.
        enlarged_first: they concatenate (enlarged, skip), we (skip, enlarged).
        note: as in `Format`.
        card: what the card has beside normalisation and classes.
    """

    def __init__(
        self,
        name: str,
        layers: Names,
        *,
        bilinear: bool | str = False,
        bias: bool = False,
        enlarged_first: bool = False,
        note: str = EVERY_SIZE,
        card: dict[str, Any] | None = None,
    ):
        self.name, self.layers, self.note = name, layers, note
        self.bilinear, self.enlarged_first, self.extra = bilinear, enlarged_first, card or {}
        self.operator = "interpolate" if bilinear else "transposed_conv"
        ours = [f"backbone.levels.{i}" for i in range(len(layers.levels))]
        ours += [f"blocks.{i}" for i in range(len(layers.steps))]
        self.names = {}
        for block, our_block in zip([*layers.levels, *layers.steps], ours, strict=True):
            for i, (conv, norm) in enumerate(block):
                self.names |= convolution(conv, f"{our_block}.{i}.0", bias=False)
                self.names |= {f"{conv}.bias": None} if bias else {}
                self.names |= batch_norm(norm, f"{our_block}.{i}.1")
        if bilinear is not True:
            ours_up = "upsamples.{}.project.weight" if bilinear else "upsamples.{}.weight"
            for i, up in enumerate(layers.ups):
                self.names |= {f"{up}.weight": ours_up.format(i), f"{up}.bias": f"biases.{i}"}
        self.names |= convolution(layers.head, "head")

    def spec(self, state: State) -> dict[str, Any]:
        """Channels and all widths as in the file."""
        widths = [_widths(state, level)[-1] for level in self.layers.levels]
        steps = [_widths(state, step) for step in self.layers.steps]
        keep = self.bilinear is True
        options = {"mode": "bilinear", "align_corners": True} if self.bilinear else {"kernel": 2}
        if not self.bilinear:  # one version enlarges without halving the channels
            into, out, *_ = shape(state, f"{self.layers.ups[0]}.weight")
            keep = into == out
        return {
            "_target_": "models.ported_unet.PortedUNet",
            "upsample": operator(str(self.operator), **options),
            "num_classes": shape(state, f"{self.layers.head}.weight")[0],
            "in_channels": shape(state, f"{self.layers.levels[0][0][0]}.weight")[1],
            "backbone": "plain",
            "widths": widths,
            "decoder_widths": steps[::-1],
            "keep": keep,
            "bias": self.bilinear is not True,
            "floor": True,
        }

    def values(self, state: State) -> dict[str, Tensor]:
        """Take biases into the norms, and give the others and the kernels our order."""
        values = dict(state)
        for block in [*self.layers.levels, *self.layers.steps]:
            for conv, norm in block:
                take_bias_in(values, conv, norm)
        if self.bilinear is not True:
            for up in self.layers.ups:
                spread_over_map(values, f"{up}.bias")
        if self.enlarged_first:
            for step, level in zip(self.layers.steps, self.layers.levels[-2::-1], strict=True):
                skip_first(values, step[0][0], _widths(state, level)[-1])
        return values

    def card(self, spec: Any) -> dict[str, Any]:
        """Images in 0 … 1, classes, and what else the project's images need."""
        return super().card(spec) | self.extra


def _widths(state: State, block: Sequence[tuple[str, str]]) -> list[int]:
    return [shape(state, f"{conv}.weight")[0] for conv, _ in block]


def _sequential(prefix: str) -> list[tuple[str, str]]:
    """Convolution, norm and ReLU, twice, in one `Sequential`."""
    return [(f"{prefix}.{i}", f"{prefix}.{i + 1}") for i in (0, 3)]


def _popular(poolings: int, block: str = "double_conv", pooled: str = "maxpool_conv") -> Names:
    """inc.double_conv.0 … down1.maxpool_conv.1 … outc.conv; inc.conv.conv.0 in older versions."""
    inner = f"conv.{block}" if block == "conv" else block
    return Names(
        levels=[
            _sequential(f"inc.{inner}"),
            *(_sequential(f"down{i}.{pooled}.1.{block}") for i in range(1, poolings + 1)),
        ],
        steps=[_sequential(f"up{i}.conv.{block}") for i in range(1, poolings + 1)],
        ups=[f"up{i}.up" for i in range(1, poolings + 1)],
        head="outc.conv",
    )


def _lightning(poolings: int, projected: bool) -> Names:
    """layers.0.net.0 … layers.1.net.1.net.0 … layers.5.conv.net.0: the U-Net of Lightning bolts."""
    decoder = range(poolings + 1, 2 * poolings + 1)
    return Names(
        levels=[
            _sequential("layers.0.net"),
            *(_sequential(f"layers.{i}.net.1.net") for i in range(1, poolings + 1)),
        ],
        steps=[_sequential(f"layers.{i}.conv.net") for i in decoder],
        ups=[f"layers.{i}.upsample{'.1' if projected else ''}" for i in decoder],
        head=f"layers.{2 * poolings + 1}",
    )


def _brain() -> Names:
    """encoder1.enc1conv1 … bottleneck … decoder1.dec1conv1: torch.hub's brain segmentation."""

    def pair(block: str, prefix: str) -> list[tuple[str, str]]:
        return [(f"{block}.{prefix}conv{i}", f"{block}.{prefix}norm{i}") for i in (1, 2)]

    steps = range(4, 0, -1)
    return Names(
        levels=[
            *(pair(f"encoder{i}", f"enc{i}") for i in range(1, 5)),
            pair("bottleneck", "bottleneck"),
        ],
        steps=[pair(f"decoder{i}", f"dec{i}") for i in steps],
        ups=[f"upconv{i}" for i in steps],
        head="conv",
    )


#: How often an image is halved: all of them have four in print, and others were trained.
POOLINGS = (4, 3, 5, 2, 6, 1)

FORMATS: tuple[Format, ...] = (
    *(
        ConvolutionalUNet(
            "unet_bilinear" if bilinear else "unet",
            _popular(poolings, *names),
            bilinear=bilinear,
            bias=bias,
        )
        for poolings in POOLINGS
        for names, biases in (((), (False, True)), (("conv", "mpconv"), (True,)))
        for bilinear in (False, True)
        for bias in biases
    ),
    ConvolutionalUNet(
        "unet_brain",
        _brain(),
        enlarged_first=True,
        note=(
            "each image normalised by its own mean and std; logits, whose sigmoid is the "
            "original's output, at the multiples of 16 that it takes"
        ),
        card={"per_image": True},
    ),
    *(
        ConvolutionalUNet(
            "unet_lightning_bilinear" if bilinear else "unet_lightning",
            _lightning(poolings, bilinear),
            bilinear="projected" if bilinear else False,
            bias=bias,
        )
        for poolings in POOLINGS
        for bilinear in (False, True)
        for bias in (False, True)
    ),
)
