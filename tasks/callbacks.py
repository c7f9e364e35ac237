"""What happens around training: repeatability, a clean stop, throughput, pictures, progress."""

import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import nn

from panels import segmentation as panels
from panels.kernels import kernel_panel
from upzoo.upsampling import Upsample


class Repeatable(pl.Callback):
    """Seed the random state of every step from (seed, step).

    Dropout then depends on neither the number of workers nor on where a run was resumed. Processes
    that train together draw differently.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed torch on all devices."""
        step = trainer.global_step * trainer.world_size + trainer.global_rank
        torch.manual_seed((self.seed << 32) + step)


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


class SegmentationPanels(pl.Callback):
    """Pictures for TensorBoard: what the net sees and says, and the kernels of its upsampling.

    Args:
        images: how many images of the validation set to show, always the same ones.
        every_n_epochs: how often.
    """

    def __init__(self, images: int = 6, every_n_epochs: int = 1) -> None:
        self.images = images
        self.every_n_epochs = every_n_epochs
        self._samples: list[dict[str, torch.Tensor]] = []

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the kernels before the first step, fixed ones too."""
        self._log_kernels(trainer, pl_module, fixed=True)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show predictions and learned kernels as they are now."""
        done = trainer.current_epoch + 1
        due = done % self.every_n_epochs == 0 or done == trainer.max_epochs
        if trainer.sanity_checking or not trainer.is_global_zero or not due:
            return
        self._log_predictions(trainer, pl_module)
        self._log_kernels(trainer, pl_module)

    def _log_predictions(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        dataset = trainer.val_dataloaders.dataset
        if not self._samples:
            self._samples = [dataset[i] for i in range(min(self.images, len(dataset)))]
        with trainer.precision_plugin.val_step_context():
            picture = prediction_panel(pl_module, self._samples, trainer.datamodule)
        self._add(trainer, "predictions/validation", picture)

    def _log_kernels(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, fixed: bool = False
    ) -> None:
        for name, weight in upsampling_kernels(pl_module.net, fixed).items():
            self._add(trainer, f"upsampling/{name}", kernel_panel(weight, name))

    @staticmethod
    def _add(trainer: pl.Trainer, tag: str, picture: torch.Tensor) -> None:
        if trainer.logger is not None and trainer.is_global_zero:
            trainer.logger.experiment.add_image(tag, picture, trainer.global_step)


def prediction_panel(
    task: pl.LightningModule, samples: Sequence[Mapping[str, torch.Tensor]], data: Any
) -> torch.Tensor:
    """Input, truth, prediction and errors of samples of the first one's size, (3, H, W) uint8."""
    samples = [s for s in samples if s["image"].shape == samples[0]["image"].shape]
    images = torch.stack([sample["image"] for sample in samples])
    with torch.no_grad():  # one by one, to need no more memory than training does
        logits = [task(image[None].to(task.device))[0] for image in images]
    return panels.segmentation_panel(
        images,
        torch.stack([sample["mask"] for sample in samples]),
        torch.stack([scores.argmax(0).cpu() for scores in logits]),
        classes=data.classes,
        palette=data.palette,
        mean=data.mean,
        std=data.std,
    )


def upsampling_kernels(net: nn.Module, fixed: bool) -> dict[str, torch.Tensor]:
    """The spatial kernels of a net's upsampling operators by name: 4-D, larger than 1×1.

    Args:
        net: the net.
        fixed: those that are not learned, too.
    """
    kernels = {}
    for name, module in net.named_modules():
        if isinstance(module, Upsample):
            tensors = dict(module.named_parameters()) | (
                dict(module.named_buffers()) if fixed else {}
            )
            for key, value in tensors.items():
                if value.ndim == 4 and value.shape[-1] > 1:
                    kernels[f"{name}.{key}"] = value.detach().float().cpu()
    return kernels


class PlainProgress(pl.Callback):
    """One line for each validation, where the output is a file or a pipe."""

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print epoch, step and the scores of the progress bar."""
        if trainer.state.fn != "fit" or trainer.sanity_checking or not trainer.is_global_zero:
            return
        scores = {k: float(v) for k, v in trainer.progress_bar_metrics.items() if k != "v_num"}
        shown = "  ".join(f"{k} {v:.4f}" for k, v in scores.items())
        print(
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  "
            f"step {getattr(pl_module, 'iteration', trainer.global_step)}  {shown}",
            flush=True,
        )
