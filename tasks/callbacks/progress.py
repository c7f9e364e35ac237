"""How training shows itself where there is no terminal."""

import lightning.pytorch as pl

from tasks.optimisation import steps_done


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
            f"step {steps_done(trainer)}  {shown}",
            flush=True,
        )
