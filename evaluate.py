"""Score a trained net on a whole split, or segment images of your own with it.

python evaluate.py ckpt=logs/default/fcn8s-bilinear_init-shapes/seed0-…
python evaluate.py ckpt=… input=photo.jpg output=mask.png
"""

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from omegaconf import DictConfig, OmegaConf

from reporting import console

if TYPE_CHECKING:
    from torch import nn


@hydra.main(version_base="1.3", config_path="configs", config_name="evaluate")
def main(cfg: DictConfig) -> None:
    """Predict or score with one checkpoint."""
    with console.user_errors():
        use(cfg)


def use(cfg: DictConfig) -> None:
    """Rebuild the net from its own stored config, then predict or score."""
    from models import checkpoint

    if cfg.ckpt is None:
        raise ValueError("ckpt is missing: give ckpt=PATH, a run's folder, a model or a .ckpt file")
    net, card = checkpoint.load(cfg.ckpt)
    if cfg.input is not None:
        predict(cfg, net, card)
    else:
        evaluate(cfg, net, card)


def evaluate(cfg: DictConfig, net: "nn.Module", card: dict[str, Any]) -> None:
    """Score the net on a split; print, write the record and a panel."""
    from reporting import costs, records, runs, tables
    from tasks.scoring import quiet, score

    quiet()
    stored = OmegaConf.create(card["config"])
    data = hydra.utils.instantiate(cfg.get("data") or stored.data)
    if len(data.classes) != len(card["classes"]):
        raise ValueError(
            f"the net tells {len(card['classes'])} classes apart, {data.name} has "
            f"{len(data.classes)}: choose data with the same classes"
        )
    split = cfg.split or data.test_split
    shape = data.prepared(split)[0]["image"].shape
    options = OmegaConf.merge(stored.task, {"class_weights": None})
    task = hydra.utils.instantiate(options, net=net, data=data)

    started = time.perf_counter()
    record = records.new(
        command=shlex.join(["python", Path(sys.argv[0]).name, *sys.argv[1:]]),
        choices=card["choices"] | {"data": data.name},
        config=card["config"],
        data={
            "name": data.name,
            "fingerprint": data.fingerprint(),
            "licence": data.licence,
            "split": split,
        },
        cost=costs.of_net(net, shape),
        status="finished",
    )
    record.metrics = score(cfg, task, data, [split])
    seconds = time.perf_counter() - started
    arm = "-".join(str(record.choices[k]) for k in ("model", "upsample", "data"))
    folder = runs.new_folder(Path(cfg.logs, "evaluate", arm), card["choices"]["seed"])
    record.cost["peak_memory_bytes"] = costs.peak_memory()
    records.write(folder / runs.RECORD, record)
    save_panel(folder / f"{split}.png", task, data, split, cfg.images)
    tables.show(record)
    print(f"scored in {seconds:.0f} s; record and panel: {folder}")


def save_panel(path: Path, task: Any, data: Any, split: str, count: int) -> None:
    """Write a picture of the first images of a split with what the net makes of them."""
    from PIL import Image

    from tasks.callbacks import prediction_panel

    dataset = data.prepared(split)
    samples = [dataset[i] for i in range(min(count, len(dataset)))]
    picture = prediction_panel(task, samples, data)  # (3, h, w)
    Image.fromarray(picture.permute(1, 2, 0).numpy()).save(path)


def predict(cfg: DictConfig, net: "nn.Module", card: dict[str, Any]) -> None:
    """Segment a user's own images at their own size and write index masks with a palette."""
    from tasks import prediction

    pairs = prediction.plan(cfg.input, cfg.output)
    for source, target in pairs:
        prediction.segment_file(net, card, source, target)
    where = pairs[0][1] if len(pairs) == 1 else pairs[0][1].parent
    print(f"{len(pairs)} mask{'s' if len(pairs) > 1 else ''} written: {where}")


if __name__ == "__main__":
    with console.user_errors():
        main()
