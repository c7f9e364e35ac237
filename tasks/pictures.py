"""The picture of what a net does with a few samples, for each kind of task."""

from collections.abc import Mapping, Sequence
from functools import singledispatch
from typing import Any

import lightning.pytorch as pl
from torch import Tensor

from panels.samples import sample_grid
from tasks.callbacks import prediction_panel
from tasks.generation import Generation
from tasks.generation_panels import COLUMNS, draw
from tasks.reconstruction import Reconstruction
from tasks.reconstruction_panels import reconstruction_panel
from tasks.segmentation import Segmentation
from tasks.super_resolution import SuperResolution
from tasks.super_resolution_panels import super_resolution_panel

Samples = Sequence[Mapping[str, Tensor]]


@singledispatch
def picture(task: pl.LightningModule, samples: Samples, data: Any) -> Tensor | None:
    """What the task's net makes of samples, (3, h, w) uint8; None where nothing is to be seen."""
    return None


@picture.register
def _(task: Segmentation, samples: Samples, data: Any) -> Tensor:
    return prediction_panel(task, samples, data)


@picture.register
def _(task: Reconstruction, samples: Samples, data: Any) -> Tensor:
    return reconstruction_panel(task, samples)


@picture.register
def _(task: SuperResolution, samples: Samples, data: Any) -> Tensor:
    return super_resolution_panel(task, samples)


@picture.register
def _(task: Generation, samples: Samples, data: Any) -> Tensor:
    return sample_grid(draw(task, task.fixed_z), COLUMNS)
