"""Write a net's weights for its own project: a state dict that it loads as it does any other."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from upzoo.atomic import whole

SUFFIXES = (".safetensors", ".pth", ".pt")


def check_target(path: str | Path) -> Path:
    """Refuse, before any work, a file that is not to be written.

    Raises:
        ValueError: for another suffix, a folder that is not there, a file that is.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(f"output={path}: a state dict is written as {', '.join(SUFFIXES)}")
    if path.exists():
        raise ValueError(f"output={path} exists: give a new name")
    if not path.parent.is_dir():
        raise ValueError(f"output={path}: there is no folder {path.parent}")
    return path


def save_state(path: str | Path, net: nn.Module) -> Path:
    """Write a net's state dict, whole or not at all; tied tensors under each of their names.

    Args:
        path: of a .safetensors, .pth or .pt file that is not there yet.
        net: any module.

    Returns:
        The path.

    Raises:
        ValueError: as `check_target`.
    """
    path = check_target(path)
    state = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in net.state_dict().items()
    }
    with whole(path) as beside:
        if path.suffix == ".safetensors":
            save_file(state, beside)
        else:
            torch.save(state, beside)
    return path
