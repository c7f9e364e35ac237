"""Colours of classes: a data set's own, PASCAL VOC's for those without any, and named codings."""

from collections.abc import Sequence

Colour = tuple[int, int, int]


def bit_colours(count: int) -> tuple[Colour, ...]:
    """The colour map of PASCAL VOC's devkit (`VOClabelcolormap.m`), RGB.

    The bits of the class index are dealt out in turn to the three channels, highest bit first.

    >>> bit_colours(4)
    ((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0))
    """
    return tuple(
        (_channel(index, 0), _channel(index, 1), _channel(index, 2)) for index in range(count)
    )


def _channel(index: int, channel: int) -> int:
    # bit 3j + channel of the index becomes bit 7 - j of the colour
    return sum((index >> (3 * j + channel) & 1) << (7 - j) for j in range(8))


VOC_CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "dining table",
    "dog",
    "horse",
    "motorbike",
    "person",
    "potted plant",
    "sheep",
    "sofa",
    "train",
    "tv monitor",
)
CAMVID_COLOURS: dict[str, Colour] = {
    "sky": (128, 128, 128),
    "building": (128, 0, 0),
    "pole": (192, 192, 128),
    "road": (128, 64, 128),
    "pavement": (60, 40, 222),
    "tree": (128, 128, 0),
    "sign symbol": (192, 128, 128),
    "fence": (64, 64, 128),
    "car": (64, 0, 128),
    "pedestrian": (64, 64, 0),
    "bicyclist": (0, 128, 192),
}
#: Name of a colour coding -> class -> colour, and void's colour: PASCAL VOC's devkit (void is the
#: border, (224, 224, 192)), and CamVid's eleven classes in the SegNet tutorial (void is black).
CODINGS: dict[str, tuple[dict[str, Colour], Colour]] = {
    "voc": (dict(zip(VOC_CLASSES, bit_colours(21), strict=True)), (224, 224, 192)),
    "camvid": (CAMVID_COLOURS, (0, 0, 0)),
}


def check_colour(name: str, value: object) -> Colour:
    """The option `name` as (red, green, blue); refuses anything else."""
    if (
        isinstance(value, str | bytes)
        or not isinstance(value, Sequence)
        or len(value) != 3
        or not all(type(v) is int and 0 <= v <= 255 for v in value)
    ):
        raise ValueError(f"{name}={value!r} must be a colour [red,green,blue], 0 to 255 each")
    return value[0], value[1], value[2]
