"""Weights that others released, loaded into our nets.

A state dict is recognised by its names, the net is rebuilt from its shapes, and every tensor is
mapped. Adding a layout: one class, one line here.

    net, card = load("fcn8s_from_caffe.pth")
    checkpoint.save("fcn8s", net, card)  # from then on a model file like any other
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from upzoo.conversion import dcgan, fcn, reading, torchvision, unet
from upzoo.conversion.format import Layout, State

LAYOUTS: tuple[Layout, ...] = (
    *fcn.LAYOUTS,
    *unet.LAYOUTS,
    *dcgan.LAYOUTS,
    *torchvision.LAYOUTS,
)
NAMES = tuple(dict.fromkeys(layout.name for layout in LAYOUTS))


def recognise(state: Mapping[str, Any]) -> str | None:
    """Name of the layout whose tensors these are, by their names alone; None if of none.

    `fcn8s` may be `fcn8s_at_once`: the names cannot tell.
    """
    try:
        return find(reading.unwrap(state)).name
    except ValueError:
        return None


def load(
    source: str | Path | Mapping[str, Any], layout: str | None = None
) -> tuple[nn.Module, dict[str, Any]]:
    """Our net with the weights of another project's.

    Args:
        source: a file of theirs, or its content. Of a file only tensors and plain data are read,
            and nothing in it is executed.
        layout: one of `NAMES`, where the tensors' names do not tell it.

    Returns:
        The net in evaluation mode, in float32, and its card, as `upzoo.checkpoint.save` takes it:
        spec, normalisation, and under `foreign` the layout, where the output agrees with the
        original's, and the names of tensors that were left out.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for a damaged file, a pickle of objects, or tensors that fit no layout.
    """
    if layout is not None and layout not in NAMES:
        raise ValueError(f"layout={layout!r} is unknown: choose from {', '.join(NAMES)}")
    content = source if isinstance(source, Mapping) else reading.read(source)
    try:
        state = reading.unwrap(content)
        return find(state, layout).build(state)
    except ValueError as error:
        name = "state dict" if isinstance(source, Mapping) else source
        raise ValueError(f"{name}: {error}") from None


def find(state: State, name: str | None = None) -> Layout:
    """The first layout that fits; where a name is given, among those of that name.

    Raises:
        ValueError: if none fits; it names the nearest and the first names that differ.
    """

    def unlike(layout: Layout) -> int:
        return sum(map(len, layout.difference(state)))

    nearest = min((c for c in LAYOUTS if name in (None, c.name)), key=unlike)
    missing, unknown = nearest.difference(state)
    if not missing and not unknown:
        return nearest
    differences = [
        f"{what} {', '.join(keys[:3])}{' …' if len(keys) > 3 else ''}"
        for what, keys in (("lacks", missing), ("has", unknown))
        if keys
    ]
    found = sum(k in state for k in nearest.names)
    raise ValueError(
        f"fits no layout of {name or ', '.join(NAMES)}; of the {len(nearest.names)} names of the "
        f"nearest, {nearest.name}, it has {found}: it {' and '.join(differences)}"
    )


__all__ = ["LAYOUTS", "NAMES", "find", "load", "recognise"]
