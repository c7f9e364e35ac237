"""How a user says what masks mean: options become a `Coding`, checked against the masks."""

from collections.abc import Sequence

from data.files import DataError
from data.masks import MOST_CLASSES, Coding, name_values, pack
from data.pairs import Checked
from data.palette import CODINGS, bit_colours, check_colour


def class_names(classes: object) -> tuple[str, ...] | None:
    """The option `classes` as names; refuses what is no list of different texts, nor a number."""
    if classes is None:
        return None
    if isinstance(classes, int) and not isinstance(classes, bool):
        classes = [f"class {index}" for index in range(min(classes, MOST_CLASSES + 1))]
    if isinstance(classes, str) or not isinstance(classes, Sequence):
        raise ValueError(f"classes={classes!r} must be a list of names, or their number")
    for index, name in enumerate(classes):
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise ValueError(f"classes: name {index}, {name!r}, must be text in one line: quote it")
        if name in classes[:index]:
            raise ValueError(f"classes: {name!r} is there twice; names must differ")
    if not 2 <= len(classes) <= MOST_CLASSES:
        raise ValueError(f"classes: {len(classes)} of them; 2 to {MOST_CLASSES} are possible")
    return tuple(classes)


def make_coding(
    values: object, palette: object, void: object
) -> tuple[Coding, tuple[str, ...] | None]:
    """What the options say of the masks, 0 classes where they say no number; and any own names."""
    if palette is not None:
        if values is not None:
            raise ValueError("values and palette are two ways to code masks: give one of them")
        return _colour_coding(palette, void)
    if void is not None and (not isinstance(void, int) or isinstance(void, bool)):
        raise ValueError(f"void={void!r} must be an integer, or null; a colour goes with palette")
    if values is None:
        return Coding(0, void), None
    if not isinstance(values, Sequence) or not all(type(value) is int for value in values):
        raise ValueError(f"values={values!r} must be a list of integers such as [0, 255]")
    if not 2 <= len(values) <= MOST_CLASSES or len(set(values)) < len(values):
        raise ValueError(f"values={list(values)} must be 2 to {MOST_CLASSES} different integers")
    return Coding(len(values), void, tuple(values)), None


def _colour_coding(palette: object, void: object) -> tuple[Coding, tuple[str, ...] | None]:
    names, colours, own_void = None, palette, None
    if isinstance(palette, str):
        if palette not in CODINGS:
            raise ValueError(
                f"palette={palette!r} must be {', '.join(CODINGS)} or a list of [r,g,b]"
            )
        named, own_void = CODINGS[palette]
        names, colours = tuple(named), list(named.values())
    if not isinstance(colours, Sequence) or not 2 <= len(colours) <= MOST_CLASSES:
        raise ValueError(f"palette={palette!r} must be {', '.join(CODINGS)} or a list of [r,g,b]")
    packed = tuple(pack(check_colour("palette", colour)) for colour in colours)
    if len(set(packed)) < len(packed):
        raise ValueError(f"palette={palette!r} has a colour twice; colours must differ")
    if void is not None and not isinstance(void, int):
        own_void = check_colour("void", void)
    return Coding(len(packed), own_void and pack(own_void), packed, colours=True), names


def finish(coding: Coding, names: Sequence[str], checked: Checked, where: str) -> Coding:
    """The coding with its number of classes, once it fits what the masks hold."""
    if coding.values is not None and len(coding.values) != len(names):
        option = "palette" if coding.colours else "values"
        raise ValueError(
            f"classes are {len(names)} and {option} are {len(coding.values)}: give as many"
        )
    coding = Coding(len(names), coding.void, coding.values, coding.colours)
    held = f"{where} hold {coding.name(checked.values)}"
    if wrong := coding.unknown(checked.values):
        example = checked.values[wrong[0]].name
        way = "" if coding.colours else ", data.values=[…] says which values are classes"
        raise DataError(
            f"{held}; {coding.meaning()}, so that {coding.name(wrong)} is neither ({example}): "
            f"data.void says what is void{way}"
        )
    if set(checked.values) == {0, 255} and coding.void == 255 and coding.values is None:
        raise DataError(
            f"{held}, and 255 is void (no label, data.void): set data.values=[0,255] if they are "
            "two classes"
        )
    return coding


def in_colours(checked: Checked) -> str:
    """That masks are coded by colour, with what would read them."""
    found = set(checked.values)
    fitting = [
        name
        for name, (colours, void) in CODINGS.items()
        if found <= {pack(colour) for colour in (*colours.values(), void)}
    ]
    listed = ",".join(name_values([v], True) for v in sorted(found)) if len(found) <= 12 else "…"
    choices = [*(f"data.palette={name}" for name in fitting), f"data.palette=[{listed}]"]
    return (
        f"the mask {checked.coloured} holds colours, not class indices; all masks hold "
        f"{name_values(found, True)}: set {' or '.join(choices)}, and data.void to the colour "
        "that means no label, if one does"
    )


def display_colours(palette: object, count: int) -> tuple[tuple[int, int, int], ...]:
    """Colours to draw the classes in: those that code them, or VOC's."""
    if isinstance(palette, str):
        return tuple(CODINGS[palette][0].values())
    if isinstance(palette, Sequence):
        return tuple(check_colour("palette", colour) for colour in palette)
    return bit_colours(count)
