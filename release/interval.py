"""The 95 % interval of a shipped net's score: over trainings with other seeds, else over images.

python -m release.interval                    # of the nets that have records of other seeds
python -m release.interval NAME --root PATH   # over the images of a net's test split in PATH

Writes the interval into `config.json`, the card and the manifest; weights stay as they are.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from comparison import resampling
from comparison.statistics import estimate
from runs import console, folders, records
from upzoo import checkpoint, zoo
from upzoo.atomic import whole
from upzoo.metrics import catalogue

#: Fewer images, such as Set5's, say little of others.
FEWEST = 30
#: What a record and a shipped net's config share.
CHOICES = ("model", "upsample", "data", "name")
GROUPS = ("task", "data", "trainer")


def over_images(figures: Mapping[str, Tensor], split: str) -> dict[str, Any] | None:
    """What other images like those of a split would give, by drawing them anew (bootstrap).

    Args:
        figures: of each image, by name (`Task.per_image`).
        split: that they are of.

    Returns:
        `count` of images, `score`, `split`, and `low` and `high` of its interval; None for figures
        without such a score, and for few images.
    """
    counts = ("hits", "truth", "predicted")
    if set(counts) <= figures.keys():
        score, statistic = "miou", resampling.mean_iou
        drawn: resampling.Figures = {name: _one_net(figures[name]) for name in counts}
    elif "psnr" in figures:
        score, statistic = "psnr", resampling.ratio
        drawn = resampling.mean_of(_one_net(figures["psnr"]))
    else:
        return None
    count = next(iter(drawn.values())).shape[1]
    if count < FEWEST:
        return None
    low, high = resampling.interval(resampling.draw(drawn, statistic))
    return {"count": count, "score": score, "split": split, "low": low, "high": high}


def _one_net(values: Tensor) -> np.ndarray:
    return values[None].cpu().numpy().astype(float)


def over_trainings(
    metadata: Mapping[str, Any], score: str, split: str, results: Path
) -> dict[str, Any] | None:
    """What finished trainings of the same options score, from their records.

    Args:
        metadata: of the shipped net.
        score: its name.
        split: that it is of.
        results: folder of records.

    Returns:
        `count` of seeds, `score`, `split`, `mean`, `half` of the interval, and the folder of the
        `records`; None without two such.
    """
    values: dict[int, float] = {}
    places = set()
    for path in sorted(results.rglob(folders.RECORD)):
        record = records.read(path)
        if not _alike(metadata, record) or score not in record.metrics.get(split, {}):
            continue
        values[record.choices["seed"]] = record.metrics[split][score]
        places.add(path.parents[1])
    if len(values) < 2 or len(places) > 1:
        return None
    found = estimate(list(values.values()))
    kept = places.pop().relative_to(results.parent).as_posix()
    of = {"count": found.n, "score": score, "split": split, "mean": found.mean, "half": found.half}
    return of | {"records": kept}


def _alike(metadata: Mapping[str, Any], record: records.Record) -> bool:
    """Whether a record is of the same choices and options, its seed aside.

    Options that one of both lacks are of another version.
    """
    if record.status != "finished" or not {"model", *GROUPS} <= record.config.keys():
        return False  # an evaluation
    if not metadata["config"].keys() >= set(GROUPS):
        return False
    if any(metadata["choices"].get(key) != record.choices[key] for key in CHOICES):
        return False
    pairs = [(metadata["config"][group], record.config[group]) for group in GROUPS]
    pairs.append((metadata["model"], record.config["model"]))
    return all(not list(_differences(*pair)) for pair in pairs)


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    for key in one.keys() & other.keys() - {"seed", "num_classes", "in_channels"}:
        a, b = one[key], other[key]
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            yield from _differences(a, b)
        elif a != b:
            yield key


def write(name: str, metadata: Mapping[str, Any]) -> None:
    """Put changed metadata into the folder of a shipped net: its config and its card."""
    from release import card

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
    return over_images(figures[data.test_split], data.test_split)


def recorded(name: str, metadata: Mapping[str, Any], results: Path) -> dict[str, Any] | None:
    """The interval over the seeds that have records, of the score that a list shows first."""
    entry = zoo.entries()[name]
    score = catalogue.ordered(catalogue.current(entry["scores"]))[0]
    return over_trainings(metadata, score, entry["split"], results)


def main() -> None:
    """Find the intervals that the command line asks for."""
    from release.ship import write_manifest

    parser = argparse.ArgumentParser(
        prog="python -m release.interval",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="*", help="of a checkpoint whose images are scored")
    parser.add_argument("--root", help="folder of the data that it was trained on")
    parser.add_argument("--results", type=Path, default=Path("results"), help="records")
    given = parser.parse_args()
    for name in given.name or zoo.entries():
        metadata = checkpoint.read_config(zoo.ROOT / name)
        if given.name:
            found = {"images": measured(name, given.root)}
        elif metadata.get("seeds", {}).get("records") or not metadata.get("seeds"):
            found = {"seeds": recorded(name, metadata, given.results)}
        else:  # shipped with the seeds of its own study
            continue
        metadata |= {kind: interval for kind, interval in found.items() if interval}
        write(name, metadata)
        print(f"{name}: {found}", flush=True)
    write_manifest()


if __name__ == "__main__":
    with console.user_errors():
        main()
