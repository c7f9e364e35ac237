"""The 95 % interval of a shipped net's score over the images of its test split.

python -m release.interval NAME --root PATH   # the split is in PATH

Writes the interval into `config.json`, the card and the manifest; weights stay as they are.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from comparison import resampling
from release import card
from release.manifest import write_manifest
from runs import console
from upzoo import checkpoint, zoo
from upzoo.atomic import whole

#: Fewer images, such as Set5's, say little of others.
FEWEST = 30


def over_images(
    figures: Mapping[str, Tensor], split: str, pooled: bool = False
) -> dict[str, Any] | None:
    """What other images like those of a split would give, by drawing them anew (bootstrap).

    Args:
        figures: of each image, by name (`Task.per_image`).
        split: that they are of.
        pooled: PSNR is of the squared error over all images (`Task.pooled`).

    Returns:
        `count` of images, `score`, `split`, and `low` and `high` of its interval; None for figures
        without such a score, and for few images.
    """
    names: tuple[str, ...]
    counts = ("hits", "truth", "predicted")
    if set(counts) <= figures.keys():
        score, names = "miou", counts
    elif "psnr" in figures:
        score, names = "psnr", ("psnr",)
    else:
        return None
    drawn, statistic = resampling.drawn_as({n: _one_net(figures[n]) for n in names}, pooled)
    count = next(iter(drawn.values())).shape[1]
    if count < FEWEST:
        return None
    low, high = resampling.interval(resampling.draw(drawn, statistic))
    return {"count": count, "score": score, "split": split, "low": low, "high": high}


def _one_net(values: Tensor) -> np.ndarray:
    return values[None].cpu().numpy().astype(float)


def write(name: str, metadata: Mapping[str, Any]) -> None:
    """Put changed metadata into the folder of a shipped net: its config and its card."""
    folder = zoo.ROOT / name
    page = folder / card.FILE
    contents = {
        folder / checkpoint.CONFIG: json.dumps(metadata, indent=2, ensure_ascii=False) + "\n",
        page: card.with_interval(page.read_text(encoding="utf-8"), metadata),
    }
    for path, text in contents.items():
        with whole(path) as beside:
            beside.write_text(text, encoding="utf-8")


def measured(name: str, root: str | None) -> dict[str, Any] | None:
    """The interval over the images of a shipped net's split, which is scored for it."""
    from omegaconf import OmegaConf

    from tasks.rebuild import rebuild, stored_config
    from tasks.scoring import quiet, score

    quiet()
    net, metadata = zoo.read(name)
    task, data = rebuild(metadata, net, root=root)
    trainer = OmegaConf.create(dict(stored_config(metadata))).trainer
    _, figures = score(trainer, task, data, [data.test_split])
    return over_images(figures[data.test_split], data.test_split, task.pooled)


def main() -> None:
    """Find the intervals that the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m release.interval",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="+", help="of a checkpoint whose images are scored")
    parser.add_argument("--root", help="folder of the data that it was trained on")
    given = parser.parse_args()
    for name in given.name:
        metadata = checkpoint.read_config(zoo.ROOT / name)
        if found := measured(name, given.root):
            metadata["images"] = found
        write(name, metadata)
        print(f"{name}: {found or 'too few images, or no score of single ones'}", flush=True)
    write_manifest()


if __name__ == "__main__":
    with console.user_errors():
        main()
