"""Checkerboards over the course of a training."""

from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
from torch import Tensor

from panels.artifacts import artifact_panels
from tasks.artifacts import examine
from tasks.callbacks.pictures import log_picture, wanted
from tasks.optimisation import steps_done
from upzoo.counts import check_counts


class ArtifactCurves(pl.Callback):
    """Log the figures of `examine` from step 0 on, always on the same validation images.

    Pictures of them are drawn before the first step and after the last.

    Args:
        images: how many.
        every_n_epochs: how often, besides the start and the end; counted are epochs that validate.
    """

    def __init__(self, images: int = 16, every_n_epochs: int = 1) -> None:
        check_counts("callbacks.artifacts.", images=images, every_n_epochs=every_n_epochs)
        self.images = images
        self.every_n_epochs = every_n_epochs
        self._samples: list[Mapping[str, Tensor]] = []

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure the net as it starts."""
        if trainer.global_step == 0:
            self._log(trainer, pl_module, draw=True)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure the net as it is now."""
        done = trainer.current_epoch + 1
        last = done == trainer.max_epochs
        if (done % self.every_n_epochs == 0 or last) and not trainer.sanity_checking:
            self._log(trainer, pl_module, draw=last)

    def _log(self, trainer: Any, task: Any, draw: bool) -> None:
        if not trainer.loggers or not trainer.is_global_zero:
            return
        if not self._samples:
            dataset = trainer.datamodule.prepared("val")
            self._samples = [dataset[i] for i in range(min(self.images, len(dataset)))]
        found = examine(task, self._samples)
        if found is None:
            return
        step = steps_done(trainer)
        values = {f"artifacts/{name}": value for name, value in found.headlines.items()}
        values |= {
            f"artifacts_{name}": value
            for name, value in found.details.items()
            if not name.endswith(("_low", "_high", "_threshold"))
        }
        for logger in trainer.loggers:
            logger.log_metrics(values, step=step)
        if draw and wanted(trainer):
            panels = artifact_panels(task.net, found.report, found.pictures, found.periods)
            for name, panel in panels.items():
                log_picture(trainer, f"artifacts/{name}", panel, step)
