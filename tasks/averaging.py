"""Averages of the weights whose window grows with the step: any step of one training is a result.

With a constant learning rate the weights wander about a minimum; their average lies closer to it,
as after a decay of the rate (Hägele et al. 2024, "Scaling laws and compute-optimal training beyond
fixed training durations", section 4.1; Sandler et al. 2023, "Training trajectories, mini-batch
losses and the curious role of the learning rate").
"""

from collections.abc import Iterable

import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class PowerAverage(WeightAveraging):
    """The mean of all weights so far, those after step t weighed in proportion to about t^power.

        w̄_t = w̄_{t−1} + (power + 1) / (t + power) · (w_t − w̄_{t−1})

    is polynomial-decay averaging (Shamir & Zhang 2013, "Stochastic gradient descent for non-smooth
    optimization", section 4). It forgets the start and its window is the same share of any number
    of steps; the mean's age is t / (power + 2). Karras et al. 2024 ("Analyzing and improving the
    training dynamics of diffusion models", section 3.1) give the window of the same profile as its
    relative deviation: 0.10 for power 6.94, 0.05 for 16.97.

    Validation, `last.ckpt` and the weights at the end are the average's. Batch norm's running
    statistics are averaged with the weights; `recalibrate` computes them anew.

    Args:
        power: at least 0, which is the plain mean; 7 looks at about the last fifth.

    Raises:
        ValueError: for a power below 0.
    """

    def __init__(self, power: float = 7.0) -> None:
        number = isinstance(power, int | float) and not isinstance(power, bool)
        if not number or not 0 <= power < float("inf"):
            raise ValueError(
                f"power={power!r} must be a number of at least 0, such as 7: the larger, the "
                "shorter the window"
            )
        self.power = power
        super().__init__(multi_avg_fn=self.mix)

    def mix(self, averages: list[Tensor], current: list[Tensor], updates: Tensor | int) -> None:
        """Update averages in place once more; torch copies the weights at the first.

        Args:
            averages: of the weights after the first `updates` updates, all of one dtype.
            current: weights now.
            updates: how many have been made, at least 1.
        """
        mix_in(averages, current, (self.power + 1) / (int(updates) + 1 + self.power))


class ExponentialAverage(WeightAveraging):
    """The mean of all weights so far, each step's weighed `decay` times as much as the next one's.

    Args:
        decay: 0 to 1.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        super().__init__(multi_avg_fn=self.mix)

    def mix(self, averages: list[Tensor], current: list[Tensor], updates: Tensor | int) -> None:
        """Update averages in place once more, as `PowerAverage.mix`."""
        mix_in(averages, current, 1 - self.decay)


@torch.no_grad()
def mix_in(averages: list[Tensor], current: list[Tensor], weight: float) -> None:
    """Move averages towards current values in place, a ← a + weight·(c − a); counters round down.

    Args:
        averages: all of one dtype and device.
        current: as many of the same shapes.
        weight: 0 to 1.
    """
    if averages[0].is_floating_point():
        torch._foreach_lerp_(averages, current, weight)
        return
    for average, now in zip(averages, current, strict=True):
        average.copy_(average + (now - average) * weight)


@torch.no_grad()
def recalibrate(net: nn.Module, batches: Iterable[Tensor]) -> int:
    """Compute batch norm's running statistics anew: the mean over batches of what they see.

    Averaged weights are a net that no step has run, so its statistics are not those of any
    (Izmailov et al. 2018, "Averaging weights leads to wider optima", section 3.3).

    All else runs as in evaluation, without dropout.

    Args:
        net: its modes are left as they are.
        batches: of training images.

    Returns:
        The number of norms; without any, no batch is read.
    """
    norms = [m for m in net.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    if not norms:
        return 0
    modes, momenta = [(m, m.training) for m in net.modules()], [norm.momentum for norm in norms]
    net.eval()
    for norm in norms:
        norm.train()
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
    try:
        for images in batches:
            net(images)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in modes:
            module.training = mode
    return len(norms)
