"""One reader: training and prediction see the same pixels of every kind of file."""

import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from data.files import DataError, UnreadableError, check_image, open_image, read_image, to_grey
from data.images import Pictures
from data.masks import Coding, read_values
from data.pairs import ImagePairs
from tasks.photos import apply, segment_file

#: A picture of 4×6 pixels without a symmetry, and its grey.
RGB = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
GREY = RGB[..., 0]
HALF = np.where(np.arange(24).reshape(4, 6) % 3 == 0, 0, 51).astype(np.uint8)  # alpha
EXIF_ROTATIONS = {2: (1, 0), 3: (0, 2), 4: (1, 2), 5: (1, 3), 6: (0, 1), 7: (1, 1), 8: (0, 3)}


def on_white(colours, alpha):
    """α · colour + (1 - α) · 255."""
    share = alpha[..., None] / 255
    return np.rint(share * colours + (1 - share) * 255)


def repeated(grey):
    return np.repeat(grey[..., None], 3, -1)


def exif(turn):
    tags = Image.Exif()
    tags[0x0112] = turn
    return tags


def stored(turn):
    """RGB as a camera stores it, so that this EXIF orientation shows it upright."""
    mirrored, quarters = EXIF_ROTATIONS[turn]
    pixels = np.rot90(RGB, quarters)
    return np.ascontiguousarray(pixels[:, ::-1] if mirrored else pixels)


def palette_image():
    image = Image.fromarray((GREY % 4).astype(np.uint8))
    image.putpalette([10, 20, 30, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    return image


COLOURS = np.array([[10, 20, 30], [255, 0, 0], [0, 255, 0], [0, 0, 255]])
DEEP = (GREY.astype(np.uint16) << 8) + 77
#: File name -> (image, options of save, expected pixels, largest difference of a lossy format).
KINDS = {
    "rgb.png": (Image.fromarray(RGB), {}, RGB, 0),
    "grey.png": (Image.fromarray(GREY), {}, repeated(GREY), 0),
    "bits.png": (Image.fromarray(GREY > 99), {}, repeated((GREY > 99) * 255), 0),
    "palette.png": (palette_image(), {}, COLOURS[GREY % 4], 0),
    "palette-transparent.png": (
        palette_image(),
        {"transparency": 1},
        np.where((GREY % 4 == 1)[..., None], 255, COLOURS[GREY % 4]),
        0,
    ),
    "rgba.png": (Image.fromarray(np.dstack([RGB, HALF])), {}, on_white(RGB, HALF), 1),
    "grey-alpha.png": (
        Image.fromarray(np.dstack([GREY, HALF])),
        {},
        on_white(repeated(GREY), HALF),
        1,
    ),
    "rgb-transparent.png": (
        Image.fromarray(RGB),
        {"transparency": tuple(map(int, RGB[0, 0]))},
        np.where((RGB[0, 0] == RGB).all(-1)[..., None], 255, RGB),
        0,
    ),
    "grey-transparent.png": (
        Image.fromarray(GREY),
        {"transparency": int(GREY[0, 0])},
        np.where((GREY[0, 0] == GREY)[..., None], 255, repeated(GREY)),
        0,
    ),
    "16-bit.png": (Image.fromarray(DEEP), {}, repeated(np.rint(DEEP / 257)), 0),
    "16-bit.tif": (Image.fromarray(DEEP), {}, repeated(np.rint(DEEP / 257)), 0),
    "float.tiff": (
        Image.fromarray((GREY / 255).astype(np.float32)),
        {},
        repeated(GREY),
        0,
    ),
    "rgb.tif": (Image.fromarray(RGB), {"compression": "tiff_lzw"}, RGB, 0),
    "cmyk.tif": (Image.fromarray(RGB).convert("CMYK"), {}, RGB, 1),
    "rgb.bmp": (Image.fromarray(RGB), {}, RGB, 0),
    "palette.bmp": (palette_image(), {}, COLOURS[GREY % 4], 0),
    "rgb.webp": (Image.fromarray(RGB), {"lossless": True}, RGB, 0),
    "rgba.webp": (
        Image.fromarray(np.dstack([RGB, HALF | 1])),
        {"lossless": True},
        on_white(RGB, HALF | 1),
        1,
    ),
    "palette.gif": (palette_image(), {}, COLOURS[GREY % 4], 0),
    "animated.gif": (
        palette_image(),
        {"save_all": True, "append_images": [Image.new("P", (6, 4))]},
        COLOURS[GREY % 4],
        0,
    ),
    "pages.tif": (
        Image.fromarray(RGB),
        {"save_all": True, "append_images": [Image.new("RGB", (6, 4))]},
        RGB,
        0,
    ),
    "UPPER.JPG": (Image.new("RGB", (6, 4), (200, 30, 60)), {}, np.full_like(RGB, (200, 30, 60)), 3),
    "grey.jpeg": (Image.new("L", (6, 4), 90), {}, np.full_like(RGB, 90), 3),
    "cmyk.jpg": (
        Image.new("RGB", (6, 4), (200, 30, 60)).convert("CMYK"),
        {},
        np.full_like(RGB, (200, 30, 60)),
        3,
    ),
    "jpeg-called.png": (Image.new("RGB", (6, 4), 7), {"format": "JPEG"}, np.full_like(RGB, 0), 9),
    "turned.tif": (Image.fromarray(stored(6)), {"exif": exif(6)}, RGB, 0),
    "16-bit-turned.png": (
        Image.fromarray(np.rot90(DEEP).copy()),
        {"exif": exif(6)},
        repeated(np.rint(DEEP / 257)),
        0,
    ),
    **{
        f"exif{turn}.png": (Image.fromarray(stored(turn)), {"exif": exif(turn)}, RGB, 0)
        for turn in EXIF_ROTATIONS
    },
}


class Seen(torch.nn.Module):
    """Keeps what it is given, 0 … 255."""

    def forward(self, images):
        self.images = (images * 255).round().to(torch.uint8)
        return images


@pytest.mark.parametrize("name", KINDS)
def test_training_and_prediction_see_the_same_pixels(tmp_path, name):
    image, options, expected, tolerance = KINDS[name]
    path, mask = tmp_path / name, tmp_path / "mask.png"
    image.save(path, **options)
    Image.new("L", (6, 4)).save(mask)
    trained, _ = ImagePairs([(path, mask)], Coding(2))[0]
    pictures = Pictures(tmp_path, [name], (4, 6), False, 0)[0]["image"]
    net = Seen()
    card = {"mean": [0.0] * 3, "std": [1.0] * 3, "palette": [[0, 0, 0]] * 3}
    segment_file(net, card, path, tmp_path / "out.png")
    assert torch.equal(trained, net.images[0])
    assert torch.equal(trained, pictures)
    assert np.abs(trained.permute(1, 2, 0).numpy() - np.asarray(expected, float)).max() <= tolerance
    assert check_image(path) == (4, 6)


def test_grey_nets_are_trained_on_and_given_the_same_grey(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "x.png")
    trained = Pictures(tmp_path, ["x.png"], (4, 6), True, 0)[0]["image"]
    net = Seen()
    apply(net, read_image(tmp_path / "x.png"), [0.0], [1.0])
    assert torch.equal(net.images[0], trained)
    every = torch.cartesian_prod(*[torch.arange(0, 256, 15)] * 3).T[:, None].to(torch.uint8)
    pillow = np.asarray(Image.fromarray(every.permute(1, 2, 0).numpy().copy()).convert("L"))
    assert np.array_equal(to_grey(every)[0].numpy(), pillow)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.full((2, 2), 1.5, np.float32), r"float pixels from 1\.5 to 1\.5.*0 to 1, or 8 or 16"),
        (np.full((2, 2), -1, np.float32), "float pixels from -1 to -1"),
        (np.full((2, 2), np.nan, np.float32), "4 of its 4 float pixels are NaN"),
        (np.array([[0, 255]], np.int32), "32-bit integer pixels from 0 to 255.*as 8 or 16 bits"),
    ],
)
@pytest.mark.filterwarnings("ignore:All-NaN")
def test_pixels_of_unknown_white_are_refused_naming_the_file(tmp_path, pixels, message):
    Image.fromarray(pixels).save(tmp_path / "x.tif")
    for read in (open_image, check_image):
        with pytest.raises(DataError, match=rf"cannot read the image .*x\.tif: {message}"):
            read(tmp_path / "x.tif")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "gif", "bmp"])
def test_a_truncated_file_is_found_by_the_check_too(tmp_path, suffix):
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(noise).save(path)
    assert check_image(path) == (64, 64)
    whole = path.read_bytes()
    for share in (0.0, 0.3, 0.9):
        path.write_bytes(whole[: int(share * len(whole))])
        for read in (open_image, check_image):
            with pytest.raises(DataError, match=rf"^cannot read the image .*x\.{suffix}: .+"):
                read(path)


def test_a_damaged_byte_of_a_png_is_found(tmp_path):
    path = tmp_path / "x.png"
    Image.fromarray(RGB).save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.png"):
        check_image(path)


def test_a_damaged_exif_says_nothing(tmp_path):
    path = tmp_path / "x.jpg"
    Image.fromarray(RGB).save(path, exif=b"Exif\0\0junkjunkjunk")
    assert open_image(path).size == (6, 4)
    assert check_image(path) == (4, 6)


def test_other_formats_are_not_tried(tmp_path):
    (tmp_path / "x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(DataError, match="no whole PNG, JPEG, BMP, TIFF, WebP or GIF"):
        open_image(tmp_path / "x.png")


def png_of(width, height):
    """A PNG of a few bytes whose head claims a size."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("width", "height"), [(12_000, 12_000), (100_000, 100_000), (2**31 - 1, 1)]
)
def test_what_claims_to_be_huge_is_refused_before_a_pixel_is_decoded(tmp_path, width, height):
    path = tmp_path / "a.png"
    path.write_bytes(png_of(width, height))
    for read in (open_image, check_image, read_values):
        with pytest.raises(UnreadableError, match=r"134 million pixels?|more than the 134 million"):
            read(path)


def test_an_array_that_claims_to_be_huge_is_refused(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((2, 2), np.uint8))
    path.write_bytes(path.read_bytes().replace(b"(2, 2), }   ", b"(2, 2000), }"))
    with pytest.raises(UnreadableError, match=r"cannot read the mask .*a\.npy"):
        read_values(path)
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(30_000, 30_000)).flush()
    with pytest.raises(UnreadableError, match="larger than any image that is read"):
        read_values(path)
