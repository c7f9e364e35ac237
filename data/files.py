"""Image files as pixels: one reader for training and prediction; every fault names its file."""

import re
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from data.pixels import from_picture

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif")
#: Pillow's names; others are not tried, whatever the file is called.
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
#: What Pillow and numpy raise at damaged files.
UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,  # where warnings are errors
)
#: Pixels of the largest image that is read: 16 bytes a pixel are needed to do anything with it.
MOST_PIXELS = 2**27
ORIENTATION = 0x0112  # the EXIF tag; 5 to 8 swap height and width
#: Bytes from the end of a whole JPEG in which its end marker stands.
JPEG_TAIL = 4096


Image.MAX_IMAGE_PIXELS = MOST_PIXELS  # Pillow warns beyond this, where we refuse
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class DataError(ValueError):
    """A fault in the data, told in one line.

    A DataLoader builds an exception of its worker anew from the whole traceback's text; only the
    last line of it, our message, is kept.
    """

    def __init__(self, message: str) -> None:
        super().__init__(re.sub(r"^([\w.]+Error: )+", "", message.strip().splitlines()[-1]))


class UnreadableError(DataError):
    """One file that cannot be read, whatever the others are."""


def open_image(path: Path) -> Image.Image:
    """The image as RGB of 8 bits, as a viewer shows it.

    It is turned as its EXIF says; what is transparent is composited on white; a palette gives its
    colours; 16 bits are scaled by their range, v · 255 / 65535, and floats of 0 to 1 by 255; of an
    animation or several pages the first is taken.

    Raises:
        UnreadableError: no image of a known format, a damaged one, or 32-bit pixels whose white is
            unknown.
    """
    try:
        with Image.open(path, formats=FORMATS) as file:
            refuse_large(file)
            image = _eight_bits(file)
            image = _upright(image)
            return _on_white(image)
    except UNREADABLE as error:
        raise UnreadableError(f"cannot read the image {path}: {reason(error)}") from None


def read_image(path: Path) -> Tensor:
    """The image of `open_image` as uint8 (3, H, W)."""
    return from_picture(open_image(path))


def to_grey(image: Tensor) -> Tensor:
    """The grey (1, H, W) uint8 of an RGB image (3, H, W) uint8, as Pillow's `convert("L")` has it.

    ITU-R 601-2: L = 0.299 R + 0.587 G + 0.114 B, in 16-bit fixed point.
    """
    weights = torch.tensor([19595, 38470, 7471]).view(3, 1, 1)
    # Pillow: (R · 19595 + G · 38470 + B · 7471 + 2^15) >> 16
    return ((image.int() * weights).sum(0, keepdim=True) + 0x8000 >> 16).to(torch.uint8)


def check_image(path: Path) -> tuple[int, int]:
    """(height, width) of an image as it is shown, if it is whole.

    PNG files are read through (their checksums), of JPEG files the head and the end; what looks
    suspicious, and other formats, are decoded.

    Raises:
        UnreadableError: as `open_image`.
    """
    try:
        with Image.open(path, formats=FORMATS) as file:
            refuse_large(file)
            width, height = file.size
            plain = file.mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK")
            turned = _orientation(file) >= 5
            whole = plain and (
                (file.format == "PNG" and _png_is_whole(file))
                or (file.format == "JPEG" and _jpeg_is_whole(path))
            )
    except UNREADABLE as error:
        raise UnreadableError(f"cannot read the image {path}: {reason(error)}") from None
    if not whole:
        width, height = open_image(path).size
        turned = False
    return (width, height) if turned else (height, width)


def refuse_large(file: Image.Image) -> None:
    """Refuse, before a pixel is decoded, what a few kilobytes may claim to be.

    Raises:
        ValueError: with the size.
    """
    width, height = file.size
    if width * height > MOST_PIXELS:
        raise ValueError(
            f"{width}×{height} pixels, more than the {MOST_PIXELS / 1e6:.0f} million that are "
            "read: make it smaller, or cut it"
        )


def reason(error: BaseException) -> str:
    """Why a file cannot be read, in one line."""
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return (
            f"more than the {MOST_PIXELS / 1e6:.0f} million pixels that are read: make it smaller, "
            "or cut it"
        )
    if isinstance(error, UnidentifiedImageError):
        return "no whole PNG, JPEG, BMP, TIFF, WebP or GIF"
    return " ".join(str(error).split()) or type(error).__name__


def _eight_bits(file: Image.Image) -> Image.Image:
    """Decoded, 16-bit and float greys scaled to L (LA where a grey is transparent)."""
    file.load()
    sixteen = file.mode.startswith("I;16") or (file.mode == "I" and file.format in ("PNG", "PPM"))
    if not sixteen and file.mode not in ("I", "F"):
        return file
    values = np.asarray(file).astype(np.float64)
    low, high = values.min(), values.max()
    if sixteen:
        grey = values * (255 / 65535)
    elif not np.isfinite(low + high):
        amiss = np.count_nonzero(~np.isfinite(values))
        raise ValueError(
            f"{amiss} of its {values.size} float pixels are NaN or infinite: give them a value"
        )
    elif file.mode == "F" and 0 <= low <= high <= 1:
        grey = values * 255
    else:
        kind, way = ("float", "0 to 1, or ") if file.mode == "F" else ("32-bit integer", "")
        raise ValueError(
            f"{kind} pixels from {low:g} to {high:g}, of which no one knows what is white: save "
            f"it as {way}8 or 16 bits"
        )
    scaled = Image.fromarray(np.rint(grey).astype(np.uint8))
    if "transparency" in file.info:
        opaque = values != file.info["transparency"]
        scaled.putalpha(Image.fromarray(opaque.astype(np.uint8) * 255))
    exif = file.info.get("exif")
    if exif:
        scaled.info["exif"] = exif
    elif file.format == "TIFF" and (orientation := file.getexif().get(ORIENTATION)):
        scaled.getexif()[ORIENTATION] = orientation
    return scaled


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF says; a damaged EXIF says nothing."""
    try:
        return ImageOps.exif_transpose(image)
    except UNREADABLE:
        return image


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode == "La":
        image = image.convert("LA")
    if image.mode in ("RGBA", "LA", "RGBa", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _orientation(file: Image.Image) -> int:
    exif = Image.Exif()
    try:
        exif.load(file.info.get("exif") or b"")  # file.getexif() would decode a whole PNG
        return int(exif.get(ORIENTATION, 1))
    except UNREADABLE:
        return 1


def _png_is_whole(file: Image.Image) -> bool:
    file.verify()
    return True


def _jpeg_is_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - JPEG_TAIL))
        return b"\xff\xd9" in file.read()
