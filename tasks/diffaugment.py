"""Augmentation of what a discriminator sees, with gradients to the images (Zhao et al. 2020)."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.optimisation import check_choice

#: Largest shift and side of the hole, in sides of the image.
SHIFT, HOLE = 1 / 8, 1 / 2


def color(images: Tensor) -> Tensor:
    """Brightness ± ½, saturation × 0 … 2, contrast × ½ … 1½, for each image its own."""
    brightness, saturation, contrast = torch.rand(3, len(images), 1, 1, 1, device=images.device)
    x = images + (brightness - 0.5)
    grey = x.mean(1, keepdim=True)
    x = (x - grey) * (2 * saturation) + grey
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) * (contrast + 0.5) + mean


def translation(images: Tensor) -> Tensor:
    """Shifts by up to an eighth of a side, in whole pixels; zeros come in."""
    count, _, height, width = images.shape
    most = [int(side * SHIFT + 0.5) for side in (height, width)]
    top, left = (torch.randint(2 * m + 1, (count, 1), device=images.device) for m in most)
    rows = top + torch.arange(height, device=images.device)
    columns = left + torch.arange(width, device=images.device)
    padded = F.pad(images, (most[1], most[1], most[0], most[0])).permute(0, 2, 3, 1)
    image = torch.arange(count, device=images.device)[:, None, None]
    return padded[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cutout(images: Tensor) -> Tensor:
    """A hole of zeros, half as wide and high as the image; some of it may fall outside."""
    count, _, *sides = images.shape
    inside = []
    for side in sides:
        hole = int(side * HOLE + 0.5)
        centre = torch.randint(side + 1 - hole % 2, (count, 1), device=images.device)
        away = torch.arange(side, device=images.device) - (centre - hole // 2)
        inside.append((away >= 0) & (away < hole))
    kept = ~(inside[0][:, None, :, None] & inside[1][:, None, None, :])
    return images * kept


#: In the order in which they are applied.
POLICY: dict[str, Callable[[Tensor], Tensor]] = {
    "color": color,
    "translation": translation,
    "cutout": cutout,
}


def check_policy(names: Sequence[str]) -> tuple[str, ...]:
    """The names in the order in which they are applied; refuses others than those of `POLICY`."""
    for name in [names] if isinstance(names, str) else names:
        check_choice("diffaugment", name, tuple(POLICY))
    return tuple(name for name in POLICY if name in names)


def augmented(images: Tensor, names: Sequence[str]) -> Tensor:
    """Images as the discriminator sees them: real and generated ones by the same random rules.

    Args:
        images: (B, C, H, W) in [-1, 1].
        names: of `POLICY`; none leaves the images as they are.
    """
    for name in names:
        images = POLICY[name](images)
    return images
