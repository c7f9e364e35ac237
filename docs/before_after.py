"""Draw the README's picture: two shipped nets that differ in one word, before and after.

    python docs/before_after.py

Both were trained alike; their scores are those of `checkpoints/manifest.json`.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))
from data.pixels import denormalise
from panels import canvas, legend, style
from tasks.rebuild import rebuild_data
from upzoo import zoo
from upzoo.audit.report import severity
from upzoo.metrics.catalogue import SCORES

BEFORE, AFTER = "unet_transposed_conv.shapes", "unet_bilinear_init.shapes"
INDEX, CROP = 5, 48  # the test image, and pixels of the part that is shown larger
#: Twice the pixels of a page, which is 830 wide: of a tile, between tiles, above them.
TILE, GAP, HEAD, SIZE = 400, 16, 108, 2
PATH = Path(__file__).parent / "figures" / "before_after.png"


def main() -> None:
    """Draw it."""
    nets = {name: zoo.read(name)[0] for name in (BEFORE, AFTER)}
    data = rebuild_data(zoo.read(BEFORE)[1])
    sample = data.prepared("test")[INDEX]
    colours = np.array(data.palette, dtype=np.uint8)
    photo = denormalise(sample["image"][None], data.mean, data.std)[0].clamp(0, 1)
    with torch.inference_mode():
        logits = {name: net(sample["image"][None])[0] for name, net in nets.items()}
    tiles = [
        [
            (255 * photo).byte().permute(1, 2, 0).numpy(),
            colours[sample["mask"].numpy()],
            *(colours[found.argmax(0).numpy()] for found in logits.values()),
        ],
        [None, None, *maps(logits)],
    ]
    drawn = page(tiles, titles(nets))
    strip = legend.strip(drawn.shape[1], data.classes, colours, SIZE)
    Image.fromarray(np.concatenate((drawn, strip))).save(PATH, optimize=True)
    print(PATH)


def titles(nets: dict[str, Any]) -> list[list[str]]:
    """What is written above the tiles of the first row: a title, and two lines of scores."""
    found = [["input", "", ""], ["truth", "", ""]]
    entries = zoo.entries()
    for word, name in zip(("before", "after"), nets, strict=True):
        scores = entries[name]["scores"]
        db = scores["checkerboard_db"]
        found.append([
            f"{word}: {entries[name]['upsample']}",
            f"mean IoU {SCORES['miou'].text(scores['miou'])} %",
            f"checkerboard {severity(db)}, {SCORES['checkerboard_db'].text(db)} dB",
        ])  # fmt: skip
    return found


def maps(logits: dict[str, Tensor]) -> list[np.ndarray]:
    """The middle of the first class's logits of each net in grey, all on one scale."""
    parts = []
    for found in logits.values():
        top, left = ((n - CROP) // 2 for n in found.shape[1:])
        part = found[0, top : top + CROP, left : left + CROP].numpy()
        parts.append(part - part.mean())
    reach = 2.5 * max(part.std() for part in parts)
    return [np.repeat(grey(part / reach)[..., None], 3, axis=2) for part in parts]


def grey(values: np.ndarray) -> np.ndarray:
    """-1 is black, 1 is white."""
    return np.clip(127.5 * (values + 1), 0, 255).astype(np.uint8)


def page(tiles: list[list[Any]], above: list[list[str]]) -> np.ndarray:
    """Tiles in rows on white, (H, W, 3) uint8, with titles above and a caption beside the last."""
    width = GAP + len(above) * (TILE + GAP)
    height = HEAD + len(tiles) * (TILE + GAP)
    sheet = np.full((height, width, 3), 255, dtype=np.uint8)
    drawn = canvas.figure(width, height)
    for column, lines in enumerate(above):
        left = GAP + column * (TILE + GAP)
        for row, line in enumerate(lines):
            bold = {"weight": "bold"} if row == 0 else {"color": style.GREY}
            canvas.write(drawn, left, 24 + 32 * row, line, px=26 if row == 0 else 24, **bold)
        for row, tile_row in enumerate(tiles):
            if (tile := tile_row[column]) is not None:
                top = HEAD + row * (TILE + GAP)
                sheet[top : top + TILE, left : left + TILE] = enlarged(tile)
    caption = (
        f"Right: the first class's logits before the argmax,\n{CROP}×{CROP} pixels of the middle, "
        "one grey scale.\n\nThe same U-Net, data, steps and seed; one word\n"
        "of the command differs. Scores of the test split,\none training each."
    )
    canvas.write(drawn, GAP, HEAD + 1.5 * TILE + GAP, caption, px=26, linespacing=1.6)
    drawn.figimage(sheet, 0, 0, origin="upper", zorder=-1)
    return canvas.pixels(drawn).permute(1, 2, 0).numpy()


def enlarged(tile: np.ndarray) -> np.ndarray:
    """A picture at the tile's size, its pixels seen."""
    return np.asarray(Image.fromarray(tile).resize((TILE, TILE), Image.Resampling.NEAREST))


if __name__ == "__main__":
    main()
