"""Score a task on whole splits, outside training."""

import logging
import warnings
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import lightning.pytorch as pl
from torch import Tensor

from tasks.artifacts import EXAMPLES, Pictures, assess, look
from tasks.callbacks.divergence import Divergence
from tasks.callbacks.scoring import ScoringProgress, Watch
from tasks.precision import without_tf32

#: Pixels beyond which images are scored one by one: together their maps leave the cache. Not those
#: of generators, whose noise and diversity are of a batch.
LARGE = 2**16


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
    task: Any,
    data: Any,
    splits: Iterable[str],
    pictures: Mapping[str, Pictures] | None = None,
    *,
    progress: bool = True,
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Tensor]]]:
    """Run a task's weights over splits of a data module, in float32.

    Training may run in bfloat16 or TF32 where that is faster; scores are what every machine
    repeats.

    Args:
        options: a config's `trainer`, or a trainer: its accelerator and limits of batches.
        task: keeps the scores of its latest pass in `results` and, where it has such, the figures
            of each image in `per_image`.
        data: has `eval_dataloader(split)`.
        splits: names of splits.
        pictures: split → what looks at the pictures of that split in the same pass.
        progress: say what is scored, and how far it is.

    Returns:
        Split -> name -> score, and split -> name -> figures of the images in their order.
    """
    scores, per_image = {}, {}
    for split in splits:
        limit = options.limit_val_batches if split == "val" else options.limit_test_batches
        beside: list[pl.Callback] = [Divergence()]
        looked_at = (pictures or {}).get(split)
        if looked_at is not None:
            beside.append(Watch(looked_at.add))
        trainer = _trainer(options.accelerator, limit, beside)
        data.trainer = trainer  # whose one process sees the whole split
        height, width = data.prepared(split)[0]["image"].shape[-2:]
        alone = task.takes == "images" and height * width > LARGE
        loader = data.eval_dataloader(split, 1 if alone else None)
        if progress:
            trainer.callbacks.append(ScoringProgress(split, _images(loader, limit)))  # type: ignore[attr-defined]
        run = trainer.validate if split == "val" else trainer.test
        with without_tf32():
            run(task, dataloaders=loader, verbose=False)
        scores[split] = dict(task.results)
        per_image[split] = dict(task.per_image)
    return scores, per_image


def _trainer(accelerator: str, limit: Any, beside: list[pl.Callback]) -> pl.Trainer:
    """A trainer that scores, in one process and silently."""
    return pl.Trainer(
        accelerator=accelerator,
        devices=1,
        precision="32-true",
        limit_val_batches=limit,
        limit_test_batches=limit,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=beside,
        use_distributed_sampler=False,
    )


def _images(loader: Any, limit: Any) -> int:
    """How many images a limited pass over a loader sees."""
    batches = min(len(loader), limit) if isinstance(limit, int) else int(limit * len(loader))
    return min(len(loader.dataset), batches * loader.batch_size)


def pictures_of(task: Any, count: int) -> Pictures | None:
    """What looks at the first pictures of a split as they are scored; None where none are.

    Args:
        task: whose net makes them.
        count: how many.
    """
    wanted = task.makes_pictures and task.shares_pass and count > 0
    return Pictures(task.periods, count) if wanted else None


def measure_artifacts(
    task: Any, data: Any, split: str, count: int, pictures: Pictures | None
) -> dict[str, Any]:
    """The checkerboard figures of a task's net on a split, as a record holds them.

    Args:
        task: as it is scored.
        data: has `prepared(split)`.
        split: name of the split.
        count: how many of its images to look at; 0 looks at none.
        pictures: that were measured as the split was scored, of a task that shares this pass.
    """
    dataset = data.prepared(split)
    count = min(count, len(dataset))
    if not count or not task.makes_pictures:
        return {}
    samples = list(islice(task.cut(dataset, count), EXAMPLES))
    if pictures is None:
        pictures = Pictures(task.periods)
        look(task, task.cut(dataset, count), pictures)
    return assess(task, samples, pictures).record()
