"""How the supervised tasks step: optimiser, schedule, and when to give up."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from upzoo.upsampling import Upsample


class LossNotFiniteError(ValueError):
    """Training diverged: the loss, or the net's output, is NaN or infinite."""


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

    They decay to zero, but a kernel that an operator starts as an interpolation (see
    `Upsample.starts`) decays to that start: with p₀ for it,

        AdamW: p ← p − lr·λ·(p − p₀) − lr·(Adam's step),    SGD: gradient + λ·(p − p₀).

    So weight decay prefers the map that the operator was chosen for, not the zero map (Li et al.
    2018, "Explicit inductive bias for transfer learning with convolutional networks", L²-SP).

    Attributes:
        lr: peak learning rate, above 0.
        weight_decay: λ, at least 0; decoupled in AdamW, added to the gradient in SGD.
        betas: AdamW's two decay rates.
        warmup: share of all steps in which the learning rate rises, 0 to 1; or their number, a
            whole one above 1.
        optimiser: "adamw" or "sgd".
        momentum: SGD's, 0 to below 1.
        schedule: "cosine" to zero after the warm-up, or "constant".
        decay_to_start: False lets interpolating kernels decay to zero as all else does.
        encoder_factor: the learning rate of the net's `backbone` is this times `lr`, above 0;
            below 1 for one with released weights.

    Raises:
        ValueError: for options out of their range.
    """

    lr: float = 1e-3
    weight_decay: float = 1e-2
    betas: Sequence[float] = (0.9, 0.999)
    warmup: float = 0.05
    optimiser: str = "adamw"
    momentum: float = 0.9
    schedule: str = "cosine"
    decay_to_start: bool = True
    encoder_factor: float = 1.0

    def __post_init__(self) -> None:
        """Refuse options out of their range."""
        check_number("lr", self.lr, lambda v: v > 0, "a number above 0")
        check_number("weight_decay", self.weight_decay, lambda v: v >= 0, "a number of at least 0")
        check_number(
            "warmup",
            self.warmup,
            lambda v: 0 <= v <= 1 or (v > 1 and v == int(v)),
            "a share of the steps, 0 to 1, or a whole number of them above 1",
        )
        check_number("momentum", self.momentum, lambda v: 0 <= v < 1, "a number from 0 to below 1")
        check_number("encoder_factor", self.encoder_factor, lambda v: v > 0, "a number above 0")
        check_betas(self.betas)
        check_choice("optimiser", self.optimiser, ("adamw", "sgd"))
        check_choice("schedule", self.schedule, ("cosine", "constant"))
        if not isinstance(self.decay_to_start, bool):
            raise ValueError(f"task.decay_to_start={self.decay_to_start!r} must be true or false")

    def configure(
        self, net: nn.Module, trainer: pl.Trainer
    ) -> tuple[list[Optimizer], list[dict[str, Any]]]:
        """What `configure_optimizers` returns: the schedule is stepped at every batch."""
        starts = starts_of(net) if self.decay_to_start and self.weight_decay else {}
        groups: list[dict[str, Any]] = []
        for params, lr in self._parts(net):
            decaying = [p for p in params if p.ndim > 1 and p not in starts]
            single = [p for p in params if p.ndim <= 1 and p not in starts]
            interpolating = [p for p in params if p in starts]
            groups += [
                {"params": decaying, "lr": lr, "weight_decay": self.weight_decay},
                {"params": single, "lr": lr, "weight_decay": 0.0},
            ]
            if interpolating:
                groups.append({"params": interpolating, "lr": lr, "weight_decay": 0.0})
        optimizer: Optimizer
        if self.optimiser == "sgd":
            optimizer = SGD(groups, lr=self.lr, momentum=self.momentum)
        else:
            betas = (self.betas[0], self.betas[1])
            optimizer = unscaled_first(AdamW(groups, lr=self.lr, betas=betas, fused=True))
        if starts:
            pull = DecayToStart(starts, self.weight_decay, decoupled=self.optimiser == "adamw")
            optimizer.register_step_pre_hook(pull)
        scheduler = LambdaLR(optimizer, self._factor(training_steps(trainer)))
        return [optimizer], [{"scheduler": scheduler, "interval": "step"}]

    def _parts(self, net: nn.Module) -> list[tuple[list[nn.Parameter], float]]:
        """Parameters with their learning rate: all, or the decoder's before the encoder's.

        Raises:
            ValueError: a factor for a net without a backbone.
        """
        params = [p for p in net.parameters() if p.requires_grad]
        if self.encoder_factor == 1:
            return [(params, self.lr)]
        backbone = getattr(net, "backbone", None)
        if not isinstance(backbone, nn.Module):
            raise ValueError(
                f"task.encoder_factor={self.encoder_factor}: {type(net).__name__} has no backbone: "
                "leave it at 1"
            )
        encoder = set(backbone.parameters())
        return [
            ([p for p in params if p not in encoder], self.lr),
            ([p for p in params if p in encoder], self.encoder_factor * self.lr),
        ]

    def _factor(self, steps: int) -> Callable[[int], float]:
        rising = round(self.warmup * steps if self.warmup <= 1 else self.warmup)
        if self.schedule == "constant":
            return lambda step: warmup(step, rising)
        return lambda step: warmup_cosine(step, steps, rising)


class DecayToStart:
    """Pull parameters towards their starts at every step; a hook of an optimizer.

    The optimizer must not decay them itself. Nothing is kept between steps, so that a resumed
    training goes on exactly.

    Args:
        starts: parameter → what it decays to.
        weight_decay: λ.
        decoupled: p ← p − lr·λ·(p − p₀) before the step, as AdamW; otherwise λ·(p − p₀) is added
            to the gradient, as SGD.
    """

    def __init__(
        self, starts: Mapping[nn.Parameter, Tensor], weight_decay: float, decoupled: bool
    ) -> None:
        # where the parameters are: on a GPU a copy at every step would wait for it
        self.starts = {parameter: start.to(parameter) for parameter, start in starts.items()}
        self.weight_decay = weight_decay
        self.decoupled = decoupled

    def __call__(
        self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Decay now; where the step is handed a closure (Lightning's), after its gradients.

        Args:
            optimizer: about to step.
            args: of the step, itself first, then perhaps the closure.
            kwargs: of the step.
        """
        named, (itself, *rest) = dict(kwargs), args
        closure = rest.pop(0) if rest else named.pop("closure", None)
        if closure is None:
            self.decay(optimizer)
            return None

        def then_decay() -> Any:
            loss = closure()
            self.decay(optimizer)
            return loss

        return (itself, then_decay, *rest), named

    @torch.no_grad()
    def decay(self, optimizer: Optimizer) -> None:
        """One step of the decay alone, at the optimizer's present rates."""
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter not in self.starts or parameter.grad is None:
                    continue
                start = self.starts[parameter].to(parameter)
                if self.decoupled:
                    parameter.lerp_(start, group["lr"] * self.weight_decay)
                else:
                    parameter.grad.add_(parameter - start, alpha=self.weight_decay)


def unscaled_first(optimizer: Optimizer) -> Optimizer:
    """A fused optimizer whose gradients a scaler (16-mixed) unscales before they are clipped.

    Left alone, it would unscale them within its step, after the clipping, and so Lightning refuses
    to clip for it in any mixed precision. Its kernel on a CPU takes weights, gradients and averages
    to lie alike in memory, as autograd leaves them.
    """
    optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]
    return optimizer


def starts_of(net: nn.Module) -> dict[nn.Parameter, Tensor]:
    """Learned kernels of a net that start as an interpolation, and those starts."""
    return {
        getattr(module, name): start
        for module in net.modules()
        if isinstance(module, Upsample)
        for name, start in module.starts().items()
    }


def training_steps(trainer: Any) -> int:
    """Optimiser steps of the whole training.

    `trainer.estimated_stepping_batches` would load the data before a resumed run knows where it
    stands, and so repeat batches that it has seen.
    """
    if trainer.datamodule is None:
        return int(trainer.estimated_stepping_batches)
    return planned_steps(trainer, trainer.datamodule.train_batches)


def planned_steps(trainer: pl.Trainer, batches: int) -> int:
    """Optimiser steps of a training whose epochs have so many batches."""
    epochs, most = trainer.max_epochs or 1, trainer.max_steps
    if epochs < 0:  # as many as the steps need
        return most
    steps = math.ceil(batches / trainer.accumulate_grad_batches) * epochs
    return steps if most < 0 else min(steps, most)


def steps_done(trainer: pl.Trainer) -> int:
    """Steps so far, none before a fit; a task with two optimizers counts its iterations itself."""
    task: Any = trainer.lightning_module
    return 0 if task is None else task.steps_done(trainer)


def check_betas(betas: Sequence[float]) -> None:
    """Refuse decays of Adam's averages that are none, in one line."""
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
        raise ValueError(f"task.betas={list(betas)} must be two numbers from 0 to below 1")


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Refuse an option that is not among its choices, in one line."""
    if value not in choices:
        raise ValueError(f"task.{name}={value!r} must be {' or '.join(choices)}")


def check_number(name: str, value: object, fits: Callable[[Any], bool], want: str) -> None:
    """Refuse an option that is no finite number or does not fit, in one line."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not fits(value):
        raise ValueError(f"task.{name}={value!r} must be {want}")
