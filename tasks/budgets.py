"""Scores at several lengths of one training, each as if it had ended there."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor
from torch.utils.data import DataLoader

from data.loading import collate
from runs import per_image as side_file
from runs.records import Record
from tasks.averaging import recalibrate
from tasks.callbacks import Throughput
from tasks.optimisation import steps_done, training_steps
from tasks.scoring import score
from upzoo.metrics import catalogue

#: Training images from which batch norm's statistics are computed anew.
CALIBRATION = 160


class Budgets(pl.Callback):
    """Score the averaged weights after given numbers of steps; the training goes on as without.

    With a constant learning rate and averaged weights (`tasks.averaging.PowerAverage`) the score
    after any step is that of a training of so many steps. Batch norm's statistics are computed
    anew for each from the same augmented training images. What has been scored is part of the
    training's state: a run that is killed goes on with it.

    The last step of the training is not scored here but by who started it, who calls `calibrate`
    and `finish`.

    Args:
        steps: numbers of optimizer steps, increasing.
        splits: what to score on; by default "val" and the data's test split.

    Raises:
        ValueError: for steps that do not increase or that the training does not reach (when it
            begins), another schedule than a constant one, more devices than one.
    """

    def __init__(self, steps: Sequence[int], splits: Sequence[str] | None = None) -> None:
        whole = all(isinstance(s, int) and not isinstance(s, bool) and s > 0 for s in steps)
        if not steps or not whole or sorted(set(steps)) != list(steps):
            raise ValueError(f"budgets={list(steps)} must be numbers of steps that increase from 1")
        self.steps = list(steps)
        self.splits = None if splits is None else list(splits)
        self.scored: list[dict[str, Any]] = []
        #: Split → figures of each of its images, for every entry of `scored`.
        self.per_image: list[dict[str, dict[str, Tensor]]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Score a training that is made longer where it had ended."""
        self.check(pl_module, trainer.world_size, training_steps(trainer))
        self._score_if_due(trainer, pl_module)

    def check(self, task: pl.LightningModule, processes: int, steps: int) -> None:
        """Refuse a training that these budgets do not fit.

        Args:
            task: what is trained.
            processes: that share its batches.
            steps: of the whole training.
        """
        optimisation = getattr(task, "optimisation", None)
        if optimisation is not None and optimisation.schedule != "constant":
            raise ValueError(
                f"budgets need task.schedule=constant, not {optimisation.schedule}: weights at a "
                "high rate that is yet to fall are no finished net"
            )
        if processes > 1:
            raise ValueError(
                f"budgets are scored on one device, not on {processes}: use trainer.devices=1"
            )
        if self.steps[-1] > steps:
            raise ValueError(
                f"budgets={self.steps}: the training has {steps} steps: raise trainer.max_epochs "
                "or leave the last out"
            )

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Score where a budget ends, but at the training's last step."""
        self._score_if_due(trainer, pl_module)

    def _score_if_due(self, trainer: Any, pl_module: Any) -> None:
        step = steps_done(trainer)
        due = step in self.steps and step < training_steps(trainer)
        if not due or any(entry["step"] == step for entry in self.scored):
            return
        task = averaged(trainer, pl_module)
        data = trainer.datamodule
        self.calibrate(task, data)
        splits = self.splits or list(dict.fromkeys(("val", data.test_split, *data.test_splits)))
        mine, random = data.trainer, torch.get_rng_state()
        try:
            metrics, per_image = score(trainer, task, data, splits, progress=False)
        finally:
            data.trainer = mine
            torch.set_rng_state(random)
        clock = next((c for c in trainer.callbacks if isinstance(c, Throughput)), None)
        self._keep(step, None if clock is None else clock.seconds, metrics, per_image)
        for logger in trainer.loggers:
            logger.log_metrics(flat(metrics), step=step)
        shown = (
            f"{split} {name} {catalogue.find(name).with_unit(scores[name])}"
            for split, scores in metrics.items()
            for name in ("miou", "psnr", "fid", "swd")
            if name in scores
        )
        print(f"budget of {step} steps  {'  '.join(shown)}", flush=True)
        if clock is not None:
            clock.resume()

    def calibrate(self, task: Any, data: Any) -> None:
        """Compute the statistics of a task's batch norms anew from augmented training images.

        A generator, which draws from noise, keeps their averages.
        """
        if task.net.takes == "images":
            recalibrate(task.net, training_images(data, task.device))

    def finish(
        self,
        step: int,
        seconds: float | None,
        metrics: Mapping[str, Any],
        per_image: Mapping[str, Mapping[str, Tensor]],
    ) -> None:
        """Add the scores at the end of the training, if a budget ends there."""
        if step in self.steps:
            self._keep(step, seconds, metrics, per_image)

    def _keep(
        self,
        step: int,
        seconds: float | None,
        metrics: Mapping[str, Any],
        per_image: Mapping[str, Mapping[str, Tensor]],
    ) -> None:
        scores = {split: dict(values) for split, values in metrics.items()}
        self.scored.append({"step": step, "seconds": seconds, "metrics": scores})
        self.per_image.append({split: dict(values) for split, values in per_image.items()})

    def state_dict(self) -> dict[str, Any]:
        """What has been scored so far."""
        return {"scored": self.scored, "per_image": self.per_image}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what a checkpoint had scored."""
        self.scored = list(state_dict["scored"])
        self.per_image = list(state_dict["per_image"])


def keep(
    run: Path,
    trainer: Any,
    data: Any,
    record: Record,
    per_image: Mapping[str, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """The scores at every budget of a run that has such; the figures of its images in a file."""
    budgets = next((c for c in trainer.callbacks if isinstance(c, Budgets)), None)
    if budgets is None:
        return []
    seconds = record.cost["train_seconds"]
    budgets.finish(steps_done(trainer), seconds, record.metrics, per_image)
    if any(per_image.values()):
        names = {split: data.image_names(split) for split in per_image}
        steps = [entry["step"] for entry in budgets.scored]
        side_file.write(run / side_file.FILE, steps, budgets.per_image, names)
    return budgets.scored


def flat(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """The plain scores of each split, by names for TensorBoard.

    >>> flat({"test": {"miou": 0.5, "per_class_iou": {"sky": 0.9}}})
    {'budget_test/miou': 0.5}
    """
    return {
        f"budget_{split}/{name}": value
        for split, scores in metrics.items()
        for name, value in scores.items()
        if isinstance(value, float)
    }


def averaged(trainer: Any, task: Any) -> Any:
    """A copy of the task with the weights that would be kept if the training ended now."""
    for callback in trainer.callbacks:
        if isinstance(callback, WeightAveraging) and callback._average_model is not None:
            return copy.deepcopy(callback._average_model.module)
    return copy.deepcopy(task)


def training_images(data: Any, device: torch.device) -> Iterator[Tensor]:
    """Batches of the first augmented training images: the same ones whenever they are asked for."""
    batch_size = data.loading.batch_size
    count = min(CALIBRATION, data.train_samples) // batch_size * batch_size
    keys = [(0, index) for index in range(count or batch_size)]
    for batch in DataLoader(data.augmented(), batch_size, sampler=keys, collate_fn=collate):
        yield batch["image"].to(device)
