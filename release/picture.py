"""The picture of a shipped checkpoint: what it makes of one test image, or of noise.

python -m release.picture NAME              # of nets whose data are drawn, and of generators
python -m release.picture NAME --root PATH  # where the data are
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from data.pixels import to_picture
from panels import canvas
from panels.overlay import overlay
from panels.samples import sample_grid
from release import card
from runs import console
from upzoo import metadata as meta
from upzoo import zoo
from upzoo.atomic import whole

FILE = "picture.png"
#: Pixels of its longer side, at most, and bytes of its file.
LONGEST, MAX_BYTES = 480, 140_000
#: Chooses colours that cover all of the picture's, rare ones such as a legend's too.
COVERING = Image.Quantize.MAXCOVERAGE
#: Generated images, and of them in a row.
SAMPLES, COLUMNS = 32, 8
#: Pixels of the part of a small image that is shown larger.
PART = 80
#: Judged images: how many, pixels of one as shown, and of the line below it.
JUDGED, SIDE, LINE = 8, 56, 24


def draw(net: Any, metadata: Mapping[str, Any], data: Any) -> tuple[Tensor, str]:
    """The picture, (3, h, w) uint8, and what it shows in words.

    Args:
        net: in evaluation mode.
        metadata: of its file.
        data: that it was trained on, with `prepared(split)`; None for a generator.
    """
    with torch.inference_mode():
        if net.takes == "noise":
            z = torch.randn(SAMPLES, net.latent, generator=torch.Generator().manual_seed(0))
            return sample_grid(net(z), COLUMNS), f"{SAMPLES} images that it draws from noise"
        dataset = data.prepared(data.test_split)
        if net.makes == "scores":
            words = f"the first {JUDGED} test images, each above the class that it is given"
            return judged(net, metadata, dataset), words
        sample = dataset[0]
        made = net(sample["image"][None])[0]
    shown = pixels(sample["image"], metadata)
    if meta.segments(metadata):
        shown, classes = sized(shown), sized(made.argmax(0, keepdim=True).byte())[0]
        names = metadata["classes"]
        return overlay(shown, classes, metadata["palette"], names), "a test image under its classes"
    made = pixels(made, metadata)
    words = "its input, left, and what it makes of it"
    if net.scale > 1:
        shown, made = middle(shown, PART), middle(made, PART * net.scale)
        words = f"the middle of a test image, left, and {net.scale} times larger, right"
    shown = F.interpolate(shown[None], made.shape[1:])[0]
    return sized(torch.cat((shown, made), 2)), words


def middle(picture: Tensor, size: int) -> Tensor:
    """The size × size pixels around a picture's centre."""
    top, left = ((n - size) // 2 for n in picture.shape[1:])
    return picture[:, top : top + size, left : left + size]


def judged(net: Any, metadata: Mapping[str, Any], dataset: Any) -> Tensor:
    """Images side by side, each above the class that a net gives it, and its probability."""
    images = torch.stack([dataset[i]["image"] for i in range(JUDGED)])
    probabilities, classes = net(images).softmax(1).max(1)
    shown = F.interpolate(torch.stack([pixels(each, metadata) for each in images]), (SIDE, SIDE))
    framed = F.pad(shown, (2, 2, 2, LINE), value=255)
    strip = torch.cat(list(framed), 2)
    drawn = canvas.figure(strip.shape[2], strip.shape[1])
    for i, (share, found) in enumerate(zip(probabilities.tolist(), classes.tolist(), strict=True)):
        text = f"{metadata['classes'][found]}, {100 * share:.0f} %"
        canvas.write(drawn, (i + 0.5) * (SIDE + 4), SIDE + 2 + LINE / 2, text, px=13, ha="center")
    return canvas.over(strip.permute(1, 2, 0).contiguous().numpy(), drawn)


def pixels(image: Tensor, metadata: Mapping[str, Any]) -> Tensor:
    """A normalised image as (3, H, W) uint8."""
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in meta.normalisation(metadata))
    return (255 * (image * std + mean).clamp(0, 1)).round().byte().expand(3, -1, -1)


def sized(picture: Tensor) -> Tensor:
    """A picture whose longer side is about `LONGEST`, its pixels repeated or left out."""
    longer = max(picture.shape[1:])
    factor = LONGEST // longer if longer <= LONGEST else LONGEST / longer
    return F.interpolate(picture[None], scale_factor=factor)[0]


def encoded(picture: Tensor) -> bytes:
    """A picture (3, h, w) as PNG, with fewer colours where it would take too many bytes."""
    image = to_picture(picture)
    data = b""
    for colours in (None, 256, 64, 16):
        buffer = io.BytesIO()
        (image.quantize(colours, COVERING) if colours else image).save(buffer, "PNG", optimize=True)
        data = buffer.getvalue()
        if len(data) <= MAX_BYTES:
            break
    return data


def write(name: str, root: str | None = None) -> Path:
    """Draw the picture of a shipped checkpoint into its folder, and name it in its card."""
    from tasks.rebuild import rebuild_data

    net, metadata = zoo.read(name)
    data = None if net.takes == "noise" else rebuild_data(metadata, root=root)
    picture, words = draw(net, metadata, data)
    path = zoo.ROOT / name / FILE
    with whole(path) as beside:
        beside.write_bytes(encoded(picture))
    page = zoo.ROOT / name / card.FILE
    head, _, rest = page.read_text(encoding="utf-8").partition("\n\n")
    if rest.startswith("!["):
        rest = rest.partition("\n\n")[2]
    page.write_text(f"{head}\n\n![{name}: {words}]({FILE})\n\n{rest}", encoding="utf-8")
    return path


def main() -> None:
    """Draw what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m release.picture", description=__doc__)
    parser.add_argument("name", nargs="+", help="of a checkpoint")
    parser.add_argument("--root", help="folder of the data that it was trained on")
    given = parser.parse_args()
    for name in given.name:
        print(write(name, given.root))


if __name__ == "__main__":
    with console.user_errors():
        main()
