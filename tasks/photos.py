"""What a net makes of one photograph: classes, the image rebuilt, or the image enlarged.

Large photographs are applied to in tiles (`upzoo.tiles`), so that memory does not grow with them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from data.files import read_image, to_grey
from data.pixels import denormalise, normalised, to_picture
from panels.overlay import overlay
from tasks.allocator import give_back_freed_memory
from tasks.ensemble import self_ensembled
from upzoo import tiles
from upzoo.atomic import whole
from upzoo.bicubic import enlarge
from upzoo.metrics.restoration import to_rgb, to_ycbcr

#: Pixels up to which an image is never cut, nor the net looked at for it.
SMALL = 2**16
#: Pixels from which it is said that a net cannot be applied in tiles.
LARGE = 2**21

#: Goes through the tiles of an image, as a progress bar does.
Steps = Callable[[Sequence[tiles.Tile]], Iterable[tiles.Tile]]


def all_at_once(parts: Sequence[tiles.Tile]) -> Sequence[tiles.Tile]:
    """Go through tiles without telling of it."""
    return parts


@torch.inference_mode()
def apply(net: nn.Module, image: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """The net's output (channels, H, W) for a (3, H, W) uint8 image; grey nets see luminance."""
    if len(mean) == 1:
        image = to_grey(image)
    x = normalised(image, mean, std)[None]
    return net(x.contiguous(memory_format=torch.channels_last))[0]


def cut(net: nn.Module, channels: int, image: Tensor) -> list[tiles.Tile]:
    """The tiles of an image (C, H, W) for a net of so many channels; says where there is but one.

    One tile is the whole image: a small one's, or that of a net which looks at all of it.
    """
    height, width = image.shape[-2:]
    if height * width <= SMALL or tiles.fits(net, channels, height * width):
        return tiles.tiles(height, width, None)
    reach = measured(net, channels)
    if reach is None and height * width >= LARGE:
        print(
            f"{width}×{height} pixels are applied to at once, in as much memory as that takes: "
            "this net looks at the whole image, or too far for tiles",
            file=sys.stderr,
        )
    return tiles.tiles(height, width, reach)


@lru_cache(maxsize=1)
def measured(net: nn.Module, channels: int) -> tiles.Reach | None:
    """How far a net looks; remembered for the next image."""
    reach = tiles.measure(net, channels)
    give_back_freed_memory()  # the strips of the measurement are larger than some tiles
    return reach


def in_tiles(
    make: Callable[[Tensor], Tensor], image: Tensor, parts: Iterable[tiles.Tile]
) -> Tensor:
    """What `make` gives of every tile, put together; memory is given back between two of them.

    Tiles at the borders have sizes of their own, and malloc would keep room for each size.
    """

    def made(part: Tensor) -> Tensor:
        give_back_freed_memory()
        return make(part)

    return tiles.assemble(made, image, parts)


def segment(
    net: nn.Module,
    image: Tensor,
    mean: Sequence[float],
    std: Sequence[float],
    steps: Steps = all_at_once,
) -> Tensor:
    """Class map (H, W) uint8 of a (3, H, W) uint8 image; a single logit tells two classes apart."""

    def classes(part: Tensor) -> Tensor:
        logits = apply(net, part, mean, std)
        return (logits.argmax(0) if len(logits) > 1 else logits[0] > 0).to(torch.uint8)

    return in_tiles(classes, image, steps(cut(net, len(mean), image)))


def segment_file(
    net: nn.Module,
    card: Mapping[str, Any],
    source: Path,
    target: Path,
    steps: Steps = all_at_once,
    overlaid: bool = False,
) -> None:
    """Segment one image file; the mask is a PNG of class indices with the data's palette.

    With `overlaid`, `<target>_overlay.png` beside it shows the image under the classes' colours.
    """
    image = read_image(source)
    mean, std = own_statistics(image) if card.get("per_image") else (card["mean"], card["std"])
    classes = segment(net, image, mean, std, steps)
    mask = Image.fromarray(classes.numpy(), mode="P")
    mask.putpalette([value for colour in card["palette"] for value in colour])
    save_picture(mask, target)
    if overlaid:
        shown = overlay(image, classes, card["palette"], card.get("classes"))
        save_pixels(shown, target.with_name(f"{target.stem}_overlay.png"))


def rebuild_file(
    net: nn.Module,
    card: Mapping[str, Any],
    source: Path,
    target: Path,
    steps: Steps = all_at_once,
) -> None:
    """Rebuild one image file with a net that reconstructs its input."""
    mean, std = card["mean"], card["std"]

    def rebuilt(part: Tensor) -> Tensor:
        colours = denormalise(apply(net, part, mean, std), mean, std).clamp(0, 1)
        return (255 * colours).round().byte()

    image = read_image(source)
    save_pixels(in_tiles(rebuilt, image, steps(cut(net, len(mean), image))), target)


def enlarge_file(
    net: nn.Module,
    card: Mapping[str, Any],
    source: Path,
    target: Path,
    steps: Steps = all_at_once,
    ensemble: bool = False,
) -> None:
    """Enlarge one image file by the scale of a net, in colour.

    A net of luma makes Y of BT.601, and Cb and Cr are enlarged by bicubic interpolation, which the
    eye does not tell apart; a net of colours makes all three. With `ensemble`, the mean over the
    image's eight flips and turns.
    """
    image = read_image(source)
    made = in_tiles(
        lambda part: enlarged(net, part, card["mean"], card["std"], ensemble),
        image,
        steps(cut(net, len(card["mean"]), image)),
    )
    save_pixels(made, target)


@torch.inference_mode()
def enlarged(
    net: nn.Module,
    image: Tensor,
    mean: Sequence[float],
    std: Sequence[float],
    ensemble: bool = False,
) -> Tensor:
    """The (3, s·H, s·W) uint8 image that a net of luma or of colours makes of (3, H, W) uint8."""
    colours = image.float()
    luma_only = len(mean) == 1
    parts = to_ycbcr(colours) if luma_only else colours
    x = normalised(parts[: len(mean)], mean, std)[None]
    x = x.contiguous(memory_format=torch.channels_last)
    y = self_ensembled(net, x) if ensemble else net(x)
    made = 255 * denormalise(y[0], mean, std)
    if luma_only:
        # as it is scored: Y of 0 … 255; chroma by bicubic interpolation
        scale = made.shape[-1] // image.shape[-1]
        made = to_rgb(torch.cat((made.clamp(0, 255), enlarge(parts[None, 1:], scale)[0])))
    return made.round().clamp(0, 255).byte()


def save_pixels(pixels: Tensor, target: Path) -> None:
    """Write (C, H, W) uint8, grey or RGB, as a PNG."""
    save_picture(to_picture(pixels), target)


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
