"""Score a task on whole splits, outside training."""

import logging
import warnings
from collections.abc import Iterable
from typing import Any

import lightning.pytorch as pl
from omegaconf import DictConfig
from torch import Tensor

from tasks.artifacts import examine
from tasks.callbacks.divergence import Divergence


def quiet() -> None:
    """Silence what Lightning says that no user can act on."""
    for part in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(part).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*exists and is not empty.*",
        ".*smaller than the logging interval.*",
        ".*LeafSpec.*is deprecated",
        ".*sync_dist=True.*",  # our scores are those of all processes
    ):
        warnings.filterwarnings("ignore", message)


def score(
    options: Any,
    task: pl.LightningModule,
    data: Any,
    splits: Iterable[str],
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Tensor]]]:
    """Run a task's weights over splits of a data module, in float32.

    Training may run in bfloat16 where that is faster; scores are what every machine repeats.

    Args:
        options: a config's `trainer`, or a trainer: its accelerator and limits of batches.
        task: keeps the scores of its latest pass in `results` and, where it has such, the figures
            of each image in `per_image`.
        data: has `eval_dataloader(split)`.
        splits: names of splits.

    Returns:
        Split -> name -> score, and split -> name -> figures of the images in their order.
    """
    trainer = pl.Trainer(
        accelerator=options.accelerator,
        devices=1,
        precision="32-true",
        limit_val_batches=options.limit_val_batches,
        limit_test_batches=options.limit_test_batches,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Divergence()],
        use_distributed_sampler=False,
    )
    data.trainer = trainer  # whose one process sees the whole split
    scores, per_image = {}, {}
    for split in splits:
        run = trainer.validate if split == "val" else trainer.test
        run(task, dataloaders=data.eval_dataloader(split), verbose=False)
        scores[split] = dict(task.results)
        per_image[split] = dict(task.per_image)
    return scores, per_image


def measure_artifacts(
    cfg: DictConfig, task: pl.LightningModule, data: Any, split: str
) -> dict[str, Any]:
    """The checkerboard figures of a task's net on a split, as a record holds them.

    Args:
        cfg: `artifacts` says how many images of the split to look at; 0 looks at none.
        task: as it is scored.
        data: has `prepared(split)`.
        split: name of the split.
    """
    dataset = data.prepared(split)
    samples = [dataset[i] for i in range(min(cfg.artifacts, len(dataset)))]
    found = examine(task, samples) if samples else None
    return {} if found is None else found.record()
