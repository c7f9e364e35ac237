"""Draw images with a generator: from noise, and on the way from one noise to another."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from data.files import MOST_PIXELS
from panels.samples import sample_grid
from tasks import photos
from upzoo.base import Net, NoiseNet
from upzoo.counts import check_counts

#: Images in a row of a picture, and on each way from one noise to another.
COLUMNS = 8
#: Drawn by one command: their noise fits into memory.
MOST_IMAGES = 1_000_000


def parts_of(net: NoiseNet, z: Tensor) -> Iterator[Tensor]:
    """Images (up to 64, channels, H, W) in [-1, 1] of noise (count, latent), part by part."""
    for part in z.split(64):
        with torch.inference_mode():
            images = net(part)
        yield images


def noise(net: NoiseNet, count: int, seed: int) -> Tensor:
    """Gaussian noise (count, latent) that the seed decides."""
    check_counts(samples=count)
    return torch.randn(count, net.latent, generator=torch.Generator().manual_seed(seed))


def interpolate(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Points on the great circles from `start` to `end`, both included (White 2016, "slerp").

    The mean of two Gaussian vectors is shorter than either; the arc between them is not.

    Args:
        start: (n, d).
        end: (n, d).
        steps: points of each arc.

    Returns:
        (n·steps, d), arc by arc.
    """
    cosine = torch.cosine_similarity(start, end).clamp(-1, 1)
    angle = cosine.acos().clamp_min(1e-6)[:, None, None]  # (n, 1, 1)
    t = torch.linspace(0, 1, steps, device=start.device)[None, :, None]  # (1, steps, 1)
    # (sin((1 − t)Ω)·a + sin(tΩ)·b) / sin Ω
    arc = ((1 - t) * angle).sin() * start[:, None] + (t * angle).sin() * end[:, None]
    return (arc / angle.sin()).flatten(0, 1)


def draw_file(
    net: Net, samples: int | None, ways: int | None, seed: int, target: str | None
) -> None:
    """Draw images with a generator; write them as one picture, or each as a file of its own.

    Args:
        net: a generator, in evaluation mode.
        samples: how many images, each of a noise of its own; or none.
        ways: instead: how many rows of 8 images that go from one noise to another.
        seed: of the noise.
        target: a PNG file for all, or a folder for single images.

    Raises:
        ValueError: a net that draws nothing, both numbers, or a file that is no PNG.
    """
    asked = f"samples={samples}" if ways is None else f"interpolation={ways}"
    if not isinstance(net, NoiseNet):
        raise ValueError(f"{asked}: this net draws nothing from noise: give input=")
    if samples is not None and ways is not None:
        raise ValueError("samples= and interpolation= are two pictures: give one of them")
    path = Path(target or ("samples.png" if ways is None else "interpolation.png"))
    if path.suffix and path.suffix.lower() != ".png" and not path.is_dir():
        raise ValueError(
            f"output={path}: a picture is a PNG file: give a name ending in .png, or a folder "
            "for single images"
        )
    if (samples or COLUMNS * (ways or 0)) > MOST_IMAGES:
        raise ValueError(f"{asked}: at most {MOST_IMAGES:,} images are drawn")
    z = noise(net, samples or 0, seed) if ways is None else between(net, ways, seed)
    if path.suffix and not path.is_dir():
        if len(z) * math.prod(next(parts_of(net, z[:1])).shape[-2:]) > MOST_PIXELS:
            raise ValueError(
                f"{asked}: a picture of more than {MOST_PIXELS / 1e6:.0f} million pixels: draw "
                "fewer, or give a folder for single images, output=FOLDER"
            )
        images = torch.cat(list(parts_of(net, z)))
        photos.save_pixels(sample_grid(images, min(COLUMNS, len(images))), path)
    else:  # any number of them, a part at a time
        for index, image in enumerate(itertools.chain.from_iterable(parts_of(net, z))):
            photos.save_pixels(levels(image), path / f"{index:05}.png")
    print(f"{len(z)} images drawn: {path}")


def between(net: NoiseNet, ways: int, seed: int) -> Tensor:
    """Noise (8·ways, latent) on the ways from every second noise of a seed to the next."""
    check_counts(interpolation=ways)
    z = noise(net, 2 * ways, seed)
    return interpolate(z[0::2], z[1::2], COLUMNS)


def levels(image: Tensor) -> Tensor:
    """An image (C, H, W) in [-1, 1] as uint8."""
    return ((image.clamp(-1, 1) + 1) * 127.5).round().byte()
