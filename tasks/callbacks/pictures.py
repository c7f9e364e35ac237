"""Pictures for every logger that can show some."""

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.loggers import MLFlowLogger, TensorBoardLogger, WandbLogger
from torch import Tensor
from torchvision.transforms.v2.functional import to_pil_image

from runs import board
from tasks.board import Board

#: Loggers that can show pictures.
SHOWING = (TensorBoardLogger, WandbLogger, MLFlowLogger)


def wanted(trainer: pl.Trainer) -> bool:
    """Whether this process has a logger that can show pictures: others need draw none."""
    return trainer.is_global_zero and any(isinstance(each, SHOWING) for each in trainer.loggers)


def log_picture(trainer: pl.Trainer, tag: str, picture: Tensor, step: int) -> None:
    """Hand a picture to each logger that can show it; the first process does, others pass.

    Args:
        trainer: whose loggers.
        tag: name of the picture, such as "predictions/validation".
        picture: (3, H, W) uint8.
        step: of the training.
    """
    if not trainer.is_global_zero:
        return
    for logger in trainer.loggers:
        if isinstance(logger, Board):
            logger.log_picture(tag, picture, step)
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(board.tag(tag), picture, step)
        elif isinstance(logger, WandbLogger):
            logger.log_image(tag, [to_pil_image(picture)], step)
        elif isinstance(logger, MLFlowLogger):
            client: Any = logger.experiment
            client.log_image(logger.run_id, to_pil_image(picture), key=tag, step=step)
