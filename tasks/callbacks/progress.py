"""How training shows itself where there is no terminal."""

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import RichProgressBar

from tasks.optimisation import steps_done
from upzoo.metrics import catalogue


def shown(name: str, value: Any) -> Any:
    """A logged value in the unit of the tables, where it is a score that they have.

    >>> shown("val/miou", 0.4567), shown("train/loss", 0.5)
    ('45.7 %', 0.5)
    """
    split, _, score = name.rpartition("/")
    known = score in catalogue.SCORES and score != "loss" and split != "train"
    return catalogue.SCORES[score].with_unit(float(value)) if known else value


class Bar(RichProgressBar):
    """Lightning's bar, with scores in the unit of the tables."""

    def get_metrics(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """The scores beside the bar."""
        metrics = super().get_metrics(trainer, pl_module)
        return {name: shown(name, value) for name, value in metrics.items() if name != "v_num"}


class PlainProgress(pl.Callback):
    """One line for each validation, where the output is a file or a pipe."""

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print epoch, step and the scores of the progress bar."""
        if trainer.state.fn != "fit" or trainer.sanity_checking or not trainer.is_global_zero:
            return
        scores = {k: shown(k, v) for k, v in trainer.progress_bar_metrics.items() if k != "v_num"}
        said = "  ".join(
            f"{k} {v if isinstance(v, str) else f'{float(v):.4f}'}" for k, v in scores.items()
        )
        print(
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  "
            f"step {steps_done(trainer)}  {said}",
            flush=True,
        )
