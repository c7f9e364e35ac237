"""Images for the calibration: real, drawn and 1/f ones, grids put into them, harmless changes."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from data.drawing import draw

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")


def crops(folder: Path, count: int, size: int) -> Tensor:
    """Random square crops of `count` pictures of a folder, evenly chosen, grey in 0…1.

    Raises:
        FileNotFoundError: fewer pictures than `count` that are large enough to crop.
    """
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES)
    if len(paths) < count:
        raise FileNotFoundError(f"{folder} holds {len(paths)} pictures: give {count} or more")
    rng = np.random.default_rng(0)
    found = []
    for place in range(count):
        picture = np.asarray(Image.open(paths[place * len(paths) // count]).convert("L"))
        top, left = (int(rng.integers(0, n - size + 1)) for n in picture.shape)
        found.append(picture[top : top + size, left : left + size])
    return torch.from_numpy(np.stack(found))[:, None].float() / 255


def drawn(count: int, size: int) -> Tensor:
    """Drawn scenes, the data set "shapes", grey in 0…1."""
    scenes = [draw((0, 0, index), size, size, zoom=1.5)[0].mean(0) for index in range(count)]
    return torch.from_numpy(np.stack(scenes))[:, None].float() / 255


def pink(count: int, size: int, seed: int) -> Tensor:
    """Gaussian noise with an amplitude of 1/f, mean 0 and variance 1 in each image."""
    f = torch.fft.fftfreq(size)
    radius = torch.hypot(f[:, None], f)
    # amplitude 1/|f|, and no constant part
    gain = torch.where(radius > 0, 1 / radius, 0)
    noise = torch.randn(count, 1, size, size, generator=torch.Generator().manual_seed(seed))
    images = torch.fft.ifft2(torch.fft.fft2(noise) * gain).real
    return images / images.std((-2, -1), correction=0, keepdim=True)


# Grids of a period: what is added to images at amplitude 1.


def cells(size: int, period: int, across: bool = True) -> Tensor:
    """Cells of half a period with the sign of a checkerboard, or columns.

    Mean 0, root mean square 1. Over a period of 3 the cells are 2 pixels and 1 pixel wide.
    """
    cell = 1.0 - 2.0 * (2 * torch.arange(size).remainder(period) // period)
    pattern = cell[:, None] * cell if across else cell.expand(size, size)
    unit = pattern[:period, :period]
    return (pattern - unit.mean()) / unit.std(correction=0)


def checker(images: Tensor, period: int) -> Tensor:
    """A checkerboard, the same in all images."""
    return cells(images.shape[-1], period).expand_as(images)


def columns(images: Tensor, period: int) -> Tensor:
    """Vertical stripes, the same in all images."""
    return cells(images.shape[-1], period, across=False).expand_as(images)


def random_sign(images: Tensor, period: int) -> Tensor:
    """A checkerboard whose sign is drawn anew for each square of 4 periods and each image."""
    side = 4 * period
    count = -(-images.shape[-1] // side)
    generator = torch.Generator().manual_seed(1)
    drawn = torch.randint(0, 2, (len(images), 1, count, count), generator=generator) * 2.0 - 1
    spread = drawn.repeat_interleave(side, -1).repeat_interleave(side, -2)
    return spread[..., : images.shape[-2], : images.shape[-1]] * checker(images, period)


def gain_ripple(images: Tensor, period: int) -> Tensor:
    """The image's own contrast times a checkerboard; its mean is left alone."""
    return (images - images.mean((-2, -1), keepdim=True)) * checker(images, period)


def phase_noise(images: Tensor, period: int) -> Tensor:
    """White noise on one of the p² phases."""
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(2))
    there = torch.arange(images.shape[-1]) % period == 0
    return noise * (there[:, None] & there)


GRIDS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "checker": checker,
    "columns": columns,
    "random sign": random_sign,
    "gain ripple": gain_ripple,
    "one-phase noise": phase_noise,
}


# Changes that are no checkerboards.


def blurred(images: Tensor, sigma: float = 1.0) -> Tensor:
    """Gaussian blur of `sigma` pixels."""
    steps = torch.arange(-int(4 * sigma + 1), int(4 * sigma + 1) + 1)
    kernel = torch.exp(-(steps**2) / (2 * sigma**2))
    kernel /= kernel.sum()
    pad = len(steps) // 2
    padded = F.pad(images, (pad, pad, pad, pad), mode="reflect")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))


def noisy(images: Tensor, sigma: float = 0.02) -> Tensor:
    """White noise of `sigma` on every pixel."""
    return images + sigma * torch.randn(images.shape, generator=torch.Generator().manual_seed(3))


def jpeg(images: Tensor, quality: int) -> Tensor:
    """Saved and read again as JPEG, which codes blocks of 8×8 pixels: a real grid of period 8."""
    found = []
    for image in (images[:, 0] * 255).round().clamp(0, 255).byte().numpy():
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=quality)
        found.append(np.asarray(Image.open(buffer)))
    return torch.from_numpy(np.stack(found))[:, None].float() / 255


def enlarged(images: Tensor, scale: int, mode: str) -> Tensor:
    """The upper left part, enlarged to the size of the whole."""
    part = images[..., : images.shape[-2] // scale, : images.shape[-1] // scale]
    if mode == "nearest":
        return F.interpolate(part, scale_factor=scale, mode=mode)
    return F.interpolate(part, scale_factor=scale, mode=mode, align_corners=False)


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "clean": lambda images: images,
    "blurred, σ = 1": blurred,
    "noisy, σ = 0.02": noisy,
    "nearest ×2": lambda images: enlarged(images, 2, "nearest"),
    "nearest ×4": lambda images: enlarged(images, 4, "nearest"),
    "bilinear ×2": lambda images: enlarged(images, 2, "bilinear"),
    "JPEG 75": lambda images: jpeg(images, 75),
    "JPEG 50": lambda images: jpeg(images, 50),
}
