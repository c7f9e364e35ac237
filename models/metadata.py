"""The metadata of a model file, checked before anything is made of it: it may be anybody's."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

#: Values that metadata hold at most, lists in lists counted through, and levels of them.
MOST_VALUES, DEEPEST = 200_000, 40
#: The largest number among a net's options, and the longest list: widths, depths, sizes, classes.
LARGEST, LONGEST = 2**15, 1024
#: Colours that the palette of a PNG holds.
COLOURS = 256
#: Entries that are mappings, where they are there.
MAPPINGS = ("choices", "config", "data", "metrics", "conversion")


def check(metadata: Any) -> dict[str, Any]:
    """The metadata, if they are those of a model.

    Raises:
        ValueError: without the file's name: what is wrong with which entry.
    """
    if not isinstance(metadata, dict) or not isinstance(metadata.get("model"), dict):
        raise ValueError("not the config of a model, it has no `model`")
    check_extent(metadata)
    _check_model(metadata["model"], "model")
    for name in MAPPINGS:
        if name in metadata and not isinstance(metadata[name], Mapping):
            raise ValueError(f"{name} is {_shown(metadata[name])}, not a group of values")
    for name, value in metadata.get("choices", {}).items():
        if not isinstance(value, str | int | None):
            raise ValueError(f"choices.{name}={_shown(value)}: a name or a number is needed")
    if not isinstance(metadata.get("choices", {}).get("seed"), int | None):
        raise ValueError(f"choices.seed={_shown(metadata['choices']['seed'])}: a number is needed")
    _check_normalisation(metadata.get("mean"), metadata.get("std"))
    _check_classes(metadata.get("classes"), metadata.get("palette"))
    return metadata


def segments(metadata: Mapping[str, Any]) -> bool:
    """Whether a net's outputs are classes of pixels: data that have some train others, too."""
    task = metadata.get("config", {}).get("task", {}).get("_target_", "")
    return "palette" in metadata and not task.endswith("Reconstruction")


def check_extent(content: Any) -> None:
    """Refuse nested data that are endless, or that grow beyond measure where they are walked.

    A few lines of YAML aliases stand for billions of values.

    Raises:
        ValueError: too many values, too deep, or data within themselves.
    """
    counts: dict[int, int] = {}
    if _count(content, counts, 0) > MOST_VALUES:
        raise ValueError(f"more than {MOST_VALUES} values")


def _count(content: Any, counts: dict[int, int], depth: int) -> int:
    """Values in nested data; what several aliases name is counted for each, but walked once."""
    if depth > DEEPEST:
        raise ValueError(f"nested deeper than {DEEPEST} levels, or within itself")
    if not isinstance(content, dict | list | tuple):
        return 1
    if id(content) not in counts:
        inner = content.values() if isinstance(content, dict) else content
        counts[id(content)] = 1 + sum(_count(each, counts, depth + 1) for each in inner)
    return counts[id(content)]


def _check_model(options: Any, where: str) -> None:
    """Refuse numbers and lists that no net is built with."""
    for name, value in options.items():
        here = f"{where}.{name}"
        if isinstance(value, dict):
            _check_model(value, here)
            continue
        values = value if isinstance(value, list | tuple) else [value]
        if len(values) > LONGEST:
            raise ValueError(f"{here} has {len(values)} values, more than {LONGEST}")
        for each in values:
            number = isinstance(each, int | float)
            if number and not (math.isfinite(each) and abs(each) <= LARGEST):
                raise ValueError(f"{here}={_shown(each)} is beyond {LARGEST}")


def _check_normalisation(mean: Any, std: Any) -> None:
    if mean is None and std is None:
        return
    for name, values in (("mean", mean), ("std", std)):
        fine = isinstance(values, list | tuple) and 0 < len(values) <= LONGEST
        if not fine or not all(map(_is_number, values)):
            raise ValueError(f"{name}={_shown(values)}: a list of one number a channel is needed")
    if len(mean) != len(std):
        raise ValueError(f"mean has {len(mean)} channels and std {len(std)}")
    if not all(value > 0 for value in std):
        raise ValueError(f"std={_shown(std)} must be above 0")


def _check_classes(classes: Any, palette: Any) -> None:
    if classes is not None and (
        not isinstance(classes, list | tuple)
        or not 0 < len(classes) <= LARGEST
        or not all(isinstance(each, str | int) for each in classes)
        or len(set(map(str, classes))) < len(classes)
    ):
        raise ValueError(f"classes={_shown(classes)}: a list of different names is needed")
    if palette is None:
        return
    if not isinstance(palette, list | tuple) or not 0 < len(palette) <= COLOURS:
        raise ValueError(f"palette={_shown(palette)}: a list of 1 to {COLOURS} colours is needed")
    for colour in palette:
        if not isinstance(colour, list | tuple) or len(colour) != 3 or not all(map(_byte, colour)):
            raise ValueError(f"palette has {_shown(colour)}: a colour is [r, g, b], 0 to 255 each")
    if classes is not None and len(classes) > len(palette):
        raise ValueError(f"{len(classes)} classes and {len(palette)} colours")


def normalisation(metadata: Mapping[str, Any]) -> tuple[Sequence[float], Sequence[float]]:
    """Mean and std of each channel.

    Raises:
        ValueError: there are none.
    """
    if metadata.get("mean") is None:
        raise ValueError("the net's file says no mean and std: apply it in Python, net(x)")
    return metadata["mean"], metadata["std"]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _byte(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255


def _shown(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:60]}…"
