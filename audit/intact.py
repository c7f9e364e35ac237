"""Leave a net as it was: parameters, buffers, hooks, modes, attributes and random states.

What is kept is taken before anything runs, and put back whatever happens.
"""

from __future__ import annotations

import contextlib
import copy
import random
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


@contextlib.contextmanager
def undisturbed(net: nn.Module, seed: int = 0) -> Iterator[None]:
    """Run a net in evaluation mode, from a seed, and put everything back at the end."""
    tensors = [*net.parameters(), *net.buffers()]
    values = [tensor.detach().clone() for tensor in tensors]
    wanted = [tensor.requires_grad for tensor in tensors]
    grads = [tensor.grad for tensor in tensors if tensor.is_leaf]
    modes = [(module, module.training) for module in net.modules()]
    attributes = [_attributes(module) for module in net.modules() if _plain(module)]
    states = random.getstate(), np.random.get_state()
    devices = sorted({t.device for t in tensors if t.device.type == "cuda"}, key=str)
    try:
        with (
            torch.random.fork_rng(devices=devices),
            torch.compiler.set_stance("force_eager"),  # no function is seen in a compiled net
        ):
            reseed(seed)
            with contextlib.suppress(NotImplementedError):  # an exported program has one mode
                net.eval()
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        for module, kept in zip((m for m in net.modules() if _plain(m)), attributes, strict=True):
            _restore(module, *kept)
        for module, training in modes:
            if module.training != training:
                module.training = training
        with torch.no_grad():
            for tensor, value in zip(tensors, values, strict=True):
                if not _same(tensor, value):
                    tensor.copy_(value)
        for tensor, needs in zip(tensors, wanted, strict=True):
            if tensor.is_leaf and tensor.requires_grad != needs:
                tensor.requires_grad_(needs)
        for tensor, grad in zip((t for t in tensors if t.is_leaf), grads, strict=True):
            tensor.grad = grad


def reseed(seed: int) -> None:
    """Seed every generator that a net may draw from."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)


def _plain(module: nn.Module) -> bool:
    """Whether a module keeps its state in Python: a scripted one does not."""
    return not isinstance(module, torch.jit.ScriptModule)


def _attributes(module: nn.Module) -> tuple[dict[str, Any], dict[str, tuple[Any, Any]]]:
    """The attributes of a module, and a shallow copy of each of its containers."""
    attributes = dict(vars(module))
    containers = {
        name: (value, copy.copy(value))
        for name, value in attributes.items()
        if type(value) in (dict, list, set, OrderedDict)
    }
    return attributes, containers


def _restore(
    module: nn.Module, attributes: dict[str, Any], containers: dict[str, tuple[Any, Any]]
) -> None:
    current = vars(module)
    for name in [name for name in current if name not in attributes]:
        del current[name]
    current.update(attributes)
    for value, kept in containers.values():
        if isinstance(value, list):
            value[:] = kept
        else:
            value.clear()
            value.update(kept)


def _same(tensor: Tensor, value: Tensor) -> bool:
    if tensor.is_quantized:
        return True  # nothing trains it
    both = tensor.detach(), value
    return torch.equal(*both) or (
        bool((both[0].isnan() & both[1].isnan()).any())
        and torch.equal(*(t.nan_to_num() for t in both))
    )
