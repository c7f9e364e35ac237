"""Draw what the study's five shipped DeconvNets make of emoji that they have not seen.

    python docs/reconstructions.py PATH     # the folder of the emoji

They differ in the operator and its learning rate; the checkerboard is that of seed 0's record.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
from data.pixels import denormalise
from panels import canvas, style
from tasks.rebuild import rebuild_data
from upzoo import zoo
from upzoo.audit.report import severity
from upzoo.metrics.catalogue import SCORES

ROOT = Path(__file__).parents[1]
#: Shipped net → variant of the study.
NETS = {
    "deconvnet_transposed_conv_study.emoji": "transposed",
    "deconvnet_pixel_shuffle_study.emoji": "pixel_shuffle",
    "deconvnet_max_unpool_study.emoji": "max_unpool",
    "deconvnet_resize_conv_study.emoji": "resize_nearest",
    "deconvnet_bilinear_init_study.emoji": "bilinear_fixed",
}
IMAGES = (8, 16, 24, 32)  # every eighth of the test split
#: Twice the pixels of a page, which is 830 wide: of a tile, between tiles, above them.
TILE, GAP, HEAD = 256, 16, 84
PATH = Path(__file__).parent / "figures" / "reconstructions.png"


def main(root: str) -> None:
    """Draw them."""
    data = rebuild_data(zoo.read(next(iter(NETS)))[1], root=root)
    dataset = data.prepared("test")
    images = torch.stack([dataset[index]["image"] for index in IMAGES])
    with torch.inference_mode():
        made = [zoo.read(name)[0](images) for name in NETS]
    titles = [("input", ""), *(title(variant) for variant in NETS.values())]
    width = GAP + len(titles) * (TILE + GAP)
    sheet = np.full((HEAD + len(IMAGES) * (TILE + GAP), width, 3), 255, dtype=np.uint8)
    drawn = canvas.figure(width, len(sheet))
    for column, ((operator, db), found) in enumerate(zip(titles, [images, *made], strict=True)):
        left = GAP + column * (TILE + GAP)
        canvas.write(drawn, left, 24, operator, px=24, weight="bold")
        canvas.write(drawn, left, 56, db, px=22, color=style.GREY)
        colours = denormalise(found, data.mean, data.std).clamp(0, 1).mul(255).round().byte()
        for row, picture in enumerate(colours.permute(0, 2, 3, 1).numpy()):
            top = HEAD + row * (TILE + GAP)
            size = (TILE, TILE)
            tile = Image.fromarray(picture).resize(size, Image.Resampling.NEAREST)
            sheet[top : top + TILE, left : left + TILE] = np.asarray(tile)
    drawn.figimage(sheet, 0, 0, origin="upper", zorder=-1)
    page = canvas.pixels(drawn).permute(1, 2, 0).numpy()
    Image.fromarray(page).save(PATH, optimize=True)
    print(PATH)


def title(variant: str) -> tuple[str, str]:
    """The operator of a variant, and how strong the checkerboard of its first seed is."""
    folder = ROOT / "results" / "study" / "deconvnet_emoji" / variant
    (path,) = folder.glob("*/seed0-*/record.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    db = record["metrics"]["test"]["checkerboard_db"]
    return record["choices"]["upsample"], f"{severity(db)}, {SCORES['checkerboard_db'].text(db)} dB"


if __name__ == "__main__":
    main(*sys.argv[1:])
