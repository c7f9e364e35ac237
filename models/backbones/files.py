"""A backbone's weights from a file on disk, for machines without a network."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from upzoo.backbones.base import Backbone

SUFFIXES = (".pth", ".pt", ".bin", ".safetensors", ".ckpt", ".tar", ".th")
#: Beginnings of what classifies, which no encoder has.
HEADS = ("fc.", "classifier.", "head.")
COUNTER = "num_batches_tracked"


def is_file(weights: str | None) -> bool:
    """Whether `weights` is a file on disk rather than a name."""
    if weights is None:
        return False
    path = Path(weights).expanduser()
    return path.suffix in SUFFIXES or path.is_file()


def load_file(backbone: Backbone, name: str, path: str) -> None:
    """Give a backbone the weights of a file, under its own names, torchvision's or timm's.

    Of a whole net the encoder is taken, whatever stands before its names. All of the backbone's
    tensors must be there, and only what classifies may be left over.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for a damaged file, or weights of another net.
    """
    from upzoo import reading

    own = backbone.state_dict()
    try:
        parts = reading.parts(reading.read(path))
    except ValueError as error:
        raise ValueError(f"weights={str(error).removeprefix('weights=')}") from None
    found = [backbone.translate(part.state) for part in parts]
    differences = [_difference(backbone, own, state) for state in found]
    fitting = [i for i, both in enumerate(differences) if not any(both)]
    if not fitting:
        nearest = max(range(len(found)), key=lambda i: len(own.keys() & found[i].keys()))
        raise ValueError(
            f"weights={path} are not of backbone {name!r}: {_said(differences[nearest])}"
        )
    state = {key: value for key, value in found[fitting[0]].items() if key in own}
    for key, value in state.items():
        if value.shape != own[key].shape:
            raise ValueError(
                f"weights={path}: {key} has shape {tuple(value.shape)}, and in this {name} "
                f"{tuple(own[key].shape)}: set in_channels and width as the file has them"
            )
    backbone.load_state_dict(state, strict=False)


def _difference(
    backbone: Backbone, own: Mapping[str, Tensor], state: Mapping[str, Tensor]
) -> tuple[list[str], list[str]]:
    """Names that the backbone needs, and names that are neither its own nor a classifier's."""
    missing = [key for key in own if key not in state and not key.endswith(COUNTER)]
    known = own.keys() | backbone.unused_names()
    return missing, [key for key in state if key not in known and not key.startswith(HEADS)]


def _said(differences: tuple[list[str], list[str]]) -> str:
    said = [
        f"{what} {', '.join(keys[:3])}{' …' if len(keys) > 3 else ''}"
        for what, keys in zip(("lack", "have"), differences, strict=True)
        if keys
    ]
    return f"they {' and '.join(said)}"
