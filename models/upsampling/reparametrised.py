"""Read and write a layer's weight, whether it is a parameter or computed from others.

Weight norm and spectral norm, in both of torch's forms, keep their own tensors: a state dict has
the same names before and after.
"""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

Module = TypeVar("Module", bound=nn.Module)


def current(module: nn.Module, name: str) -> Tensor | None:
    """The weight of this name as the layer uses it in evaluation; None where it has none."""
    if parametrize.is_parametrized(module, name):
        computed: Any = module.parametrizations[name]  # type: ignore[index]
        training = computed.training
        computed.eval()  # spectral norm iterates in training
        value = computed()
        computed.train(training)
        return value.detach()
    hook = _hook(module, name)
    if isinstance(hook, WeightNorm):
        return hook.compute_weight(module).detach()
    if isinstance(hook, SpectralNorm):
        return hook.compute_weight(module, do_power_iteration=False).detach()
    if name in module._parameters or name in module._buffers:
        held = getattr(module, name)
        return None if held is None else held.detach()
    return None


@torch.no_grad()
def assign(module: nn.Module, name: str, value: Tensor) -> None:
    """Set the weight of this name; spectral norm then scales it to its own norm.

    Raises:
        ValueError: for a parametrisation that cannot be inverted.
    """
    if parametrize.is_parametrized(module, name):
        like = current(module, name)
        assert like is not None
        try:
            setattr(module, name, value.to(like))
        except (RuntimeError, NotImplementedError, ValueError) as error:
            raise ValueError(
                f"its {name} is parametrised in a way that cannot be set: "
                f"{' '.join(str(error).split())}"
            ) from None
        return
    hook: Any = _hook(module, name)
    if isinstance(hook, WeightNorm):
        direction, size = getattr(module, f"{name}_v"), getattr(module, f"{name}_g")
        direction.copy_(value)
        size.copy_(torch.norm_except_dim(direction, 2, hook.dim))
    elif isinstance(hook, SpectralNorm):
        getattr(module, f"{name}_orig").copy_(value)
    else:
        getattr(module, name).copy_(value)


def _hook(module: nn.Module, name: str) -> object:
    """The older form's hook that computes this weight before each forward pass."""
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, WeightNorm | SpectralNorm) and hook.name == name:
            return hook
    return None


def copied(net: Module) -> Module:
    """A deep copy, of nets too that keep a computed tensor as an attribute."""
    memo: dict[int, Any] = {
        id(value): value.detach().clone()
        for module in net.modules()
        for value in vars(module).values()
        if isinstance(value, Tensor) and not value.is_leaf
    }
    return copy.deepcopy(net, memo)
