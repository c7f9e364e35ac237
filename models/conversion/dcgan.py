"""DCGANs of kernel 4, as PyTorch's example and three ports name them, at 32, 64 and 128 pixels."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from upzoo.conversion.format import (
    Format,
    State,
    batch_norm,
    convolution,
    operator,
    shape,
    spread_over_map,
    take_bias_in,
)

#: Side of the image by the number of doublings from 4×4.
SIDES = {3: 32, 4: 64, 5: 128}


class SquareImages(Format):
    """What both nets share: square images in −1 … 1, and no classes.

    Args:
        layers: their names of the convolutions and, where one follows, of the norms.
        bias: whether the convolutions have biases.
    """

    def __init__(self, layers: list[tuple[str, str | None]], bias: bool):
        self.layers, self.bias = layers, bias
        self.side = SIDES[len(layers) - 1]

    def card(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Images in −1 … 1."""
        return {"mean": [0.5] * spec["channels"], "std": [0.5] * spec["channels"]}

    def values(self, state: State) -> dict[str, Tensor]:
        """Take the biases before norms into the norms."""
        values = dict(state)
        for conv, norm in self.layers:
            if norm is not None:
                take_bias_in(values, conv, norm)
        return values


class GeneratorFormat(SquareImages):
    """Transposed convolutions of kernel 4, each but the last with batch norm and ReLU; tanh.

    Theirs take noise of (B, latent, 1, 1), ours of (B, latent).
    """

    name = "dcgan_generator"
    operator = "transposed_conv"
    note = "noise (B, latent), where the original has (B, latent, 1, 1)"

    def __init__(self, layers: list[tuple[str, str | None]], bias: bool = False):
        super().__init__(layers, bias)
        self.names = {}
        for i, (conv, norm) in enumerate(layers):
            ours = f"upsamples.{i - 1}" if i else "start"
            self.names |= convolution(conv, ours, bias=False)
            self.names |= {f"{conv}.bias": None} if bias else {}
            if norm is not None:
                self.names |= batch_norm(norm, f"norms.{i - 1}" if i else "start_norm")
        self.last = layers[-1][0]
        if bias:
            self.names[f"{self.last}.bias"] = "bias"

    def spec(self, state: State) -> dict[str, Any]:
        """Noise (nz), width (ngf) and the image's channels as in the file."""
        width, channels, *_ = shape(state, f"{self.last}.weight")
        return {
            "_target_": "models.dcgan.Generator",
            "upsample": operator("transposed_conv", kernel=4),
            "size": self.side,
            "channels": channels,
            "latent": shape(state, f"{self.layers[0][0]}.weight")[0],
            "width": width,
            "bias": self.bias,
        }

    def values(self, state: State) -> dict[str, Tensor]:
        """Take the biases before norms into the norms; the last spreads over the image."""
        values = super().values(state)
        if self.bias:
            spread_over_map(values, f"{self.last}.bias")
        return values


class DiscriminatorFormat(SquareImages):
    """Strided convolutions of kernel 4, all but the first and the last with batch norm.

    Theirs end with a sigmoid, ours gives the logits.
    """

    name = "dcgan_discriminator"
    note = "logits, whose sigmoid is the original's output"
    draws = False

    def __init__(self, layers: list[tuple[str, str | None]], bias: bool = False):
        super().__init__(layers, bias)
        ours = [0, *(3 * i - 1 for i in range(1, len(layers)))]  # 0, 2, 5, 8, 11
        self.names = {}
        for i, (conv, norm) in zip(ours, layers, strict=True):
            self.names |= convolution(conv, f"layers.{i}", bias=bias and norm is None)
            if norm is not None:
                self.names |= {f"{conv}.bias": None} if bias else {}
                self.names |= batch_norm(norm, f"layers.{i + 1}")

    def spec(self, state: State) -> dict[str, Any]:
        """Width (ndf) and the image's channels as in the file."""
        width, channels, *_ = shape(state, f"{self.layers[0][0]}.weight")
        return {
            "_target_": "models.dcgan.Discriminator",
            "size": self.side,
            "channels": channels,
            "width": width,
            "bias": self.bias,
        }


Layers = list[tuple[str, str | None]]


def _generator(doublings: int, conv: str, norm: str, first: int, step: int) -> Layers:
    """Layers by the patterns of their names; `step` and `first` number them."""
    numbers = [first + step * i for i in range(doublings + 1)]
    return [
        (conv.format(n), norm.format(n, n + 1) if i < doublings else None)
        for i, n in enumerate(numbers)
    ]


def _discriminator(halvings: int, conv: str, norm: str, numbers: list[int]) -> Layers:
    return [
        (conv.format(n), norm.format(n, n + 1) if 0 < i < halvings else None)
        for i, n in enumerate(numbers)
    ]


def _formats(steps: int) -> list[Format]:
    """The four projects' nets of this many steps."""
    counted = list(range(1, steps + 2))
    return [
        # PyTorch's example: main.0, main.1 …
        GeneratorFormat(_generator(steps, "main.{0}", "main.{1}", 0, 3)),
        DiscriminatorFormat(
            _discriminator(
                steps, "main.{0}", "main.{1}", [0, *(3 * i - 1 for i in range(1, steps + 1))]
            )
        ),
        # Lightning's bolts: gen.0.0, gen.0.1 …
        GeneratorFormat(_generator(steps, "gen.{0}.0", "gen.{0}.1", 0, 1)),
        DiscriminatorFormat(
            _discriminator(steps, "disc.{0}.0", "disc.{0}.1", list(range(steps + 1)))
        ),
        # tconv1, bn1 …
        GeneratorFormat(_generator(steps, "tconv{0}", "bn{0}", 1, 1)),
        DiscriminatorFormat(_discriminator(steps, "conv{0}", "bn{0}", counted)),
        # deconv1, deconv1_bn …, with biases
        GeneratorFormat(_generator(steps, "deconv{0}", "deconv{0}_bn", 1, 1), bias=True),
        DiscriminatorFormat(_discriminator(steps, "conv{0}", "conv{0}_bn", counted), bias=True),
    ]


FORMATS: tuple[Format, ...] = tuple(fmt for steps in (4, 3, 5) for fmt in _formats(steps))
