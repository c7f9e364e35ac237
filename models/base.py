"""What each net of the zoo says of itself."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from torch import nn


class Net(nn.Module):
    """A net with its name, and what goes into it and comes out.

    Attributes:
        takes: "images" (B, C, H, W), or "noise" (B, latent).
        makes: "maps", values for each pixel, "images", or "scores" of whole images.
        scale: how many times larger its output is than its input.
    """

    takes: ClassVar[Literal["images", "noise"]] = "images"
    makes: ClassVar[Literal["maps", "images", "scores"]] = "maps"
    scale: int = 1

    @property
    def label(self) -> str:
        """The name in records, folders and tables."""
        return type(self).__name__.lower()

    def input_shape(self, image_shape: Sequence[int]) -> tuple[int, ...]:
        """Of one input, without the batch, where images are of `image_shape` = (C, H, W)."""
        return tuple(image_shape)

    @property
    def deployed(self) -> nn.Module:
        """The part that is used once the net is trained: all of it."""
        return self


class NoiseNet(Net):
    """A net that draws images from noise.

    Attributes:
        latent: numbers of noise.
    """

    takes = "noise"
    makes = "images"
    latent: int

    def input_shape(self, image_shape: Sequence[int]) -> tuple[int, ...]:
        """Of the noise of one image."""
        return (self.latent,)


def input_shape(net: nn.Module, image_shape: Sequence[int]) -> tuple[int, ...]:
    """Of one input of any module: an image, unless it is a `Net` that takes something else."""
    return net.input_shape(image_shape) if isinstance(net, Net) else tuple(image_shape)
