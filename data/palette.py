"""Colours for classes that come without any of their own."""


def bit_colours(count: int) -> tuple[tuple[int, int, int], ...]:
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
