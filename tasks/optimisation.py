"""How the supervised tasks step: optimiser, schedule, and when to give up."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR


class LossNotFiniteError(RuntimeError):
    """Training diverged: the loss is NaN or infinite."""


def refuse_not_finite(loss: Tensor, task: pl.LightningModule) -> None:
    """Stop the run where the loss is no longer finite.

    Raises:
        LossNotFiniteError: with the step at which it happened.
    """
    if not loss.isfinite():
        raise LossNotFiniteError(
            f"the loss became {loss.item()} at step {task.global_step}, epoch {task.current_epoch}"
        )


def warmup(step: int, steps: int) -> float:
    """Factor of the learning rate: linear from 0 to 1 in `steps` steps, then 1.

    >>> [warmup(s, steps=2) for s in (0, 1, 2)]
    [0.5, 1.0, 1.0]
    """
    return min(1.0, (step + 1) / steps) if steps else 1.0


def warmup_cosine(step: int, steps: int, warmup: int) -> float:
    """Factor of the learning rate: linear from 0 to 1 in `warmup` steps, then half a cosine to 0.

    >>> [round(warmup_cosine(s, steps=10, warmup=2), 3) for s in (0, 1, 2, 6, 10)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


@dataclass(frozen=True)
class Optimisation:
    """Optimiser and schedule of a task; only weights of two or more dimensions decay.

    Attributes:
        lr: peak learning rate, above 0.
        weight_decay: at least 0; decoupled in AdamW, added to the gradient in SGD.
        betas: AdamW's two decay rates.
        warmup: share of all steps in which the learning rate rises, 0 to 1.
        optimiser: "adamw" or "sgd".
        momentum: SGD's, 0 to below 1.
        schedule: "cosine" to zero after the warm-up, or "constant".

    Raises:
        ValueError: for options out of their range.
    """

    lr: float
    weight_decay: float
    betas: Sequence[float]
    warmup: float
    optimiser: str
    momentum: float
    schedule: str

    def __post_init__(self) -> None:
        """Refuse options out of their range."""
        _check("lr", self.lr, lambda v: v > 0, "a number above 0")
        _check("weight_decay", self.weight_decay, lambda v: v >= 0, "a number of at least 0")
        _check("warmup", self.warmup, lambda v: 0 <= v <= 1, "a share of the steps, 0 to 1")
        _check("momentum", self.momentum, lambda v: 0 <= v < 1, "a number from 0 to below 1")
        check_choice("optimiser", self.optimiser, ("adamw", "sgd"))
        check_choice("schedule", self.schedule, ("cosine", "constant"))

    def configure(
        self, net: nn.Module, trainer: pl.Trainer
    ) -> tuple[list[Optimizer], list[dict[str, Any]]]:
        """What `configure_optimizers` returns: the schedule is stepped at every batch."""
        params = [p for p in net.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in params if p.ndim > 1], "weight_decay": self.weight_decay},
            {"params": [p for p in params if p.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer: Optimizer
        if self.optimiser == "sgd":
            optimizer = SGD(groups, lr=self.lr, momentum=self.momentum)
        else:
            optimizer = AdamW(groups, lr=self.lr, betas=(self.betas[0], self.betas[1]))
        scheduler = LambdaLR(optimizer, self._factor(training_steps(trainer)))
        return [optimizer], [{"scheduler": scheduler, "interval": "step"}]

    def _factor(self, steps: int) -> Callable[[int], float]:
        rising = round(self.warmup * steps)
        if self.schedule == "constant":
            return lambda step: warmup(step, rising)
        return lambda step: warmup_cosine(step, steps, rising)


def training_steps(trainer: pl.Trainer) -> int:
    """Optimiser steps of the whole training.

    `trainer.estimated_stepping_batches` would load the data before a resumed run knows where it
    stands, and so repeat batches that it has seen.
    """
    if trainer.datamodule is None or trainer.max_steps >= 0:
        return int(trainer.estimated_stepping_batches)
    batches = trainer.datamodule.train_batches
    return math.ceil(batches / trainer.accumulate_grad_batches) * (trainer.max_epochs or 1)


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Refuse an option that is not among its choices, in one line."""
    if value not in choices:
        raise ValueError(f"task.{name}={value!r} must be {' or '.join(choices)}")


def _check(name: str, value: object, fits: Callable[[Any], bool], want: str) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not fits(value):
        raise ValueError(f"task.{name}={value!r} must be {want}")
