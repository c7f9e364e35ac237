"""What a stranger gives as a net: a module with a forward pass and values, or the reason."""

from typing import Any

import torch
from torch import nn


def checked(net: Any) -> nn.Module:
    """A module that can be run, out of what was given.

    Raises:
        ValueError: for what is none, or one whose weights hold no values.
    """
    if isinstance(net, torch.export.ExportedProgram):
        net = net.module()
    if not isinstance(net, nn.Module):
        raise ValueError(f"net is {type(net).__name__}: give a torch.nn.Module")
    net = getattr(net, "_orig_mod", net)  # of torch.compile
    if not _runs(net):
        parts = [name for name, child in net.named_children() if _runs(child)]
        which = f": take a part that has, {' or '.join(parts[:3])}" if parts else ""
        raise ValueError(f"{type(net).__name__} has no forward(){which}")
    for name, x in (*net.named_parameters(), *net.named_buffers()):
        if torch.nn.parameter.is_lazy(x):
            raise ValueError(f"{name} is not initialised: run {type(net).__name__} once before")
        if x.is_meta:
            raise ValueError(f"{name} is on the meta device and holds no values: load weights")
    return net


def _runs(module: nn.Module) -> bool:
    """Whether a module has a `forward` of its own."""
    return getattr(module.forward, "__func__", None) is not nn.Module.forward
