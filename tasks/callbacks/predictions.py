"""Pictures of what a net makes of a few images, and of its upsampling kernels."""

from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
from torch import Tensor

from panels.kernels import kernel_panel, upsampling_kernels
from tasks.callbacks.pictures import log_picture, wanted
from upzoo.counts import check_counts


class PredictionPanels(pl.Callback):
    """What the net sees and says, always of the same images, and the kernels of its upsampling.

    Args:
        images: how many images of the validation set to show.
        every_n_epochs: how often.
    """

    tag = "predictions/validation"

    def __init__(self, images: int = 6, every_n_epochs: int = 1) -> None:
        check_counts("callbacks.panels.", images=images, every_n_epochs=every_n_epochs)
        self.images = images
        self.every_n_epochs = every_n_epochs
        self._samples: list[Mapping[str, Tensor]] = []

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the kernels before the first step, fixed ones too."""
        self._log_kernels(trainer, pl_module, fixed=True)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show predictions and learned kernels as they are now."""
        done = trainer.current_epoch + 1
        due = done % self.every_n_epochs == 0 or done == trainer.max_epochs
        if trainer.sanity_checking or not due:
            return
        self._log_predictions(trainer, pl_module)
        self._log_kernels(trainer, pl_module)

    def _log_predictions(self, trainer: Any, task: Any) -> None:
        if not wanted(trainer):
            return
        dataset = trainer.val_dataloaders.dataset
        if not self._samples:
            self._samples = [dataset[i] for i in range(min(self.images, len(dataset)))]
        with trainer.precision_plugin.val_step_context():
            drawn = task.picture(self._samples, trainer.datamodule)
        if drawn is not None:
            log_picture(trainer, self.tag, drawn, trainer.global_step)

    def _log_kernels(self, trainer: pl.Trainer, task: Any, fixed: bool = False) -> None:
        if wanted(trainer):
            for name, weight in upsampling_kernels(task.net, fixed).items():
                panel = kernel_panel(weight, name)
                log_picture(trainer, f"upsampling/{name}", panel, trainer.global_step)


class SegmentationPanels(PredictionPanels):
    """Input, truth, prediction and errors of a segmentation, and the kernels of the upsampling."""


class ReconstructionPanels(PredictionPanels):
    """Input, reconstruction and error, and the kernels of the upsampling."""

    tag = "reconstructions/validation"


class SuperResolutionPanels(PredictionPanels):
    """Bicubic, the net's image, the original and the error, and the kernels of the upsampling."""

    tag = "enlarged/validation"
