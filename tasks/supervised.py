"""Tasks in which each image has its truth: one loss, one optimizer, scores of whole splits."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import Metric

from tasks.base import MADE, Batch, Made, Task
from tasks.optimisation import Optimisation, refuse_not_finite


class Supervised(Task):
    """The base of the supervised tasks.

    A subclass gives `defaults`, `counters`, `truth`, `loss` and `count`; where its scores are more
    than one number a counter, `log_scores` too.

    Args:
        net: (B, C, H, W) normalised images -> predictions.
        card: plain data to store in every checkpoint, so that it can be rebuilt from itself.
        optimisation: options of `Optimisation` that differ from `defaults`.

    Raises:
        ValueError: for options out of their range, or that are none.
    """

    defaults: ClassVar[Optimisation]
    #: Scores in the progress bar.
    shown: ClassVar[tuple[str, ...]] = ()
    scores: nn.ModuleDict

    def __init__(
        self, net: nn.Module, card: Mapping[str, Any] | None = None, **optimisation: Any
    ) -> None:
        super().__init__(net, card)
        known = [f.name for f in fields(Optimisation)]
        for name in optimisation:
            if name not in known:
                raise ValueError(f"task.{name} is no option here (there are: {', '.join(known)})")
        self.optimisation = replace(self.defaults, **optimisation)

    def count_with(self, counters: Mapping[str, Mapping[str, Metric]]) -> None:
        """Set the counters: split -> name -> counter."""
        self.scores = nn.ModuleDict({s: nn.ModuleDict(dict(c)) for s, c in counters.items()})

    def forward(self, images: Tensor) -> Tensor:
        """The net's predictions for normalised images."""
        return self.net(images.contiguous(memory_format=torch.channels_last))

    def truth(self, batch: Batch) -> Tensor:
        """What the net has to give for a batch."""
        raise NotImplementedError

    def loss(self, prediction: Tensor, truth: Tensor) -> Tensor:
        """What is minimised, in float32."""
        raise NotImplementedError

    def count(self, counters: nn.ModuleDict, batch: Batch) -> Made:
        """Add a batch to the counters of a split; returns what `made` would, where it makes any."""
        raise NotImplementedError

    def augment(self, images: Tensor) -> Tensor:
        """Training images as the net is given them."""
        return images

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One step; stops the run where the loss is no longer finite."""
        loss = self.loss(self(self.augment(batch["image"])), self.truth(batch))
        refuse_not_finite(loss, self)
        optimizer: Any = self.optimizers()
        self.log("train/loss", loss.detach(), prog_bar=True)
        self.log("train/learning_rate", optimizer.param_groups[0]["lr"])
        return loss

    def on_validation_epoch_start(self) -> None:
        """Forget what an earlier or interrupted pass has counted."""
        self._reset("val")

    def on_test_epoch_start(self) -> None:
        """Forget what an earlier pass has counted."""
        self._reset("test")

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Made]:
        """Add a batch to the validation scores; hands on what the net has made of it."""
        return {MADE: self.count(self.counters("val"), batch)}

    def test_step(self, batch: Batch, batch_idx: int) -> dict[str, Made]:
        """Add a batch to the test scores; hands on what the net has made of it."""
        return {MADE: self.count(self.counters("test"), batch)}

    def on_validation_epoch_end(self) -> None:
        """Log the scores of the whole validation set."""
        self.log_scores("val")

    def on_test_epoch_end(self) -> None:
        """Log the scores of the whole test set."""
        self.log_scores("test")

    def score_names(self) -> tuple[str, ...]:
        """Those of the counters."""
        return tuple(self.counters("val"))

    def counters(self, split: str) -> nn.ModuleDict:
        """The counters of a split."""
        counters = self.scores[split]
        assert isinstance(counters, nn.ModuleDict)
        return counters

    def _reset(self, split: str) -> None:
        self.results, self.per_image = {}, {}
        for counter in self.counters(split).values():
            counter.reset()

    def log_scores(self, split: str) -> None:
        """Log and keep what the counters of a split have come to."""
        for name, counter in self.counters(split).items():
            value = counter.compute()
            self.log(f"{split}/{name}", value, prog_bar=name in self.shown)
            self.results[name] = value.item()

    def configure_optimizers(self) -> tuple[list[Optimizer], list[dict[str, Any]]]:  # type: ignore[override]
        """As `Optimisation` says, over the whole training."""
        return self.optimisation.configure(self.net, self.trainer)
