"""Images and seconds of training steps alone."""

import time
from typing import Any

import lightning.pytorch as pl


class Throughput(pl.Callback):
    """Count images and the seconds spent on training them, validation and pictures left out.

    Logs `throughput/images_per_second` at every epoch's end; the totals survive a resume.
    """

    def __init__(self) -> None:
        self.images = 0
        self.seconds = 0.0
        self._epoch = (0, 0.0)
        self._mark = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock: a run resumed in mid-epoch does not start that epoch again."""
        self._epoch = (self.images, self.seconds)
        self._mark = time.perf_counter()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock anew after a validation."""
        self.on_train_start(trainer, pl_module)

    def resume(self) -> None:
        """Leave out the time since the last step, in which something else was done."""
        self._mark = time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count a batch."""
        now = time.perf_counter()
        if trainer.global_step > 1:  # the first step also warms the kernels up
            self.images += len(batch["image"]) * trainer.world_size
            self.seconds += now - self._mark
        self._mark = now

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the rate of this epoch."""
        images, seconds = self.images - self._epoch[0], self.seconds - self._epoch[1]
        if seconds > 0:
            pl_module.log("throughput/images_per_second", images / seconds)

    @property
    def images_per_second(self) -> float | None:
        """The rate over the whole run."""
        return self.images / self.seconds if self.seconds else None

    def state_dict(self) -> dict[str, Any]:
        """The totals."""
        return {"images": self.images, "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting from the totals of a checkpoint."""
        self.images, self.seconds = state_dict["images"], state_dict["seconds"]
