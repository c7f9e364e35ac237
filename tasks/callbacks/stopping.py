"""A clean stop: finish the step at hand, write a checkpoint, end with the signal's status."""

import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from runs import folders, signals


class GracefulStop(pl.Callback):
    """On Ctrl-C, SIGTERM or SIGHUP finish the step at hand, write `last.ckpt` and stop.

    The same before a job of submitit is requeued, at the end of its time or preempted. A second
    signal stops at once, with whatever checkpoint the last epoch left. In a trainer's
    list it comes after whatever a step still changes, such as an average of the weights.
    """

    def __init__(self) -> None:
        self._asked = signals.Asked()
        self._handlers = ExitStack()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take over the signals, from Lightning too, which has taken SIGTERM by now."""
        self._asked = self._handlers.enter_context(signals.deferred())

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
        if self._is_asked(trainer):
            trainer.save_checkpoint(Path(trainer.default_root_dir) / folders.LAST)
            self._handlers.close()
            signals.pass_on(self._asked.number or signal.SIGTERM)

    def _is_asked(self, trainer: pl.Trainer) -> bool:
        # processes that train together stop together, whichever of them was asked
        asked = self._asked.number is not None
        return trainer.strategy.reduce_boolean_decision(asked, all=False)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Give the signals back; stop now if one came while the last checkpoint was written."""
        self._handlers.close()
        if self._is_asked(trainer):
            signals.pass_on(self._asked.number or signal.SIGTERM)

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """The same after an error, or a stop."""
        self._handlers.close()
