"""Batch normalisation over the batches of all processes on CPUs, where torch's own works on none.

`torch.nn.SyncBatchNorm` does the same between CUDA GPUs, with kernels of its own.
"""

from typing import Any

import torch
from lightning.pytorch.plugins import LayerSync
from torch import Tensor, nn


class _Sum(torch.autograd.Function):
    """The sum of all processes' tensors; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Sum.apply(gradient)  # which a penalty on gradients goes through once more


class PooledBatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose statistics in training are those of all processes' batches together.

    With it, processes that share a batch take the steps of one process that has all of it. In
    evaluation it is `BatchNorm2d`, and so are its parameters and buffers.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise a map (B, C, H, W) by μ = Σx / n and σ² = Σ(x − μ)² / n over all processes."""
        if not self.training:
            return super().forward(x)
        values = x.float()
        own = values.new_full((1,), values[:, 0].numel())
        total = _Sum.apply(torch.cat([values.sum((0, 2, 3)), own]))  # (C + 1,)
        n = total[-1].detach()
        mean = total[:-1] / n
        centred = values - mean[:, None, None]
        variance = _Sum.apply(centred.square().sum((0, 2, 3))) / n
        if self.track_running_stats:
            self._track(mean.detach(), variance.detach() * n / (n - 1))
        scale = (variance + self.eps).rsqrt()
        y = centred * (scale if self.weight is None else scale * self.weight)[:, None, None]
        return (y if self.bias is None else y + self.bias[:, None, None]).to(x.dtype)

    def _track(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        momentum = self.momentum  # None: the plain mean of all batches
        share = 1 / self.num_batches_tracked.item() if momentum is None else momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


class PooledNorms(LayerSync):
    """Lightning's way to synchronise layers: they pool their statistics while a net is trained."""

    def apply(self, model: nn.Module) -> nn.Module:
        """Let every `BatchNorm2d` pool its statistics, with the parameters that it has."""
        for module in model.modules():
            if type(module) is nn.BatchNorm2d:
                module.__class__ = PooledBatchNorm2d
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        """Make plain ones of them again."""
        for module in model.modules():
            if type(module) is PooledBatchNorm2d:
                module.__class__ = nn.BatchNorm2d
        return model
