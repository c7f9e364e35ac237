"""Pictures of a generator in training."""

from typing import Any

import lightning.pytorch as pl

from panels.kernels import kernel_panel, upsampling_kernels
from panels.samples import sample_grid
from tasks.callbacks.pictures import log_picture, wanted
from tasks.noise import interpolate
from tasks.pictures import COLUMNS, draw
from upzoo.counts import check_counts

#: Rows of the interpolation: each takes two of the 64 images of the fixed noise.
MOST_ROWS = 32


class GenerationPanels(pl.Callback):
    """Pictures, always from the same noise, and the kernels of the upsampling.

    `samples/fixed_z` is a grid of 8×8 images; each row of `samples/interpolation` goes from the
    noise of one of them to that of its neighbour.

    Args:
        every_n_epochs: how often, besides the start and the end.
        rows: of the interpolation, 1 to 32.
    """

    def __init__(self, every_n_epochs: int = 1, rows: int = 4) -> None:
        check_counts("callbacks.panels.", every_n_epochs=every_n_epochs, rows=rows)
        if rows > MOST_ROWS:
            raise ValueError(f"callbacks.panels.rows={rows} must be 1 to {MOST_ROWS}")
        self.every_n_epochs = every_n_epochs
        self.rows = rows

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw all before the first step, fixed kernels too."""
        if pl_module.iteration == 0:
            self._log(trainer, pl_module, fixed=True)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw all as it is now; where weights are averaged, by the averaged ones."""
        done = trainer.current_epoch + 1
        due = done % self.every_n_epochs == 0 or done == trainer.max_epochs
        if due and not trainer.sanity_checking:
            self._log(trainer, pl_module)

    def _log(self, trainer: pl.Trainer, task: Any, fixed: bool = False) -> None:
        if not wanted(trainer):
            return
        z = task.fixed_z
        between = interpolate(z[0 : 2 * self.rows : 2], z[1 : 2 * self.rows : 2], COLUMNS)
        with trainer.precision_plugin.val_step_context():
            pictures = {
                "samples/fixed_z": sample_grid(draw(task, z), COLUMNS),
                "samples/interpolation": sample_grid(draw(task, between), COLUMNS),
            }
        for name, weight in upsampling_kernels(task.net, fixed).items():
            pictures[f"upsampling/{name}"] = kernel_panel(weight, name)
        for tag, picture in pictures.items():
            log_picture(trainer, tag, picture, task.iteration)
