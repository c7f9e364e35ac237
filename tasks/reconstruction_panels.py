"""Pictures of a reconstruction for TensorBoard, and of what the net's features respond to."""

from collections.abc import Mapping, Sequence

import lightning.pytorch as pl
import torch
from torch.utils.data import Dataset

from panels.projection import page, projection_panel
from tasks.callbacks import SegmentationPanels
from tasks.reconstruction import Reconstruction
from upzoo.deconvnet import DeconvNet


class ReconstructionPanels(SegmentationPanels):
    """Input, reconstruction and error, and the kernels of the upsampling.

    Args:
        images: how many images of the validation set to show, always the same ones.
        every_n_epochs: how often.
    """

    def _log_predictions(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._samples = self._samples or first_samples(trainer.val_dataloaders.dataset, self.images)
        with trainer.precision_plugin.val_step_context():
            picture = reconstruction_panel(pl_module, self._samples)
        self._add(trainer, "reconstructions/validation", picture)


class ProjectionPanels(pl.Callback):
    """What channels of a DeconvNet's encoder respond to, at the end of training.

    Args:
        stage: of the encoder, 1 is the first; None is the deepest.
        channels: how many of its channels to show, the first ones.
        images: how many images of the validation set to search for what excites them.
    """

    def __init__(self, stage: int | None = None, channels: int = 8, images: int = 64) -> None:
        self.stage, self.channels, self.images = stage, channels, images

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse a net or a stage that cannot be shown, before any training.

        Raises:
            ValueError: a net that is no DeconvNet, or a stage that it does not have.
        """
        net = pl_module.net
        if not isinstance(net, DeconvNet):
            raise ValueError(
                "callbacks.projections shows what the stages of a deconvnet respond to, not of "
                f"{type(net).__name__}: set callbacks.projections=null"
            )
        if self.stage is not None and not 1 <= self.stage <= len(net.encoders):
            raise ValueError(
                f"callbacks.projections.stage={self.stage} must be one of the net's, "
                f"1 to {len(net.encoders)}, or null for the deepest"
            )

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the panel of the last weights."""
        if trainer.logger is None or not trainer.is_global_zero:
            return
        net, data = pl_module.net, trainer.datamodule
        stage = len(net.encoders) if self.stage is None else self.stage
        channels = range(self.channels)[: net.widths[stage - 1]]
        samples = first_samples(data.prepared("val"), self.images)
        images = torch.stack([sample["image"] for sample in samples]).to(pl_module.device)
        picture = projection_panel(net.eval(), images, stage, channels, data.mean, data.std)
        tag = f"projections/stage{stage}"
        trainer.logger.experiment.add_image(tag, picture, trainer.global_step)


def first_samples(dataset: Dataset, count: int) -> list[Mapping[str, torch.Tensor]]:
    """The first samples of a data set, those of the first one's size."""
    samples = [dataset[i] for i in range(min(count, len(dataset)))]
    return [s for s in samples if s["image"].shape == samples[0]["image"].shape]


@torch.no_grad()
def reconstruction_panel(
    task: Reconstruction, samples: Sequence[Mapping[str, torch.Tensor]]
) -> torch.Tensor:
    """One row per sample: input | reconstruction | error, (3, H, W) uint8.

    The error is the absolute difference of the colours, black where there is none.
    """
    images = torch.stack([sample["image"] for sample in samples]).to(task.device)
    # one by one, to need no more memory than training does
    found = torch.cat([task(image[None]) for image in images])
    truth, found = task.colours(images), task.colours(found)
    blocks = [block[:, None] for block in (truth, found, (truth - found).abs())]
    return page(blocks, ("input", "reconstruction", "error"), tile=256)
