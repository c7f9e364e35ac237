"""Randomness that does not depend on where a run was resumed."""

from typing import Any

import lightning.pytorch as pl
import torch


class Repeatable(pl.Callback):
    """Seed the random state of every step from (seed, step).

    Dropout then depends on neither the number of workers nor on where a run was resumed. Processes
    that train together draw differently; the first draws what one process alone would.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed torch on all devices."""
        rank = trainer.global_rank << 26  # more steps than any training has
        torch.manual_seed((self.seed << 32) + rank + trainer.global_step)
