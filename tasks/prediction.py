"""Apply a net to images of a user's own, at their own size, or draw images with it."""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from data.files import IMAGE_SUFFIXES, DataError, read_image, to_grey
from data.listing import list_files, summary
from data.pixels import denormalise, normalised, to_picture
from panels.samples import sample_grid
from upzoo import metadata
from upzoo.atomic import whole
from upzoo.base import Net, NoiseNet
from upzoo.counts import check_counts


def plan(
    source: str | Path, target: str | Path | None, kind: str = "mask"
) -> tuple[list[tuple[Path, Path]], dict[str, str]]:
    """Which image goes to which result, and what of a folder is left out and why.

    Args:
        source: an image, or a folder of images, which may hold folders.
        target: for an image the result's file or a folder for it, for a folder a folder. By default
            `<name>_<kind>.png` beside the image, or `<folder>_<kind>s`, with folders as there.
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
            return [(source, source.with_name(f"{source.stem}_{kind}.png"))], {}
        target = Path(target)
        if target.is_dir():
            return [(source, target / f"{source.stem}.png")], {}
        if target.suffix.lower() != ".png":
            raise ValueError(f"output={target}: a {kind} is a PNG file, give a name ending in .png")
        return [(source, target)], {}
    folder = source.with_name(f"{source.name}_{kind}s") if target is None else Path(target)
    if folder.is_file():
        raise ValueError(f"output={folder} is a file, and input={source} a folder: give a folder")
    listing = list_files(source, besides=folder)
    if not listing.names:
        held = summary(listing.left_out)
        raise ValueError(
            f"input={source}: no image in this folder ({held or ', '.join(IMAGE_SUFFIXES)})"
        )
    stems = Counter(_stem(name) for name in listing.names)
    pairs = [
        (source / name, folder / f"{_stem(name) if stems[_stem(name)] == 1 else name}.png")
        for name in listing.names
    ]
    return pairs, listing.left_out


def _stem(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()


def write_all(write: Callable[[Path, Path], None], pairs: Sequence[tuple[Path, Path]]) -> list[str]:
    """Write each result from its image; goes on past images that cannot be read.

    Args:
        write: makes the file of its second argument from the image of its first.
        pairs: as `plan` gives them.

    Returns:
        A line for each failure.

    Raises:
        ValueError: if there was one image alone.
    """
    if len(pairs) == 1:
        write(*pairs[0])
        return []
    return [line for pair in pairs if (line := _failure(write, *pair))]


def _failure(write: Callable[[Path, Path], None], source: Path, target: Path) -> str:
    """Why a result could not be written from its image; nothing where it was."""
    try:
        write(source, target)
    except DataError as error:
        return str(error)
    except ValueError as error:  # of a net that takes no image of its size
        return f"{source}: {error}"
    return ""


@torch.inference_mode()
def apply(net: nn.Module, image: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """The net's output (channels, H, W) for a (3, H, W) uint8 image; grey nets see luminance."""
    if len(mean) == 1:
        image = to_grey(image)
    x = normalised(image, mean, std)[None]
    return net(x.contiguous(memory_format=torch.channels_last))[0]


def segment(net: nn.Module, image: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Class map (H, W) uint8 of a (3, H, W) uint8 image; a single logit tells two classes apart."""
    logits = apply(net, image, mean, std)
    return (logits.argmax(0) if len(logits) > 1 else logits[0] > 0).to(torch.uint8)


def segment_file(net: nn.Module, card: Mapping[str, Any], source: Path, target: Path) -> None:
    """Segment one image file; the mask is a PNG of class indices with the data's palette."""
    image = read_image(source)
    mean, std = own_statistics(image) if card.get("per_image") else (card["mean"], card["std"])
    classes = segment(net, image, mean, std)
    mask = Image.fromarray(classes.numpy(), mode="P")
    mask.putpalette([value for colour in card["palette"] for value in colour])
    save_picture(mask, target)


def rebuild_file(net: nn.Module, card: Mapping[str, Any], source: Path, target: Path) -> None:
    """Rebuild one image file with a net that reconstructs its input."""
    found = apply(net, read_image(source), card["mean"], card["std"])
    colours = denormalise(found, card["mean"], card["std"]).clamp(0, 1)
    save_picture(to_picture(colours), target)


def save_picture(picture: Image.Image, target: Path) -> None:
    """Write a PNG, whole or not at all."""
    with whole(target) as beside:
        picture.save(beside, format="PNG")


def own_statistics(image: Tensor) -> tuple[list[float], list[float]]:
    """Mean and std of each channel of a (3, H, W) uint8 image in 0 … 1; a std of 1 where it is 0.

    For nets that were trained on images each normalised by itself (`per_image` on their card).
    """
    values = image.float().div(255).flatten(1)
    std = values.std(1, correction=0)
    return values.mean(1).tolist(), torch.where(std > 0, std, 1.0).tolist()


@torch.inference_mode()
def draw_samples(net: NoiseNet, count: int, seed: int) -> Tensor:
    """Images of a generator (count, channels, H, W) in [-1, 1], from noise of this seed."""
    check_counts(samples=count)
    noise = torch.randn(count, net.latent, generator=torch.Generator().manual_seed(seed))
    return torch.cat([net(z) for z in noise.split(64)])


def predict_files(net: Net, card: Mapping[str, Any], source: str, target: str | None) -> None:
    """Apply the net to a user's own images at their own size: masks, or rebuilt images.

    Args:
        net: in evaluation mode.
        card: what its checkpoint carries: mean, std, and the palette of a segmentation.
        source: an image, or a folder of images.
        target: as in `plan`.
    """
    refuse_net(net, card)
    kind = "mask" if "palette" in card else "reconstruction"
    write = segment_file if kind == "mask" else rebuild_file
    pairs, left_out = plan(source, target, kind)
    failures = write_all(partial(write, net, card), pairs)
    where = pairs[0][1] if len(pairs) == 1 else os.path.commonpath([p.parent for _, p in pairs])
    done = len(pairs) - len(failures)
    print(f"{done} {kind}{'s' if done > 1 else ''} written: {where}")
    if left_out:
        print(summary(left_out))
    if failures:
        raise ValueError(f"{len(failures)} of {len(pairs)} images failed: {'; '.join(failures)}")


def refuse_net(net: Net, card: Mapping[str, Any]) -> None:
    """Refuse, in one line, a net that makes nothing of a picture."""
    if net.takes == "noise":
        raise ValueError("this net draws from noise, not from images: give samples=64 output=PNG")
    if net.makes == "scores":
        raise ValueError("this net judges whole images and makes none: leave input out")
    channels = len(metadata.normalisation(card)[0])
    if channels not in (1, 3):
        raise ValueError(
            f"this net reads images of {channels} channels, and input= gives it 3, or their "
            "luminance: apply it in Python, net(x)"
        )


def draw_file(net: Net, count: int, seed: int, target: str | None) -> None:
    """Draw images with a generator and write them as one picture."""
    if not isinstance(net, NoiseNet):
        raise ValueError(f"samples={count}: this net draws nothing from noise: give input=")
    path = Path(target or "samples.png")
    if path.suffix.lower() != ".png":
        raise ValueError(f"output={path}: the picture is a PNG file, give a name ending in .png")
    images = draw_samples(net, count, seed)
    save_picture(to_picture(sample_grid(images, min(8, len(images)))), path)
    print(f"{len(images)} images drawn: {path}")
