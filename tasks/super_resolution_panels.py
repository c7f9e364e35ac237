"""Pictures of super-resolution for TensorBoard."""

from collections.abc import Mapping, Sequence

import lightning.pytorch as pl
import torch

from panels.projection import page
from tasks.callbacks import SegmentationPanels
from tasks.super_resolution import SuperResolution, same_size
from upzoo.bicubic import enlarge


class SuperResolutionPanels(SegmentationPanels):
    """Bicubic, the net's image, the original and the error, and the kernels of the upsampling.

    Args:
        images: how many images of the validation set to show, always the same ones.
        every_n_epochs: how often.
    """

    def _log_predictions(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not self._samples:
            dataset = trainer.val_dataloaders.dataset
            self._samples = [dataset[i] for i in range(min(self.images, len(dataset)))]
        with trainer.precision_plugin.val_step_context():
            picture = super_resolution_panel(pl_module, self._samples)
        self._add(trainer, "enlarged/validation", picture)


@torch.no_grad()
def super_resolution_panel(
    task: SuperResolution, samples: Sequence[Mapping[str, torch.Tensor]]
) -> torch.Tensor:
    """One row per sample, its middle: bicubic | the net | original | error, (3, H, W) uint8.

    The error is the absolute difference of net and original, black where there is none.
    """
    samples = same_size(samples)
    images, truth = (
        torch.stack([sample[name] for sample in samples]).to(task.device)
        for name in ("image", "target")
    )
    # one by one, to need no more memory than training does
    found = torch.cat([task.predict(image[None]) for image in images])
    bicubic, found, truth = map(task.colours, (enlarge(images, task.scale), found, truth))
    blocks = [block[:, None] for block in (bicubic, found, truth, (truth - found).abs())]
    return page(blocks, ("bicubic", task.net.label, "original", "error"), tile=256)
