"""Segment images of a user's own, at their own size."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as T

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff", ".webp")


def plan(source: str | Path, target: str | Path | None) -> list[tuple[Path, Path]]:
    """Which image goes to which mask.

    Args:
        source: an image, or a folder of images.
        target: for an image the mask's file or a folder for it, for a folder a folder. By default
            `<name>_mask.png` beside the image, or `<folder>_masks`.

    Raises:
        FileNotFoundError: if there is nothing at `source`.
        ValueError: for a folder without images, or a folder's target that is a file.
    """
    source = Path(source)
    if not source.exists():
        raise FileNotFoundError(f"input={source}: no such file or folder")
    if source.is_file():
        if target is None:
            return [(source, source.with_name(f"{source.stem}_mask.png"))]
        target = Path(target)
        if target.is_dir():
            return [(source, target / f"{source.stem}.png")]
        if target.suffix.lower() != ".png":
            raise ValueError(f"output={target}: masks are PNG files, give a name ending in .png")
        return [(source, target)]
    images = sorted(p for p in source.iterdir() if p.suffix.lower() in SUFFIXES)
    if not images:
        raise ValueError(f"input={source}: no image in this folder ({', '.join(SUFFIXES)})")
    folder = source.with_name(f"{source.name}_masks") if target is None else Path(target)
    if folder.is_file():
        raise ValueError(f"output={folder} is a file, and input={source} a folder: give a folder")
    stems = [p.stem for p in images]
    names = [p.name if stems.count(p.stem) > 1 else p.stem for p in images]
    return [(p, folder / f"{name}.png") for p, name in zip(images, names, strict=True)]


def read_image(path: Path) -> Tensor:
    """An image as (3, H, W) uint8, turned as its EXIF says; transparency on white.

    Raises:
        ValueError: if it is no image that Pillow reads.
    """
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                image = image.convert("RGBA")
                white = Image.new("RGBA", image.size, "white")
                image = Image.alpha_composite(white, image)
            return T.pil_to_tensor(image.convert("RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{path}: not a readable image: {error}") from None


@torch.inference_mode()
def segment(net: nn.Module, image: Tensor, mean: list[float], std: list[float]) -> Tensor:
    """Class map (H, W) uint8 of a (3, H, W) uint8 image."""
    x = T.normalize(T.to_dtype(image, torch.float32, scale=True), mean, std)[None]
    logits = net(x.contiguous(memory_format=torch.channels_last))
    return logits[0].argmax(0).to(torch.uint8)


def segment_file(net: nn.Module, card: Mapping[str, Any], source: Path, target: Path) -> None:
    """Segment one image file; the mask is a PNG of class indices with the data's palette."""
    classes = segment(net, read_image(source), card["mean"], card["std"])
    mask = Image.fromarray(classes.numpy(), mode="P")
    mask.putpalette([value for colour in card["palette"] for value in colour])
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        mask.save(beside, format="PNG")
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)
