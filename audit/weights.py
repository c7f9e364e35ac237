"""Whether weights are as they were drawn: nobody trained them.

A random transposed convolution has phase gains that differ by √(phases − 1) of their mean, whatever
its kernel. That is its expectation and says nothing of the net that will come of it.

Independent draws are told by three things that training undoes: the kurtosis of the uniform or the
normal distribution, and filters and channels whose energies differ by no more than chance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

KURTOSES = (1.8, 3.0)  # of the uniform and the normal distribution; truncated ones lie between
FEWEST = 64  # weights of a tensor that can be told
SAMPLE = 96  # channels of each side that are looked at
SHARE = 0.85  # of the tensors that must look drawn


def looks_drawn(weight: Tensor) -> bool | None:
    """Whether a weight (out, in, ...) looks as if its entries were drawn alike and independently.

    None where there are too few to tell.

    Example:
        >>> g = torch.Generator().manual_seed(0)
        >>> w = torch.randn(32, 16, 3, 3, generator=g)
        >>> looks_drawn(w), looks_drawn(w * torch.linspace(0.5, 2, 32).view(-1, 1, 1, 1))
        (True, False)
    """
    w = weight.detach()
    w = w[:SAMPLE, :SAMPLE].double() if w.ndim > 1 else w.double()
    if w.ndim < 2 or w.numel() < FEWEST or not w.isfinite().all():
        return None
    n = w.numel()
    variance = w.square().mean().item()
    if variance == 0:
        return False
    if abs(w.mean().item()) > 5 * math.sqrt(variance / n):
        return False
    kurtosis = w.pow(4).mean().item() / variance**2
    slack = 5 * math.sqrt(24 / n)
    if not KURTOSES[0] - slack < kurtosis < KURTOSES[1] + slack:
        return False
    return all(_even(w, axis, kurtosis) for axis in range(w.ndim))


def _even(w: Tensor, axis: int, kurtosis: float) -> bool:
    """Whether the energies along an axis differ by no more than chance."""
    groups = w.shape[axis]
    each = w.numel() // groups
    if groups < 2 or each < 4:
        return True
    energies = w.square().movedim(axis, 0).flatten(1).mean(1)
    relative = (energies.var(correction=0) / energies.mean().square()).item()
    expected = max(kurtosis - 1, 0.1) / each
    return relative < expected * (1 + 6 * math.sqrt(2 / groups))


def are_random(net: nn.Module) -> bool:
    """Whether a net as a whole was never trained."""
    for module in net.modules():
        bias = getattr(module, "bias", None)
        norm = "norm" in type(module).__name__.lower()
        if norm and isinstance(bias, Tensor) and bool(bias.detach().any()):
            return False  # every norm starts without a shift
    told = [
        looks_drawn(p)
        for p in net.parameters()
        if p.ndim > 1 and p.is_floating_point() and not _constant(p)
    ]
    known = [drawn for drawn in told if drawn is not None]
    return bool(known) and sum(known) >= SHARE * len(known)


def _constant(p: Tensor) -> bool:
    """Whether a parameter starts as one value: a layer's scale, a zero to begin with."""
    some = p.detach()[:SAMPLE, :SAMPLE]
    return bool((some == some.flatten()[:1]).all())


def load_into(net: nn.Module, weights: str | Path | Mapping[str, Any]) -> str:
    """Put a state dict, or the file of one, into a net; say where it came from.

    Raises:
        FileNotFoundError: for a file that is not there.
        ValueError: for a file that holds none, or one that does not fit.
    """
    name = "a state dict"
    if not isinstance(weights, Mapping):
        path = Path(weights)
        name = path.name
        if not path.is_file():
            raise FileNotFoundError(f"weights={weights}: there is no such file")
        weights = _read(path)
    state = _unwrap(weights, name)
    own = net.state_dict()
    fitting = [k for k, v in state.items() if k in own and own[k].shape == v.shape]
    if len(fitting) < len(own) or len(state) > len(fitting):
        raise ValueError(
            f"weights={name}: {len(fitting)} of the net's {len(own)} tensors are in it, and "
            f"{len(state) - len(fitting)} are of another net or shape"
        )
    net.load_state_dict(state)
    return name


def _read(path: Path) -> Any:
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception:
        raise ValueError(
            f"weights={path}: no file of tensors (damaged, or a pickle of other objects, which is "
            "never executed)"
        ) from None


def _unwrap(content: Any, name: str) -> dict[str, Tensor]:
    """The tensors of a checkpoint, under whatever key and prefix."""
    for key in ("state_dict", "model_state_dict", "model", "net", "params_ema", "params"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping):
        raise ValueError(f"weights={name}: it holds {type(content).__name__}, no state dict")
    state = {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
    for prefix in ("module.", "net.", "model.", "_orig_mod."):
        if state and all(k.startswith(prefix) for k in state):
            state = {k.removeprefix(prefix): v for k, v in state.items()}
    return state
