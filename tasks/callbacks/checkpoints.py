"""The best and the last checkpoint of a run, each written whole or not at all."""

import io
import os
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint

from runs import folders
from upzoo.atomic import whole


class RunCheckpoint(ModelCheckpoint):
    """A checkpoint in the run's folder, wherever that lies: its state names no path.

    Args:
        filename: without its suffix.
        options: of Lightning's `ModelCheckpoint`.
    """

    def __init__(self, filename: str, **options: Any) -> None:
        super().__init__(filename=filename, enable_version_counter=False, **options)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Write into the run's folder."""
        self.dirpath = os.path.abspath(Path(trainer.default_root_dir, folders.LAST).parent)
        super().setup(trainer, pl_module, stage)

    @property
    def state_key(self) -> str:
        """Under the name of Lightning's class, as the checkpoints of earlier versions have it."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)

    def state_dict(self) -> dict[str, Any]:
        """Scores, and names of files instead of paths."""
        return _moved(super().state_dict(), "")

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where a checkpoint was, though its run may have been moved since."""
        super().load_state_dict(_moved(state_dict, str(self.dirpath)))


def _moved(state: dict[str, Any], folder: str) -> dict[str, Any]:
    """The state of a checkpoint's callback with the same files in another folder."""

    def here(path: str | None) -> str:
        return os.path.join(folder, os.path.basename(path)) if path else ""

    paths = ("best_model_path", "kth_best_model_path", "last_model_path")
    scores = {here(path): score for path, score in state["best_k_models"].items()}
    named = {name: here(state[name]) for name in paths}
    return {**state, **named, "dirpath": folder, "best_k_models": scores}


class BestCheckpoint(RunCheckpoint):
    """`best.ckpt`: of the validation with the best score.

    Args:
        monitor: name of the score, such as "val/miou".
        mode: "max" or "min".
    """

    def __init__(self, monitor: str, mode: Literal["max", "min"]) -> None:
        super().__init__("best", monitor=monitor, mode=mode, save_on_train_epoch_end=False)


class LastCheckpoint(RunCheckpoint):
    """`last.ckpt`: of the latest epoch, to go on from."""

    def __init__(self) -> None:
        super().__init__("last", save_on_train_epoch_end=True)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's files of checkpoints, written beside their place, synced and renamed."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Write a checkpoint whole or not at all.

        Raises:
            NotWrittenError: where the disk is full, read-only or gone.
        """
        folders.refuse_gone(Path(path).parent.parent)
        content = io.BytesIO()  # torch turns a full disk into an error of its own
        torch.save(checkpoint, content)
        with whole(path) as beside, beside.open("wb") as file:
            file.write(content.getbuffer())
