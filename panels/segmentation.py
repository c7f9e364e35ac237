"""Segmentations to look at: input, truth, prediction and errors side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from data.pixels import denormalise
from panels import canvas, legend
from panels.legend import GAP, LINE, SWATCH

TITLES = ("input", "truth", "prediction", "errors")
WRONG = (226, 38, 44)
TILE_MIN, TILE_MAX = 256, 640  # longer side of a tile, in pixels
HEAD = 34


def segmentation_panel(
    images: Tensor,
    truth: Tensor,
    prediction: Tensor,
    palette: Tensor | Sequence[Sequence[int]],
    classes: Sequence[str],
    mean: Sequence[float] = (0.485, 0.456, 0.406),
    std: Sequence[float] = (0.229, 0.224, 0.225),
    ignore_index: int = 255,
) -> Tensor:
    """Draw one row per image: input | truth | prediction | errors, with a legend below.

    Errors show a right pixel as the dimmed input and a wrong one in red. Void is hatched grey.
    Small images are enlarged by whole pixels, very large ones thinned out.

    Args:
        images: (B, 3, H, W), normalised by `mean` and `std`.
        truth: classes (B, H, W), `ignore_index` where void.
        prediction: classes (B, H, W).
        palette: a colour 0…255 for each class, (C, 3).
        classes: the C names, for the legend.
        mean: of the normalisation, one per channel.
        std: of the normalisation, one per channel.
        ignore_index: the value that marks void in `truth`.

    Returns:
        (3, height, width) uint8, for `SummaryWriter.add_image`.

    Raises:
        ValueError: shapes that differ, or not one colour for each name.
    """
    colours = torch.as_tensor(palette, dtype=torch.uint8).cpu()
    _check(images, truth, prediction, colours, classes)
    images, truth, prediction = (x.detach().cpu() for x in (images, truth, prediction))
    rgb = denormalise(images, mean, std).clamp(0, 1)
    rgb, truth, prediction = _resize(rgb, truth, prediction)
    pictures = (255 * rgb).round().byte().permute(0, 2, 3, 1)
    rows = [
        np.stack(list(_tiles(p.numpy(), t.numpy(), m.numpy(), colours.numpy(), ignore_index)))
        for p, t, m in zip(pictures, truth, prediction, strict=True)
    ]
    return _compose(np.stack(rows), colours.numpy(), classes)


def _check(
    images: Tensor, truth: Tensor, prediction: Tensor, colours: Tensor, classes: Sequence[str]
) -> None:
    expected = (images.shape[0], *images.shape[2:])
    if images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape:
        raise ValueError(f"images are {tuple(images.shape)}, expected (B, 3, H, W)")
    for name, classmap in (("truth", truth), ("prediction", prediction)):
        if classmap.shape != expected:
            raise ValueError(
                f"{name} is {tuple(classmap.shape)}, expected {expected} as the images"
            )
    if colours.shape != (len(classes), 3):
        raise ValueError(
            f"palette is {tuple(colours.shape)}, expected a colour for each of {len(classes)} names"
        )


def _resize(rgb: Tensor, truth: Tensor, prediction: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Bring the longer side between TILE_MIN and TILE_MAX by a whole factor, up or down."""
    longer = max(truth.shape[1:])
    up, down = -(-TILE_MIN // longer), -(-longer // TILE_MAX)
    if down > 1:
        rgb = F.avg_pool2d(rgb, down, ceil_mode=True)
        truth, prediction = truth[:, ::down, ::down], prediction[:, ::down, ::down]
    rgb, truth, prediction = (
        x.repeat_interleave(up, -2).repeat_interleave(up, -1) for x in (rgb, truth, prediction)
    )
    return rgb, truth, prediction


def _tiles(
    image: np.ndarray, truth: np.ndarray, prediction: np.ndarray, colours: np.ndarray, void: int
) -> Iterator[np.ndarray]:
    """Yield the four pictures (H, W, 3) of one image."""
    unknown = (truth == void)[..., None]
    hatch = _hatch(*truth.shape)
    grey = image @ np.array([0.299, 0.587, 0.114])
    dimmed = np.repeat((28 + 0.4 * grey)[..., None], 3, axis=2)
    # red, shaded by the input so that what was mistaken can still be made out
    red = np.array(WRONG) * (0.7 + 0.3 * grey[..., None] / 255)
    wrong = (truth != prediction)[..., None]
    yield image
    yield np.where(unknown, hatch, colours[np.where(truth == void, 0, truth)])
    yield colours[prediction]
    yield np.where(unknown, hatch, np.where(wrong, red, dimmed)).astype(np.uint8)


def _hatch(height: int, width: int) -> np.ndarray:
    """Draw diagonal grey stripes (H, W, 3)."""
    rows, columns = np.ogrid[:height, :width]
    stripe = (rows + columns) % 8 < 3
    return np.where(stripe, 150, 96)[..., None].repeat(3, axis=2).astype(np.uint8)


def _compose(tiles: np.ndarray, colours: np.ndarray, classes: Sequence[str]) -> Tensor:
    """Set the tiles (B, 4, H, W, 3) on a white page with column titles and a legend."""
    count, columns, height, width, _ = tiles.shape
    page_width = columns * (width + GAP) + GAP
    body = HEAD + count * (height + GAP)
    keys = [*zip(classes, colours, strict=True), ("wrong", np.array(WRONG)), ("void", None)]
    places, lines = legend.places(page_width, [name for name, _ in keys])
    page = np.full((body + lines * LINE + GAP, page_width, 3), 255, dtype=np.uint8)
    drawn = canvas.figure(page.shape[1], page.shape[0])
    for column, title in enumerate(TITLES):
        left = GAP + column * (width + GAP)
        canvas.write(drawn, left + width / 2, HEAD / 2, title, px=16, ha="center", weight="bold")
        for row in range(count):
            top = HEAD + row * (height + GAP)
            page[top : top + height, left : left + width] = tiles[row, column]
    for (name, colour), (x, line) in zip(keys, places, strict=True):
        top = body + line * LINE + (LINE - SWATCH) // 2
        inner = _hatch(SWATCH - 2, SWATCH - 2) if colour is None else colour
        legend.swatch(page, x, top, inner)
        canvas.write(drawn, x + SWATCH + 6, top + SWATCH / 2, name)
    return canvas.over(page, drawn)
