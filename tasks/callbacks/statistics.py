"""One net in all processes that train together, batch norm's statistics too."""

import lightning.pytorch as pl
import torch


class SameStatistics(pl.Callback):
    """Validate the first process's net on all of them.

    Gradients are shared and so weights stay equal, but each process's running statistics have seen
    its own last batch, and an average of them all its batches. In a trainer's list it comes after
    an average of the weights, whose statistics it makes the same.
    """

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Hand the first process's statistics to the others."""
        if trainer.world_size > 1:
            for buffer in pl_module.net.buffers():
                torch.distributed.broadcast(buffer, 0)
