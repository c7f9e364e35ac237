"""What happens beside a pass that scores: its pictures are measured, and it says how far it is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from tasks.base import MADE

#: Seconds from one line to the next where the output is a file or a pipe.
QUIET = 30.0


class Watch(pl.Callback):
    """Hands what the net makes of each batch on, so that looking at it needs no second pass."""

    def __init__(self, add: Callable[[Tensor, Tensor | None], None]) -> None:
        self.add = add

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Hand a batch on."""
        if outputs and outputs[MADE] is not None:
            self.add(*outputs[MADE])

    on_test_batch_end = on_validation_batch_end


class ScoringProgress(pl.Callback):
    """Says what is scored, and how many of its images are: a bar, or lines where none can be drawn.

    Args:
        split: its name.
        images: how many it has.
    """

    def __init__(self, split: str, images: int) -> None:
        self.split, self.images = split, images
        self.done, self._said = 0, time.monotonic()
        self._bar: Progress | None = None

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say what begins."""
        if not sys.stdout.isatty():
            print(f"scoring {self.split}: {self.images} images", flush=True)
            return
        self._bar = Progress(
            TextColumn(f"scoring {self.split}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("images"),
            TimeRemainingColumn(),
            console=Console(),
            transient=True,
        )
        self._bar.add_task("", total=self.images)
        self._bar.start()

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count a batch."""
        self.done += len(batch["image"])
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self.done)
        elif time.monotonic() - self._said > QUIET:
            self._said = time.monotonic()
            print(f"scoring {self.split}: {self.done} of {self.images} images", flush=True)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    on_test_start = on_validation_start
    on_test_batch_end = on_validation_batch_end
    on_test_end = on_validation_end

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """The same after an error."""
        self.on_validation_end(trainer, pl_module)
