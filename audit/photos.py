"""The user's own pictures, as a net takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
MOST = 8  # pictures that are looked at

Normalisation = tuple[Sequence[float], Sequence[float]]


def normalisation(net: nn.Module) -> Normalisation | None:
    """Mean and standard deviation by channel that a net's own configuration names."""
    for name in ("pretrained_cfg", "default_cfg"):
        config = getattr(net, name, None)
        if isinstance(config, Mapping) and config.get("mean"):
            return config["mean"], config["std"]
    return None


def load(
    images: Any, like: Tensor, scaled: Normalisation | None = None, most: int = MOST
) -> Iterator[Tensor]:
    """Pictures of the shape, device and dtype of an example, (1, C, H, W) each.

    They are enlarged to cover the example's size where they are smaller, and cut from the middle.

    Args:
        images: a folder, a file, a tensor (C, H, W) or (B, C, H, W) in [0, 1], or several.
        like: the example's picture.
        scaled: mean and standard deviation to normalise by.
        most: so many at most.

    Raises:
        FileNotFoundError: for a path where there is nothing, or no picture.
        ValueError: for a net that takes no pictures, or a file that is none.
    """
    if like.ndim != 4 or like.shape[1] not in (1, 3):
        raise ValueError(
            f"images: the net takes {tuple(like.shape)}, no pictures of one or three channels"
        )
    channels, height, width = like.shape[1:]
    for x in _tensors(images, channels, most):
        factor = max(height / x.shape[-2], width / x.shape[-1])
        if factor > 1:
            size = [
                max(round(n * factor), least)
                for n, least in zip(x.shape[-2:], (height, width), strict=True)
            ]
            x = torch.nn.functional.interpolate(
                x, size=size, mode="bicubic", align_corners=False, antialias=True
            )
        top, left = ((n - m) // 2 for n, m in zip(x.shape[-2:], (height, width), strict=True))
        x = x[..., top : top + height, left : left + width]
        if scaled is not None and len(scaled[0]) == channels:
            mean, std = (torch.tensor(v, dtype=x.dtype).view(1, -1, 1, 1) for v in scaled)
            x = (x - mean) / std
        yield x.expand(len(like), -1, -1, -1).to(like).contiguous()


def _tensors(images: Any, channels: int, most: int) -> Iterator[Tensor]:
    if isinstance(images, Tensor):
        images = list(images) if images.ndim == 4 else [images]
    if isinstance(images, str | Path):
        for path in files(images, most):
            yield read(path, channels)
        return
    for x in list(images)[:most]:
        if not isinstance(x, Tensor) or x.ndim != 3 or x.shape[0] != channels:
            shape = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise ValueError(f"images hold {shape}: give tensors ({channels}, H, W) in [0, 1]")
        yield x[None].float().cpu()


def files(path: str | Path, most: int = MOST) -> list[Path]:
    """The picture itself, or the first pictures of a folder, by name.

    Raises:
        FileNotFoundError: for a path where there is nothing, or a folder without any.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: there is no such picture or folder")
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not found:
        raise FileNotFoundError(f"{path}: no pictures in it ({', '.join(SUFFIXES)})")
    return found[:most]


def read(path: Path, channels: int) -> Tensor:
    """A picture file as (1, C, H, W) in [0, 1]."""
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            pixels = np.array(opened.convert("L" if channels == 1 else "RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{path}: no picture that can be read: {error}") from None
    x = torch.from_numpy(pixels).float() / 255
    return (x[None] if x.ndim == 2 else x.permute(2, 0, 1))[None]
