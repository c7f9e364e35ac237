"""Apply a net to images of a user's own, at their own size, or draw images with it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as T

from data.files import IMAGE_SUFFIXES, open_on_white
from panels.samples import sample_grid
from upzoo.atomic import whole


def plan(
    source: str | Path, target: str | Path | None, kind: str = "mask"
) -> list[tuple[Path, Path]]:
    """Which image goes to which result.

    Args:
        source: an image, or a folder of images.
        target: for an image the result's file or a folder for it, for a folder a folder. By default
            `<name>_<kind>.png` beside the image, or `<folder>_<kind>s`.
        kind: what the results are called.

    Raises:
        FileNotFoundError: if there is nothing at `source`.
        ValueError: for a folder without images, or a folder's target that is a file.
    """
    source = Path(source)
    if not source.exists():
        raise FileNotFoundError(f"input={source}: no such file or folder")
    if source.is_file():
        if target is None:
            return [(source, source.with_name(f"{source.stem}_{kind}.png"))]
        target = Path(target)
        if target.is_dir():
            return [(source, target / f"{source.stem}.png")]
        if target.suffix.lower() != ".png":
            raise ValueError(f"output={target}: a {kind} is a PNG file, give a name ending in .png")
        return [(source, target)]
    images = sorted(p for p in source.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    if not images:
        raise ValueError(f"input={source}: no image in this folder ({', '.join(IMAGE_SUFFIXES)})")
    folder = source.with_name(f"{source.name}_{kind}s") if target is None else Path(target)
    if folder.is_file():
        raise ValueError(f"output={folder} is a file, and input={source} a folder: give a folder")
    stems = [p.stem for p in images]
    names = [p.name if stems.count(p.stem) > 1 else p.stem for p in images]
    return [(p, folder / f"{name}.png") for p, name in zip(images, names, strict=True)]


@torch.inference_mode()
def apply(net: nn.Module, image: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """The net's output (channels, H, W) for a (3, H, W) uint8 image; grey nets see luminance."""
    if len(mean) == 1:
        image = T.rgb_to_grayscale(image)
    x = T.normalize(T.to_dtype(image, torch.float32, scale=True), list(mean), list(std))[None]
    return net(x.contiguous(memory_format=torch.channels_last))[0]


def segment(net: nn.Module, image: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Class map (H, W) uint8 of a (3, H, W) uint8 image; a single logit tells two classes apart."""
    logits = apply(net, image, mean, std)
    return (logits.argmax(0) if len(logits) > 1 else logits[0] > 0).to(torch.uint8)


def segment_file(net: nn.Module, card: Mapping[str, Any], source: Path, target: Path) -> None:
    """Segment one image file; the mask is a PNG of class indices with the data's palette."""
    classes = segment(net, T.pil_to_tensor(open_on_white(source)), card["mean"], card["std"])
    mask = Image.fromarray(classes.numpy(), mode="P")
    mask.putpalette([value for colour in card["palette"] for value in colour])
    save_picture(mask, target)


def rebuild_file(net: nn.Module, card: Mapping[str, Any], source: Path, target: Path) -> None:
    """Rebuild one image file with a net that reconstructs its input."""
    found = apply(net, T.pil_to_tensor(open_on_white(source)), card["mean"], card["std"])
    mean, std = (torch.tensor(card[name]).view(-1, 1, 1) for name in ("mean", "std"))
    save_picture(T.to_pil_image((found * std + mean).clamp(0, 1)), target)


def save_picture(picture: Image.Image, target: Path) -> None:
    """Write a PNG, whole or not at all."""
    with whole(target) as beside:
        picture.save(beside, format="PNG")


@torch.inference_mode()
def draw_samples(net: nn.Module, count: int, seed: int) -> Tensor:
    """Images of a generator (count, channels, H, W) in [-1, 1], from noise of this seed."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ValueError(f"samples={count!r} must be an integer of at least 1")
    noise = torch.randn(count, net.latent, generator=torch.Generator().manual_seed(seed))
    return torch.cat([net(z) for z in noise.split(64)])


def predict_files(net: nn.Module, card: Mapping[str, Any], source: str, target: str | None) -> None:
    """Apply the net to a user's own images at their own size: masks, or rebuilt images.

    Args:
        net: in evaluation mode.
        card: what its checkpoint carries: mean, std, and the palette of a segmentation.
        source: an image, or a folder of images.
        target: as in `plan`.
    """
    if hasattr(net, "latent"):
        raise ValueError("this net draws from noise, not from images: give samples=64 output=PNG")
    if getattr(net, "label", None) == "classifier":
        raise ValueError("this net classifies whole images and makes none: leave input out")
    kind = "mask" if "palette" in card else "reconstruction"
    write = segment_file if kind == "mask" else rebuild_file
    pairs = plan(source, target, kind)
    for image, result in pairs:
        write(net, card, image, result)
    where = pairs[0][1] if len(pairs) == 1 else pairs[0][1].parent
    print(f"{len(pairs)} {kind}{'s' if len(pairs) > 1 else ''} written: {where}")


def draw_file(net: nn.Module, count: int, seed: int, target: str | None) -> None:
    """Draw images with a generator and write them as one picture."""
    if not hasattr(net, "latent"):
        raise ValueError(f"samples={count}: this net draws nothing from noise: give input=")
    path = Path(target or "samples.png")
    if path.suffix.lower() != ".png":
        raise ValueError(f"output={path}: the picture is a PNG file, give a name ending in .png")
    images = draw_samples(net, count, seed)
    save_picture(T.to_pil_image(sample_grid(images, min(8, len(images)))), path)
    print(f"{len(images)} images drawn: {path}")
