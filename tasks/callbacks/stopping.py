"""A clean stop: finish the step at hand, write a checkpoint, end with the signal's status."""

import signal
from pathlib import Path
from typing import Any

import lightning.pytorch as pl


class StoppedError(SystemExit):
    """Training was asked to stop by Ctrl-C or SIGTERM and has saved its state."""


class GracefulStop(pl.Callback):
    """On Ctrl-C or SIGTERM finish the step at hand, write `last.ckpt` and stop.

    A second signal stops at once, with whatever checkpoint the last epoch left.

    Args:
        dirpath: folder of the checkpoint.
    """

    def __init__(self, dirpath: str | Path) -> None:
        self.path = Path(dirpath) / "last.ckpt"
        self._asked: int | None = None
        self._handlers: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take over the two signals, from Lightning too, which has taken SIGTERM by now."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._handlers[number] = signal.signal(number, self._ask)

    def _ask(self, number: int, frame: Any) -> None:
        if self._asked is not None:
            raise KeyboardInterrupt
        self._asked = number

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save and stop if a signal came; between two steps every state is whole."""
        if not trainer.is_last_batch:
            self._stop_if_asked(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The same after an epoch's last batch, once it is validated."""
        self._stop_if_asked(trainer)

    def _stop_if_asked(self, trainer: pl.Trainer) -> None:
        # processes that train together stop together, whichever of them was asked
        if trainer.strategy.reduce_boolean_decision(self._asked is not None, all=False):
            trainer.save_checkpoint(self.path)
            raise StoppedError(128 + (self._asked or signal.SIGTERM))

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Give the signals back."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()
