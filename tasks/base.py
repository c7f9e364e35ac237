"""What all tasks share: a net, its scores, and what its outputs look like."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import lightning.pytorch as pl
import torch
from torch import Tensor

from upzoo.audit import AuditReport, audit
from upzoo.base import Net
from upzoo.metrics.checkerboard import gradient_phases
from upzoo.metrics.checkerboard.grid import periods

Batch = Mapping[str, Tensor]
Samples = Sequence[Batch]
#: What a net makes of a batch, and real pictures to compare it with.
Made = tuple[Tensor, Tensor | None] | None
#: Key of what the steps of a validation or test hand on.
MADE = "made"
#: Periods along an axis that the gradient's figures need at least.
CELLS = 16


class Task(pl.LightningModule):
    """A net in training, and how it is scored and shown.

    Args:
        net: the net.
        card: plain data to store in every checkpoint, so that it can be rebuilt from itself.

    Attributes:
        takes: what nets of this task are given, see `upzoo.base.Net`.
        makes_pictures: whether what they make can be looked at, or are logits of pixels.
        periods: of the checkerboards that are looked for in what the net makes, in pixels.
        shares_pass: whether its pictures are those that it is scored by; if not, they are made anew
            of the samples that `cut` gives.
        weighs_kernels: whether the ripple of kernels, a share of their mean gain, says anything.
        pooled: whether PSNR is of the squared error over all images, not the mean of each one's.
        takes_turns: whether its nets are trained in turns, each by an optimizer of its own.
        results: scores of the latest pass over a whole split, by name.
        per_image: figures of each image of that pass in the split's order, by name.
    """

    takes: ClassVar[str] = "images"
    makes_pictures: ClassVar[bool] = True
    shares_pass: ClassVar[bool] = True
    net: Any  # Lightning would have it a Tensor or a Module
    periods: tuple[int, ...] = (2, 4, 8)
    weighs_kernels: bool = True
    pooled: ClassVar[bool] = False
    takes_turns: ClassVar[bool] = False

    def __init__(self, net: torch.nn.Module, card: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.card = dict(card or {})
        self.results: dict[str, Any] = {}
        self.per_image: dict[str, Tensor] = {}

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile what a training step runs, in place: the net, whose tensors keep their names."""
        self.net.compile(*args, **kwargs)

    @staticmethod
    def outputs(data: Any) -> int:
        """Channels that the net must give for this data."""
        raise NotImplementedError

    @classmethod
    def fill(cls, options: Any, data: Any) -> None:
        """Fill those options of a task's config that leave a choice to the data."""

    @classmethod
    def check_net(cls, net: Net) -> None:
        """Refuse a net that this task cannot train, before anything is written."""
        if net.takes != cls.takes:
            raise ValueError(
                f"{net.label} cannot be trained by this task: generators, which draw from noise, "
                "go with task=generation, others with task=segmentation, reconstruction, "
                "super_resolution or classification"
            )

    def score_names(self) -> tuple[str, ...]:
        """Names of the scores that a pass over a split logs as `<split>/<name>`."""
        raise NotImplementedError

    def steps_done(self, trainer: pl.Trainer) -> int:
        """Training steps of a trainer so far, which need not be the one that scores now."""
        return trainer.global_step

    def alike(self, samples: Samples) -> Samples:
        """Those samples, or parts of them, that fit into one batch: of the first one's size."""
        return [s for s in samples if s["image"].shape == samples[0]["image"].shape]

    def cut(self, dataset: Any, count: int) -> Iterator[Batch]:
        """The first samples of a dataset, one at a time, those that are `alike`."""
        first = dataset[0]["image"].shape
        for index in range(count):
            sample = dataset[index]
            if sample["image"].shape == first:
                yield sample

    def made(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """What the net makes, and real images to compare it with, (B, C, H, W) each.

        Logits have no real counterpart: their checkerboard is compared with the frequencies around
        it.
        """
        raise NotImplementedError

    def examine(self, images: Tensor) -> tuple[AuditReport, Mapping[int, Any]]:
        """The audit of the net on images, and the gradient figures of what looks at pictures."""
        report = audit(self.net, images)
        thinned = [layer.period or 1 for layer in report.layers if not layer.up]
        return report, gradient_figures(self.net, images, periods(max(thinned, default=1)))

    def picture(self, samples: Samples, data: Any) -> Tensor | None:
        """What the net makes of samples, (3, h, w) uint8; None where nothing is to be seen."""
        return None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Let every checkpoint carry the config that rebuilds it."""
        checkpoint["card"] = self.card


def gradient_figures(
    net: torch.nn.Module, images: Tensor, wanted: Sequence[int]
) -> dict[int, dict[str, float]]:
    """Phase figures of the input gradient, at the periods for which there are cells enough."""
    fit = [p for p in wanted if min(images.shape[2:]) >= CELLS * p]
    if not fit:
        return {}
    return {p: figures._asdict() for p, figures in gradient_phases(net, images, fit).items()}
