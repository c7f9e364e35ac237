"""Pictures of what the features of a DeconvNet respond to."""

import lightning.pytorch as pl
import torch

from panels.projection import projection_panel
from tasks.callbacks.pictures import log_picture, wanted
from upzoo.counts import check_counts
from upzoo.deconvnet import DeconvNet


class ProjectionPanels(pl.Callback):
    """What channels of a DeconvNet's encoder respond to, at the end of training.

    Args:
        stage: of the encoder, 1 is the first; None is the deepest.
        channels: how many of its channels to show, the first ones.
        images: how many images of the validation set to search for what excites them.
    """

    def __init__(self, stage: int | None = None, channels: int = 8, images: int = 64) -> None:
        check_counts("callbacks.projections.", channels=channels, images=images)
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
        if not wanted(trainer):
            return
        net, data = pl_module.net, trainer.datamodule
        stage = len(net.encoders) if self.stage is None else self.stage
        channels = range(self.channels)[: net.widths[stage - 1]]
        dataset = data.prepared("val")
        samples = pl_module.alike([dataset[i] for i in range(min(self.images, len(dataset)))])
        images = torch.stack([sample["image"] for sample in samples]).to(pl_module.device)
        picture = projection_panel(net.eval(), images, stage, channels, data.mean, data.std)
        tag = f"projections/stage{stage}"
        log_picture(trainer, tag, picture, trainer.global_step)
