"""netG and netD of PyTorch's DCGAN example, at 64 pixels and as others made it 32 and 128."""

from collections.abc import Mapping
from typing import Any

from upzoo.conversion.format import Layout, State, batch_norm, convolution, operator, shape

#: Side of the image by the number of doublings from 4×4.
SIDES = {3: 32, 4: 64, 5: 128}


class ExampleNet(Layout):
    """What both nets share: square images in −1 … 1, and no classes."""

    def card(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Images in −1 … 1."""
        return {"mean": [0.5] * spec["channels"], "std": [0.5] * spec["channels"]}


class ExampleGenerator(ExampleNet):
    """`main`: transposed convolutions of kernel 4, each but the last with batch norm and ReLU.

    Theirs takes noise of (B, latent, 1, 1), ours of (B, latent).
    """

    name = "dcgan_generator"
    operator = "transposed_conv"
    note = "noise (B, latent), where the original has (B, latent, 1, 1)"

    def __init__(self, doublings: int):
        self.side = SIDES[doublings]
        self.last = f"main.{3 * doublings}.weight"
        self.names = convolution("main.0", "start", bias=False) | batch_norm("main.1", "start_norm")
        for i in range(doublings):
            self.names |= convolution(f"main.{3 * i + 3}", f"upsamples.{i}", bias=False)
            if i < doublings - 1:
                self.names |= batch_norm(f"main.{3 * i + 4}", f"norms.{i}")

    def spec(self, state: State) -> dict[str, Any]:
        """Noise (nz), width (ngf) and the image's channels as in the file."""
        width, channels, *_ = shape(state, self.last)
        return {
            "_target_": "models.dcgan.Generator",
            "upsample": operator("transposed_conv", kernel=4),
            "size": self.side,
            "channels": channels,
            "latent": shape(state, "main.0.weight")[0],
            "width": width,
        }


class ExampleDiscriminator(ExampleNet):
    """`main`: strided convolutions of kernel 4, all but the first and the last with batch norm.

    Theirs ends with a sigmoid, ours gives the logits.
    """

    name = "dcgan_discriminator"
    note = "logits, whose sigmoid is the original's output"

    def __init__(self, halvings: int):
        self.side = SIDES[halvings]
        positions = [0, *(3 * i - 1 for i in range(1, halvings + 1))]  # 0, 2, 5, 8, 11
        self.names = {}
        for i in positions:
            self.names |= convolution(f"main.{i}", f"layers.{i}", bias=False)
            if i not in (positions[0], positions[-1]):
                self.names |= batch_norm(f"main.{i + 1}", f"layers.{i + 1}")

    def spec(self, state: State) -> dict[str, Any]:
        """Width (ndf) and the image's channels as in the file."""
        width, channels, *_ = shape(state, "main.0.weight")
        return {
            "_target_": "models.dcgan.Discriminator",
            "size": self.side,
            "channels": channels,
            "width": width,
        }


LAYOUTS: tuple[Layout, ...] = (
    *(ExampleGenerator(n) for n in SIDES),
    *(ExampleDiscriminator(n) for n in SIDES),
)
