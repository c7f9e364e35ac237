"""Read a state dict, wherever a project has put it, and execute nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

#: Keys under which training scripts keep the state dict beside other things.
WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "net")
#: What DataParallel, torch.compile and Lightning modules put before every name.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")


def read(path: str | Path) -> Any:
    """The content of a file of weights: `.safetensors`, or whatever torch.save wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, or a pickle of more than tensors and plain data.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file of weights")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file: {error}") from None
    except Exception:
        # Whatever is wrong (no checkpoint, truncated, objects in the pickle), it stays shut.
        raise ValueError(
            f"{path}: not a file of weights: damaged, or a pickle of objects, which is never "
            "executed: save model.state_dict() instead of the model"
        ) from None


def unwrap(content: Any) -> dict[str, Tensor]:
    """The tensors by name, without wrappers around them and prefixes common to all.

    Entries beside them that are no tensors, such as `mask_values`, are dropped.

    Raises:
        ValueError: if there is no tensor with a name.
    """
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        raise ValueError(f"a {type(content).__name__}, not a dict of tensors")
    state = {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
    if not state:
        raise ValueError(f"no tensors, only {', '.join(map(str, [*content][:3])) or 'nothing'}")
    while prefix := next((p for p in PREFIXES if all(k.startswith(p) for k in state)), None):
        state = {k.removeprefix(prefix): v for k, v in state.items()}
    return state
