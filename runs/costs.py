"""What a net costs: parameters, arithmetic, memory."""

import contextlib
import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from upzoo.base import input_shape
from upzoo.upsampling import Upsample


def of_net(net: nn.Module, image_shape: Sequence[int]) -> dict[str, Any]:
    """Parameters, those of the upsampling among them, and FLOPs of one image.

    Counted are the multiplications and additions of convolutions and matrix products, two FLOPs
    for each pair; interpolation and elementwise work are not.

    Args:
        net: takes (1, *image_shape), or noise (1, latent) if it is a generator.
        image_shape: (channels, height, width), of what it takes or draws.
    """
    training, device = net.training, next(net.parameters()).device
    shape = input_shape(net, image_shape)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        net.eval()(torch.zeros(1, *shape, device=device))
    net.train(training)
    upsampling = {
        id(p): p.numel()
        for module in net.modules()
        if isinstance(module, Upsample)
        for p in module.parameters()
    }
    return {
        "parameters": sum(p.numel() for p in net.parameters()),
        "parameters_upsampling": sum(upsampling.values()),
        "flops_forward": counter.get_total_flops(),
        "image_size": list(image_shape[1:]),
    }


def of_upsampling(net: nn.Module, image_shape: Sequence[int]) -> int:
    """FLOPs of one image in a net's upsampling operators, counted and given as for `of_net`."""
    counter, spent, begun = FlopCounterMode(display=False), 0, 0

    def begin(module: nn.Module, inputs: Any) -> None:
        nonlocal begun
        begun = counter.get_total_flops()

    def end(module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal spent
        spent += counter.get_total_flops() - begun

    operators = [module for module in net.modules() if isinstance(module, Upsample)]
    hooks = [module.register_forward_pre_hook(begin) for module in operators]
    hooks += [module.register_forward_hook(end) for module in operators]
    training, device = net.training, next(net.parameters()).device
    shape = input_shape(net, image_shape)
    with torch.no_grad(), torch.compiler.set_stance("force_eager"), counter:
        net.eval()(torch.zeros(1, *shape, device=device))
    net.train(training)
    for hook in hooks:
        hook.remove()
    return spent


def reset_peak_memory() -> None:
    """Forget the most bytes held so far, so that `peak_memory` speaks of one run of a sweep.

    On the CPU only Linux can; elsewhere a run keeps the peak of those before it in its process.
    """
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets the peak resident set


def peak_memory() -> int:
    """Most bytes since the last reset: of tensors on the GPU where there is one, else of us."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
