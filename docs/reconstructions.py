"""Draw what the study's five shipped DeconvNets make of emoji that they have not seen.

    python docs/reconstructions.py PATH     # the folder of the emoji

They differ in the operator and its learning rate; the checkerboard is that of seed 0's record.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torchvision.utils import make_grid, save_image

sys.path.insert(0, str(Path(__file__).parents[1]))
from data.pixels import denormalise
from panels import canvas, style
from runs import console
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
#: Twice the pixels of a page, which is 830 wide: of a pixel, between tiles, above them.
SCALE, GAP, HEAD = 4, 16, 68
PATH = Path(__file__).parent / "figures" / "reconstructions.png"


def main(root: str) -> None:
    """Draw them."""
    data = rebuild_data(zoo.read(next(iter(NETS)))[1], root=root)
    dataset = data.prepared("test")
    images = torch.stack([dataset[index]["image"] for index in IMAGES])
    with torch.inference_mode():
        made = [zoo.read(name)[0](images) for name in NETS]
    tiles = denormalise(torch.stack([images, *made], dim=1), data.mean, data.std).clamp(0, 1)
    tiles = F.interpolate(tiles.flatten(0, 1), scale_factor=SCALE)  # their pixels are seen
    sheet = make_grid(tiles, nrow=1 + len(made), padding=GAP, pad_value=1)
    page = F.pad(sheet, (0, 0, HEAD, 0), value=1).mul(255).round().byte().permute(1, 2, 0).numpy()
    drawn = canvas.figure(page.shape[1], page.shape[0])
    for column, (operator, db) in enumerate([("input", ""), *map(title, NETS.values())]):
        left = GAP + column * (tiles.shape[-1] + GAP)
        canvas.write(drawn, left, 24, operator, px=24, weight="bold")
        canvas.write(drawn, left, 56, db, px=22, color=style.GREY)
    save_image(canvas.over(page, drawn) / 255, PATH)
    print(PATH)


def title(variant: str) -> tuple[str, str]:
    """The operator of a variant, and how strong the checkerboard of its first seed is."""
    folder = ROOT / "results" / "study" / "deconvnet_emoji" / variant
    (path,) = folder.glob("*/seed0-*/record.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    db = record["metrics"]["test"]["checkerboard_db"]
    return record["choices"]["upsample"], f"{severity(db)}, {SCORES['checkerboard_db'].text(db)} dB"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draw what DeconvNets rebuild of emoji.")
    parser.add_argument("root", help="folder of the emoji")
    with console.user_errors():
        main(parser.parse_args().root)
