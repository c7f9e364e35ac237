"""Weights that others released, converted into our nets.

A state dict is recognised by its names, the net is rebuilt from its shapes, and every tensor is
mapped. Adding a format: one class, one line here.

    net, card = load("fcn8s_from_caffe.pth")
    checkpoint.save("fcn8s", net, card)  # from then on a model file like any other
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from upzoo import reading
from upzoo.conversion import dcgan, fcn, resnet, unet
from upzoo.conversion.format import Format
from upzoo.reading import Part

FORMATS: tuple[Format, ...] = (
    *fcn.FORMATS,
    *unet.FORMATS,
    *dcgan.FORMATS,
    *resnet.FORMATS,
)
NAMES = tuple(dict.fromkeys(fmt.name for fmt in FORMATS))


def recognise(state: Mapping[str, Any]) -> str | None:
    """Name of the format whose tensors these are, by their names alone; None if of none.

    `fcn8s` may be `fcn8s_at_once`: the names cannot tell.
    """
    try:
        return find(state)[0].name
    except ValueError:
        return None


def load(
    source: str | Path | Mapping[str, Any], format: str | None = None
) -> tuple[nn.Module, dict[str, Any]]:
    """Our net with the weights of another project's.

    Args:
        source: a file of theirs, or its content. Of a file only tensors and plain data are read,
            and nothing in it is executed.
        format: one of `NAMES`, where the tensors' names do not tell it, or where a file holds
            several nets.

    Returns:
        The net in evaluation mode, in float32, and its card, as `upzoo.checkpoint.save` takes it:
        spec, normalisation, and under `conversion` the format, where the output agrees with the
        original's, what else the names may mean, where in the file the tensors were, and the names
        of tensors that were left out.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for a damaged file, a pickle of objects, or tensors that fit no format.
    """
    if format is not None and format not in NAMES:
        raise ValueError(f"format={format!r} is unknown: choose from {', '.join(NAMES)}")
    content = source if isinstance(source, Mapping) else reading.read(source)
    try:
        fmt, part = find(content, format)
        net, card = fmt.build(part.state)
    except ValueError as error:
        name = "state dict" if isinstance(source, Mapping) else source
        raise ValueError(f"{name}: {error}") from None
    card["conversion"]["left_out"] += part.left_out
    if part.place:
        card["conversion"]["place"] = list(part.place)
    return net, card


def find(content: Any, name: str | None = None) -> tuple[Format, Part]:
    """The first format and part of a file's content that fit each other.

    Of several, a net that makes pictures goes before one that judges them, and averaged weights
    before the last ones.

    Args:
        content: dicts of tensors, in other dicts or not, with or without prefixes.
        name: look among the formats of this name only.

    Raises:
        ValueError: if none fits; it names the one that shares most names, and what differs.
    """
    found = reading.parts(content)
    formats = [fmt for fmt in FORMATS if name in (None, fmt.name)]
    pairs = [(fmt, part) for part in found for fmt in formats if fmt.shared(part.state)]
    fitting = [(fmt, part) for fmt, part in pairs if not any(fmt.difference(part.state))]
    if fitting:
        return next((pair for pair in fitting if pair[0].draws), fitting[0])
    wanted = name or ", ".join(NAMES)
    near = [(fmt, part) for fmt, part in pairs if fmt.shared(part.state) >= len(fmt.names) / 4]
    if not near:
        names = list(found[0].state)
        raise ValueError(
            f"fits no format of {wanted}: its {len(names)} names, such as {', '.join(names[:3])}, "
            "are like those of none"
        )
    raise ValueError(f"fits no format of {wanted}; {_nearest(near)}")


def _nearest(pairs: list[tuple[Format, Part]]) -> str:
    """How far the tensors are from the format that they share most names with."""

    def likeness(pair: tuple[Format, Part]) -> tuple[int, int]:
        fmt, part = pair
        return fmt.shared(part.state), -sum(map(len, fmt.difference(part.state)))

    fmt, part = max(pairs, key=likeness)
    differences = [
        f"{what} {', '.join(keys[:3])}{' …' if len(keys) > 3 else ''}"
        for what, keys in zip(("lacks", "has"), fmt.difference(part.state), strict=True)
        if keys
    ]
    return (
        f"of the {len(fmt.names)} names of the nearest, {fmt.name}, it has "
        f"{fmt.shared(part.state)}: it {' and '.join(differences)}"
    )


def notes(card: Mapping[str, Any]) -> list[str]:
    """What there is to know of a converted net, one line each; of any other nothing."""
    said = card.get("conversion")
    if said is None:
        return []
    lines = [f"{said['format']}: {said['note']}"]
    if "alternative" in said:
        lines.append(said["alternative"])
    if "place" in said:
        lines.append(f"taken from {' / '.join(said['place'])}")
    if said["left_out"]:
        count, first = len(said["left_out"]), ", ".join(said["left_out"][:3])
        more = " …" if count > 3 else ""
        lines.append(f"left out, {count} tensor{'s' if count > 1 else ''}: {first}{more}")
    return lines


__all__ = ["FORMATS", "NAMES", "find", "load", "notes", "recognise"]
