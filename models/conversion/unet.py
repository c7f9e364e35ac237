"""The U-Net port whose tensors are named inc.double_conv.0 … down1.maxpool_conv.1 … outc.conv."""

from typing import Any

from torch import Tensor

from upzoo.conversion.format import Layout, State, batch_norm, convolution, operator, shape

#: Their blocks, from fine to coarse, and of the decoder from coarse to fine.
ENCODER = ["inc", *(f"down{i}.maxpool_conv.1" for i in range(1, 5))]
DECODER = [f"up{i}.conv" for i in range(1, 5)]


class PortedUNet(Layout):
    """Four poolings; the decoder enlarges by a learned kernel of 2 and a bias, or bilinearly.

    The port pools with floor rounding and pads the enlarged maps, ours pools with ceil rounding and
    crops: they agree where both sides are multiples of 16. A convolution's bias before batch norm
    only shifts the mean that the norm takes off: norm(x + b; μ) = norm(x; μ − b).

    Args:
        bilinear: the variant without learned enlargement, whose corners are aligned.
        bias: the older version, whose convolutions have biases.
    """

    note = (
        "RGB images in 0 … 1; equals the original where height and width are multiples of 16 (the "
        "port halved photographs before)"
    )

    def __init__(self, bilinear: bool, bias: bool):
        self.name = "unet_bilinear" if bilinear else "unet"
        self.operator = "interpolate" if bilinear else "transposed_conv"
        self.bilinear = bilinear
        ours = [f"backbone.levels.{i}" for i in range(len(ENCODER))]
        ours += [f"blocks.{i}" for i in range(len(DECODER))]
        self.norms: dict[str, str] = {}  # of each convolution, by its name
        self.names = {}
        for block, our_block in zip([*ENCODER, *DECODER], ours, strict=True):
            for i, layer in enumerate((0, 3)):
                conv = f"{block}.double_conv.{layer}"
                norm = f"{block}.double_conv.{layer + 1}"
                self.norms[conv] = norm
                self.names |= convolution(conv, f"{our_block}.{i}.0", bias=False)
                self.names |= {f"{conv}.bias": None} if bias else {}
                self.names |= batch_norm(norm, f"{our_block}.{i}.1")
        if not bilinear:
            for i in range(len(DECODER)):
                self.names[f"up{i + 1}.up.weight"] = f"upsamples.{i}.weight"
                self.names[f"up{i + 1}.up.bias"] = f"biases.{i}"
        self.names |= convolution("outc.conv", "head")

    def spec(self, state: State) -> dict[str, Any]:
        """Channels and all widths as in the file."""

        def width(block: str, layer: int) -> int:
            return shape(state, f"{block}.double_conv.{layer}.weight")[0]

        options = {"mode": "bilinear", "align_corners": True} if self.bilinear else {"kernel": 2}
        return {
            "_target_": "models.unet.UNet",
            "upsample": operator(str(self.operator), **options),
            "num_classes": shape(state, "outc.conv.weight")[0],
            "in_channels": shape(state, "inc.double_conv.0.weight")[1],
            "backbone": "plain",
            "widths": [width(block, 3) for block in ENCODER],
            "decoder_widths": [[width(block, 0), width(block, 3)] for block in DECODER[::-1]],
            "keep": self.bilinear,
            "bias": not self.bilinear,
        }

    def values(self, state: State) -> dict[str, Tensor]:
        """Take the convolutions' biases into the norms, and let the others spread over the map."""
        values = dict(state)
        for conv, norm in self.norms.items():
            bias, mean = state.get(f"{conv}.bias"), state[f"{norm}.running_mean"]
            if bias is not None:
                if bias.shape != mean.shape:
                    raise ValueError(f"{conv}.bias has not the shape of {norm}.running_mean")
                # γ (x + b − μ) / √(σ² + ε) + β = γ (x − (μ − b)) / √(σ² + ε) + β
                values[f"{norm}.running_mean"] = mean - bias
        for key, our_key in self.names.items():
            if our_key is not None and our_key.startswith("biases."):
                values[key] = state[key].reshape(-1, 1, 1)
        return values


LAYOUTS: tuple[Layout, ...] = tuple(
    PortedUNet(bilinear, bias) for bilinear in (False, True) for bias in (False, True)
)
