"""Mask files as class indices: how they are coded, read and checked."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from data.files import MOST_PIXELS, UNREADABLE, DataError, UnreadableError, reason, refuse_large

MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif", ".npy")
MASK_FORMATS = ("PNG", "TIFF", "BMP", "GIF")
#: Classes that 8 bits hold beside the value that stands for void.
MOST_CLASSES = 255
#: Values named in a message; the rest are counted.
NAMED = 8


@dataclass(frozen=True)
class Coding:
    """What the values of mask files mean.

    Colours are values too, 65536 R + 256 G + B.

    Attributes:
        num_classes: number of classes.
        void: the value that means "no label", unless `values` lists it; None where none does.
        values: the value of each class by index; None: the index itself.
        colours: whether values are colours.
    """

    num_classes: int
    void: int | None = 255
    values: tuple[int, ...] | None = None
    colours: bool = False

    @property
    def allowed(self) -> tuple[int, ...]:
        """The value of each class by index."""
        return tuple(range(self.num_classes)) if self.values is None else self.values

    def unknown(self, found: Collection[int]) -> list[int]:
        """Those of the values that are neither a class nor void, sorted."""
        return sorted(set(found) - set(self.allowed) - {self.void})

    def encode(self, path: Path, ignore_index: int) -> np.ndarray:
        """The class indices of a mask file, uint8 (H, W), void as `ignore_index`.

        Raises:
            DataError: a file that cannot be read, or a value that is neither a class nor void.
        """
        values, coloured = read_values(path, self.colours)
        if coloured and not self.colours:
            held = name_values(np.unique(values).tolist(), True)
            raise DataError(f"the mask {path} holds colours, {held}, not one class index a pixel")
        # a value that is void and a class is void, unless `values` lists it
        pairs = [(value, index) for index, value in enumerate(self.allowed)]
        void = [] if self.void is None else [(self.void, ignore_index)]
        meanings = {**dict(pairs), **dict(void)} if self.values is None else dict(void + pairs)
        known = np.array(sorted(meanings))
        place = np.searchsorted(known, values).clip(max=len(known) - 1)
        wrong = known[place] != values
        if wrong.any():
            held = self.name(np.unique(values[wrong]).tolist())
            raise DataError(f"the mask {path} holds {held}; {self.meaning()}")
        return np.array([meanings[value] for value in known.tolist()], np.uint8)[place]

    def meaning(self) -> str:
        """What the values mean, for messages."""
        if self.values is None:
            classes = f"allowed are the classes 0 .. {self.num_classes - 1}"
        else:
            classes = f"allowed are the classes {self.name(self.values)}"
        void = self.void if self.void not in self.allowed else None
        return f"{classes} and {'no void' if void is None else f'{self.name([void])} for void'}"

    def name(self, values: Collection[int]) -> str:
        """Values as a user writes them, the first few of many."""
        return name_values(values, self.colours)


def read_values(path: Path, colours: bool = False) -> tuple[np.ndarray, bool]:
    """The values of a mask file, and whether they are colours: int64 (H, W).

    Indexed images give their indices, whatever the palette's colours; red = green = blue is a grey
    value. A GIF's indices are not its author's (writers renumber them), so that its greys count, or
    its colours.

    Args:
        path: a PNG, TIFF, BMP or GIF image, or a NumPy array.
        colours: give colours whatever the file is, a palette's own ones too.

    Raises:
        UnreadableError: a damaged file, or one with fractions or transparency.
    """
    try:
        pixels = _array(path) if path.suffix.lower() == ".npy" else _image(path, colours)
    except UNREADABLE as error:
        raise UnreadableError(f"cannot read the mask {path}: {mask_reason(error)}") from None
    if pixels.ndim == 2:
        return (pixels * 0x010101 if colours else pixels), colours
    red, green, blue = np.moveaxis(pixels, -1, 0)
    if not colours and (red == green).all() and (red == blue).all():
        return red, False
    return red << 16 | green << 8 | blue, True


def _image(path: Path, colours: bool) -> np.ndarray:
    """int64 (H, W) of values, or (H, W, 3) of colours."""
    with Image.open(path, formats=MASK_FORMATS) as file:
        refuse_large(file)
        file.load()
        image: Image.Image = ImageOps.exif_transpose(file)
        if image.mode == "P" and (colours or file.format == "GIF"):
            image = image.convert("RGB")
        if image.mode in ("LA", "RGBA", "PA"):
            if image.getchannel("A").getextrema() != (255, 255):
                raise ValueError("transparent pixels, which are no class")
            image = image.convert({"LA": "L", "RGBA": "RGB"}.get(image.mode, "P"))
        if image.mode not in ("1", "L", "P", "RGB", "I", "F") and image.mode[:4] != "I;16":
            raise ValueError(f"{image.mode} pixels, which are no class indices and no colours")
        return _whole_numbers(np.array(image))


def _array(path: Path) -> np.ndarray:
    """The same of an array (H, W), (H, W, 1), (1, H, W) or (H, W, 3)."""
    values = np.load(path, mmap_mode="r", allow_pickle=False)  # a header may claim any size
    if values.size > 3 * MOST_PIXELS:
        raise ValueError(f"an array of shape {values.shape}, larger than any image that is read")
    if values.ndim == 3 and 1 in (values.shape[0], values.shape[2]):
        values = values[0] if values.shape[0] == 1 else values[..., 0]
    if values.ndim != 2 and not (values.ndim == 3 and values.shape[2] == 3):
        raise ValueError(f"an array of shape {values.shape}, not (height, width)")
    return _whole_numbers(values)


def _whole_numbers(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{values.dtype} values, not integers")
    if values.dtype.kind == "f" and not (np.isfinite(values) & (values == np.rint(values))).all():
        raise ValueError("fractions, not integers")
    return values.astype(np.int64)


def mask_reason(error: BaseException) -> str:
    """Why a mask cannot be read, in one line."""
    text = reason(error)
    if text.startswith("no whole"):
        return "no whole PNG, TIFF, BMP or GIF (a JPEG changes class indices: save masks as PNG)"
    return text


def name_values(values: Collection[int], colours: bool) -> str:
    """Values as a user writes them, the first few of many: 0, 1, 7 or [0,0,0], [128,0,0].

    >>> name_values([128 << 16, 7], True)
    '[0,0,7], [128,0,0]'
    """
    shown = sorted(values)
    if colours:
        texts = [f"[{v >> 16},{v >> 8 & 255},{v & 255}]" for v in shown[:NAMED]]
    else:
        texts = [str(v) for v in shown[:NAMED]]
    more = f" and {len(shown) - NAMED} more" if len(shown) > NAMED else ""
    return ", ".join(texts) + more


def pack(colour: Sequence[int]) -> int:
    """A colour as one value, 65536 R + 256 G + B."""
    red, green, blue = colour
    return red << 16 | green << 8 | blue


def infer_classes(found: Collection[int], void: int | None, where: str) -> int:
    """The number of classes of masks that hold these values, which must be 0, 1, 2 ….

    Args:
        found: all values of all masks, void too.
        void: the value that means "no label".
        where: what the masks are called in messages.

    Raises:
        DataError: for other values, or fewer than two; says what would make them classes.
    """
    values = sorted(set(found) - {void})
    voided = f", and {void}, which is void (no label, data.void)" if void in found else ""
    held = f"{where} hold the values {name_values(values, False)}{voided}"
    if not values:
        raise DataError(
            f"{where} hold nothing but {void}, which is void (no label): set data.void to another "
            "value if this one is a class"
        )
    listed = ",".join(map(str, sorted(found)))
    if len(values) == 1:
        way = f": set data.values=[{listed}] if they are two classes" if void in found else ""
        raise DataError(f"{held.replace('values', 'value', 1)}; two classes are needed{way}")
    if len(values) > MOST_CLASSES:
        raise DataError(f"{held}: {len(values)} values are no class indices (at most 255)")
    if values == list(range(len(values))):
        return len(values)
    listed = ",".join(map(str, values))
    way = f"set data.values=[{listed}] for these {len(values)} classes"
    if values[0] >= 0 and values[-1] < MOST_CLASSES:
        way += f", or data.classes={values[-1] + 1} if each of 0 .. {values[-1]} is a class"
    raise DataError(f"{held}, not 0, 1, 2 …: {way}")
