"""A trained net scored anew: on the data of its training, on another split, or on other data."""

import shlex
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from torch import nn

from runs import closing, costs, folders, metadata, records, tables
from runs.escape import file_name
from tasks.allocator import give_back_large_blocks
from tasks.photos import save_pixels
from tasks.rebuild import rebuild, stored_config
from tasks.scoring import measure_artifacts, pictures_of, quiet, score
from tasks.super_resolution import SuperResolution
from upzoo.counts import is_count


def evaluate(cfg: DictConfig, net: nn.Module, card: Mapping[str, Any]) -> None:
    """Score the net on a split; print, write the record and a panel.

    Args:
        cfg: has data, root, split, self_ensemble, artifacts, images, logs and trainer, as
            configs/evaluate.yaml.
        net: as loaded.
        card: what its checkpoint carries.
    """
    quiet()
    if cfg.artifacts is None:
        stored = stored_config(card).get("artifacts")
        cfg.artifacts = stored if is_count(stored, 0) else 200
    task, data = rebuild(card, net, root=cfg.root, other=cfg.get("data"))
    if cfg.self_ensemble:
        if not isinstance(task, SuperResolution):
            raise ValueError(
                "self_ensemble=true: only nets of task=super_resolution are scored so: leave it out"
            )
        task.self_ensemble = True
    choices = dict.fromkeys(records.KEYS["choices"]) | dict(card.get("choices", {}))
    split = cfg.split or data.test_split
    splits = [split] if cfg.split else dict.fromkeys((split, *data.test_splits))
    shape = data.prepared(split)[0]["image"].shape

    started = time.perf_counter()
    record = records.new(
        command=shlex.join(["python", Path(sys.argv[0]).name, *sys.argv[1:]]),
        choices=choices | {"data": data.name},
        config=card["config"],
        data=metadata.of_data(data, split) | metadata.inventory(data),
        cost=costs.of_net(net, shape),
        status="finished",
    )
    pictures = pictures_of(task, cfg.artifacts)
    looked_at = {} if pictures is None else {split: pictures}
    record.metrics, _ = score(cfg.trainer, task, data, splits, looked_at)
    give_back_large_blocks()  # the passes of the audit are few, and keep the maps of every layer
    record.metrics[split] |= measure_artifacts(task, data, split, cfg.artifacts, pictures)
    seconds = time.perf_counter() - started
    chosen = (record.choices[k] for k in ("model", "upsample", "data"))
    variant = "-".join(str(choice) for choice in chosen if choice is not None)
    folder = folders.new_folder(Path(cfg.logs, "evaluate", file_name(variant)), choices["seed"])
    record.cost["peak_memory_bytes"] = costs.peak_memory()
    records.write(folder / folders.RECORD, record)
    save_panel(folder / f"{split}.png", task, data, split, cfg.images)
    tables.show(record)
    print(*closing.lines(record, costs.of_upsampling(net, shape)), sep="\n")
    print(f"scored in {seconds:.0f} s; record and pictures: {folder}")


def save_panel(path: Path, task: Any, data: Any, split: str, count: int) -> None:
    """Write a picture of the first images of a split with what the net makes of them."""
    dataset = data.prepared(split)
    panel = task.picture([dataset[i] for i in range(min(count, len(dataset)))], data)
    if panel is not None:
        save_pixels(panel, path)
