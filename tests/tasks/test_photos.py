"""Photographs: enlarged in colour against plain arithmetic, in tiles, under a legend of classes."""

import numpy as np
import pytest
import torch
from PIL import Image

from data.files import read_image
from panels import legend
from panels.overlay import overlay
from tasks import photos
from tasks.prediction import predict_files
from upzoo.base import Net
from upzoo.bicubic import enlarge
from upzoo.espcn import ESPCN
from upzoo.metrics.restoration import luma, to_rgb, to_ycbcr
from upzoo.upsampling import OPERATORS

Y = {"mean": [0.5], "std": [0.25], "color": "y", "scale": 3}
RGB = {"mean": [0.5] * 3, "std": [0.25] * 3, "color": "rgb", "scale": 3}


class Bicubic(Net):
    label, makes, scale = "bicubic", "images", 3

    def forward(self, x):
        return enlarge(x, 3)


def photo(path, height=37, width=50, mode="RGB", seed=0):
    rng = np.random.default_rng(seed)
    shape = (height, width) + ((len(mode),) if len(mode) > 1 else ())
    image = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8), mode=mode)
    image.save(path)
    return image


def test_ycbcr_is_bt601():
    """White, black, and the primaries' published values (ITU-R BT.601, 8 bits)."""
    colours = torch.tensor(
        [[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], dtype=torch.float64
    ).T[:, :, None]
    expected = [[235, 128, 128], [16, 128, 128], [81, 90, 240], [145, 54, 34], [41, 240, 110]]
    found = to_ycbcr(colours)
    assert found[..., 0].T.round().tolist() == expected
    torch.testing.assert_close(to_rgb(found), colours, atol=1e-9, rtol=0)
    assert torch.equal(found[:1].round(), luma(colours))


@pytest.mark.parametrize("card", [Y, RGB], ids=["y", "rgb"])
def test_a_photo_is_enlarged_in_colour(tmp_path, card):
    """Y, Cb and Cr, each enlarged, are R, G and B, but for what luma of 8 bits cannot hold."""
    photo(tmp_path / "a.png")
    predict_files(Bicubic(), card, str(tmp_path / "a.png"), str(tmp_path / "large.png"))
    pixels = read_image(tmp_path / "a.png").double()
    if card is Y:  # luma is clipped to what 8 bits hold before it becomes colours
        parts = enlarge(to_ycbcr(pixels)[None], 3)[0]
        expected = to_rgb(torch.cat((parts[:1].clamp(0, 255), parts[1:])))
    else:
        expected = enlarge(pixels[None], 3)[0]
    found = read_image(tmp_path / "large.png")
    assert found.shape == (3, 111, 150)
    assert (found.double() - expected.clamp(0, 255)).abs().max() <= 0.501


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (7, 2)])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA"])
def test_any_size_and_kind_of_picture(tmp_path, mode, size):
    torch.manual_seed(0)
    net = ESPCN(OPERATORS["pixel_shuffle"], 3, widths=(4,), skip=True).eval()
    photo(tmp_path / "a.png", *size, mode=mode)
    predict_files(net, Y, str(tmp_path / "a.png"), None)
    found = read_image(tmp_path / "a_enlargement.png")
    assert found.shape == (3, 3 * size[0], 3 * size[1])
    if mode in ("L", "LA"):  # a grey picture stays grey
        assert (found.amax(0) - found.amin(0)).max() <= 1


def test_tiles_make_the_same_picture_and_are_counted(tmp_path, monkeypatch):
    torch.manual_seed(0)
    net = ESPCN(OPERATORS["pixel_shuffle"], 3, widths=(8, 4), skip=True).eval()
    image = photo(tmp_path / "a.png", 140, 150)
    whole = photos.enlarged(net, read_image(tmp_path / "a.png"), Y["mean"], Y["std"])
    monkeypatch.setattr(photos, "SMALL", 0)
    monkeypatch.setattr(photos.tiles, "fits", lambda *image: False)
    monkeypatch.setattr(
        photos.tiles.tiles, "__defaults__", (70 * 70 * 48,)
    )  # bytes of one operation: from 8 channels to 4
    seen = []

    def steps(parts):
        seen.extend(parts)
        return parts

    photos.enlarge_file(net, Y, tmp_path / "a.png", tmp_path / "b.png", steps)
    assert len(seen) >= 6
    assert image.size == (150, 140)
    assert (read_image(tmp_path / "b.png").int() - whole.int()).abs().max() <= 1


def test_self_ensemble_turns_with_the_picture(tmp_path):
    torch.manual_seed(0)
    net = ESPCN(OPERATORS["transposed_conv"], 3, widths=(4,)).eval()
    image = torch.randint(0, 256, (3, 9, 12), dtype=torch.uint8)
    made = photos.enlarged(net, image, Y["mean"], Y["std"], ensemble=True)
    turned = photos.enlarged(net, image.rot90(1, (1, 2)), Y["mean"], Y["std"], ensemble=True)
    assert (turned.int() - made.rot90(1, (1, 2)).int()).abs().max() <= 1
    plain = photos.enlarged(net, image, Y["mean"], Y["std"])
    assert (plain.int() - made.int()).abs().max() > 1


class Thresholds(Net):
    """Class 0 where the first channel is dark, else class 2."""

    def forward(self, x):
        return torch.cat((0.5 - x[:, :1], x[:, :1] * 0 - 9, x[:, :1] - 0.5), 1)


SEGMENTS = {
    "mean": [0.0] * 3,
    "std": [1.0] * 3,
    "palette": [[0, 0, 200], [9, 9, 9], [200, 100, 1]],
    "classes": ["dark", "never", "light"],
}


def test_an_overlay_is_half_the_picture_and_half_the_colours(tmp_path):
    pixels = np.zeros((30, 120, 3), dtype=np.uint8)
    pixels[:, 60:, 0] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    predict_files(Thresholds(), SEGMENTS, str(tmp_path / "a.png"), None, overlay=True)
    found = read_image(tmp_path / "a_mask_overlay.png")
    assert found[:, :30, :60].flatten(1).unique(dim=1).T.tolist() == [[0, 0, 100]]
    assert found[:, :30, 60:].flatten(1).unique(dim=1).T.tolist() == [[227, 50, 0]]
    below = found[:, 30:].flatten(1).T.unique(dim=0).tolist()
    assert [0, 0, 200] in below  # the swatches of what occurs
    assert [200, 100, 1] in below
    assert [9, 9, 9] not in below
    with Image.open(tmp_path / "a_mask.png") as mask:
        assert mask.size == (120, 30)


def test_a_legend_is_as_wide_as_the_picture_and_wraps():
    names = [f"a long name {index}" for index in range(8)]
    colours = np.arange(24, dtype=np.uint8).reshape(8, 3)
    wide, narrow = (legend.strip(width, names, colours) for width in (2000, 150))
    assert wide.shape == (legend.LINE + legend.GAP, 2000, 3)
    assert narrow.shape == (8 * legend.LINE + legend.GAP, 150, 3)
    double = legend.strip(4000, names, colours, size=2)
    assert double.shape == (2 * wide.shape[0], 4000, 3)
    with pytest.raises(ValueError, match="class 5 has no colour: the palette has 3"):
        overlay(
            torch.zeros(3, 1, 1, dtype=torch.uint8),
            torch.full((1, 1), 5, dtype=torch.uint8),
            SEGMENTS["palette"],
        )


@pytest.mark.parametrize(
    ("net", "card", "options", "message"),
    [
        (Bicubic(), Y, {"overlay": True}, "overlay=true: only a segmentation has classes"),
        (Thresholds(), SEGMENTS, {"self_ensemble": True}, "this net does not enlarge images"),
    ],
)
def test_refusals_are_one_line(tmp_path, net, card, options, message):
    photo(tmp_path / "a.png")
    with pytest.raises(ValueError, match=message) as caught:
        predict_files(net, card, str(tmp_path / "a.png"), None, **options)
    assert "\n" not in str(caught.value)


def test_a_net_that_looks_at_the_whole_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(photos.tiles, "fits", lambda *image: False)
    monkeypatch.setattr(photos, "SMALL", 0)
    monkeypatch.setattr(photos, "LARGE", 0)

    class Mean(Thresholds):
        def forward(self, x):
            return super().forward(x - x.mean((2, 3), keepdim=True))

    photo(tmp_path / "a.png")
    predict_files(Mean(), SEGMENTS, str(tmp_path / "a.png"), None)
    assert "50×37 pixels are applied to at once" in capsys.readouterr().err
