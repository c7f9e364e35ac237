"""Joint transforms of an image and its mask, built from torchvision.transforms.v2."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

AUGMENT = {"scale": (1.0, 1.0), "flip": 0.0, "colour": 0.0}


def resize(inpt: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Resizes images antialiased-bilinear and masks nearest, both about pixel centres.

    torchvision's own mask kernel is `nearest`, which shifts a mask by up to half a source pixel
    against its image; `nearest-exact` does not.
    """
    if isinstance(inpt, tv_tensors.Mask):
        plain = inpt.as_subclass(torch.Tensor)[None]
        out = F.resize_image(plain, list(size), interpolation=InterpolationMode.NEAREST_EXACT)
        return tv_tensors.Mask(out[0])
    return F.resize(inpt, list(size), antialias=True)


class Resize(v2.Transform):
    """Resizes image and mask to `size` = (height, width)."""

    def __init__(self, size: Sequence[int]) -> None:
        super().__init__()
        self.size = tuple(size)

    def transform(self, inpt: torch.Tensor, params: dict[str, Any]) -> torch.Tensor:
        """Resizes one of the pair."""
        return resize(inpt, self.size)


class RandomScale(v2.Transform):
    """Scales image and mask by one factor, log-uniform in [low, high], of their own size."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draws the factor and gives the size that follows."""
        # factor = low · (high / low)^u, u ~ U(0, 1)
        factor = self.low * (self.high / self.low) ** torch.rand(()).item()
        height, width = flat_inputs[0].shape[-2:]
        return {"size": [max(1, round(height * factor)), max(1, round(width * factor))]}

    def transform(self, inpt: torch.Tensor, params: dict[str, Any]) -> torch.Tensor:
        """Resizes one of the pair."""
        return resize(inpt, params["size"])


def finish(mean: Sequence[float], std: Sequence[float]) -> list[v2.Transform]:
    """The last steps of every transform: float image (x / 255 - mean) / std and int64 mask."""
    return [
        v2.ToDtype({tv_tensors.Image: torch.float32, tv_tensors.Mask: torch.int64}, scale=True),
        v2.Normalize(list(mean), list(std)),
        v2.ToPureTensor(),
    ]


def train_transform(
    size: Sequence[int],
    mean: Sequence[float],
    std: Sequence[float],
    ignore_index: int,
    augment: Mapping[str, Any] | None = None,
) -> v2.Compose:
    """Scale jitter, random crop to `size`, flip, colour jitter, normalise.

    Where the scaled image is smaller than the crop, it is padded with the mean colour and the mask
    with `ignore_index`.

    Args:
        size: (height, width) of the crop in pixels.
        mean: mean colour in 0 .. 1, per channel.
        std: deviation, per channel.
        ignore_index: mask value of padding.
        augment: `scale` (low, high), `flip` probability, `colour` strength of the brightness,
            contrast and saturation jitter; what is left out is off, None is all off.

    Raises:
        ValueError: an unknown option or a value out of range.
    """
    options = check_augment(augment)
    fill = {tv_tensors.Image: [round(255 * m) for m in mean], tv_tensors.Mask: ignore_index}
    steps: list[v2.Transform] = []
    if tuple(options["scale"]) != (1.0, 1.0):
        steps.append(RandomScale(*options["scale"]))
    steps.append(v2.RandomCrop(list(size), pad_if_needed=True, fill=fill))
    if options["flip"]:
        steps.append(v2.RandomHorizontalFlip(options["flip"]))
    if colour := options["colour"]:
        steps.append(v2.ColorJitter(brightness=colour, contrast=colour, saturation=colour))
    return v2.Compose(steps + finish(mean, std))


def eval_transform(
    mean: Sequence[float], std: Sequence[float], size: Sequence[int] | None = None
) -> v2.Compose:
    """Normalises, after a resize to `size` = (height, width) where one is given."""
    return v2.Compose(([Resize(size)] if size else []) + finish(mean, std))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_augment(augment: Mapping[str, Any] | None) -> dict[str, Any]:
    """The options with what is left out filled in as off; refuses wrong names and values."""
    options = {**AUGMENT, **(augment or {})}
    for name in options.keys() - AUGMENT.keys():
        raise ValueError(f"augment.{name} is unknown: use {', '.join(AUGMENT)}")
    scale = options["scale"]
    if (
        not isinstance(scale, Sequence)
        or len(scale) != 2
        or not all(map(_is_number, scale))
        or not 0 < scale[0] <= scale[1] < math.inf
    ):
        raise ValueError(f"augment.scale={scale} must be [low, high] with 0 < low <= high")
    for name in ("flip", "colour"):
        if not _is_number(options[name]) or not 0 <= options[name] <= 1:
            raise ValueError(f"augment.{name}={options[name]} must lie in 0 .. 1")
    return options
