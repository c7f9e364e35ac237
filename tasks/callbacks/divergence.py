"""Scores only of nets whose outputs are numbers."""

from typing import Any

import lightning.pytorch as pl
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from tasks.optimisation import LossNotFiniteError, steps_done


class Divergence(pl.Callback):
    """Stop where the net's output is no longer finite: its NaN would be scored as class 0.

    The loss of a step is looked at by the task itself; this looks at what is validated and tested.
    """

    def __init__(self) -> None:
        self._hook: RemovableHandle | None = None

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at every output of the net from here on."""

        def refuse(net: nn.Module, inputs: Any, output: Tensor) -> None:
            low, high = output.aminmax()  # of which any nan is both; quicker than isfinite
            if not (low.isfinite() and high.isfinite()):
                found = "nan" if output.isnan().any() else "infinite"
                raise LossNotFiniteError(_line(found, trainer))

        net: Any = pl_module.net
        self._hook = net.register_forward_hook(refuse)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look no longer."""
        if self._hook is not None:
            self._hook.remove()

    on_test_start = on_validation_start
    on_test_end = on_validation_end

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """The same after an error."""
        self.on_validation_end(trainer, pl_module)


def _line(found: str, trainer: pl.Trainer) -> str:
    if trainer.state.fn == "fit":
        where = f"at step {steps_done(trainer)}, epoch {trainer.current_epoch}"
        return f"the net's output became {found} {where}"
    return (
        f"the net's output is {found}: its training has diverged, and its scores would mean nothing"
    )
