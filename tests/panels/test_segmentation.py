import subprocess
import sys

import pytest
import torch

from panels import canvas
from panels.kernels import kernel_panel
from panels.segmentation import GAP, HEAD, segmentation_panel

PALETTE = [(10, 200, 30), (250, 220, 0), (90, 0, 140)]
NAMES = ["grass", "sun", "$hade"]
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def panel(images, truth, prediction, palette=PALETTE, names=NAMES):
    return segmentation_panel(images, truth, prediction, palette, names, MEAN, STD)


def scene(height=32, width=64, count=2):
    """A grey picture of which the left half is right, the right half wrong, the top row void."""
    images = (torch.full((count, 3, height, width), 0.6) - torch.tensor(MEAN).view(3, 1, 1)) / (
        torch.tensor(STD).view(3, 1, 1)
    )
    truth = torch.zeros(count, height, width, dtype=torch.long)
    prediction = truth.clone()
    prediction[..., width // 2 :] = 1
    truth[:, 0] = 255
    return images, truth, prediction


def tile(picture, row, column, height, width):
    top, left = HEAD + row * (height + GAP), GAP + column * (width + GAP)
    return picture[:, top : top + height, left : left + width]


@pytest.mark.parametrize("row", [0, 1])
def test_small_images_are_enlarged_pixel_by_pixel(row):
    picture = panel(*scene())
    assert picture.dtype == torch.uint8
    assert picture.shape[2] == 4 * (256 + GAP) + GAP
    image, truth, prediction, errors = (tile(picture, row, c, 128, 256) for c in range(4))
    assert (image == 153).all(), "0.6 of 255, the normalisation undone"
    grass, sun = (torch.tensor(PALETTE[c]).view(3, 1, 1) for c in (0, 1))
    assert (truth[:, 4:] == grass).all()
    assert (prediction[:, :, :128] == grass).all()
    assert (prediction[:, :, 128:] == sun).all(), "what is predicted in the void is shown"
    right, wrong = errors[:, 4:, :128], errors[:, 4:, 128:]
    assert (right[0] == right[1]).all()
    assert (right[0] < 153).all()
    assert (wrong[0] > 150).all()
    assert (wrong[1:] < 60).all()
    for void in (truth[:, :4], errors[:, :4]):
        assert set(void.unique().tolist()) == {96, 150}, "hatched in two greys"


def test_large_images_are_thinned_out_and_odd_sizes_keep_their_shape():
    images, truth, prediction = scene(101, 1301, count=1)
    picture = panel(images, truth, prediction)
    assert picture.shape[2] == 4 * (434 + GAP) + GAP
    assert (tile(picture, 0, 0, 34, 434) == 153).all()
    images, truth, prediction = scene(360, 480, count=1)
    picture = panel(images, truth, prediction)
    assert picture.shape[2] == 4 * (480 + GAP) + GAP


def test_the_legend_shows_every_class_and_wraps():
    picture = panel(*scene())
    legend = picture[:, HEAD + 2 * (128 + GAP) :].flatten(1).T
    for colour in PALETTE:
        assert (legend == torch.tensor(colour)).all(dim=1).sum() == 13 * 13
    many = torch.randint(255, (60, 3), dtype=torch.uint8)
    taller = panel(*scene(), palette=many, names=[f"class number {i}" for i in range(60)])
    assert taller.shape[1] - picture.shape[1] >= 4 * 26


def test_devices_types_and_inputs_are_left_alone():
    images, truth, prediction = scene()
    before = images.clone(), truth.clone(), prediction.clone()
    first = panel(images, truth, prediction)
    for value, kept in zip((images, truth, prediction), before, strict=True):
        assert torch.equal(value, kept)
    half = images.requires_grad_().to(torch.float16)
    second = panel(half, truth.byte(), prediction.int(), torch.tensor(PALETTE), NAMES)
    assert (first.int() - second.int()).abs().max() <= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": torch.zeros(2, 1, 32, 64)}, r"images are \(2, 1, 32, 64\)"),
        ({"truth": torch.zeros(2, 32, 63).long()}, r"truth is \(2, 32, 63\)"),
        ({"prediction": torch.zeros(1, 32, 64).long()}, r"prediction is \(1, 32, 64\)"),
        ({"names": ["grass"]}, r"palette is \(3, 3\).*1 names"),
    ],
)
def test_wrong_shapes_are_refused(change, message):
    images, truth, prediction = scene()
    arguments = {"images": images, "truth": truth, "prediction": prediction} | change
    with pytest.raises(ValueError, match=message):
        panel(**arguments)


def shades(picture):
    red, _, blue = picture.int()
    return int((red > blue + 60).sum()), int((blue > red + 60).sum())


def test_kernels_are_red_above_zero_and_blue_below():
    # the colour bars hold as much of both, so the balance is the kernels' own
    above, below = shades(kernel_panel(torch.ones(4, 4, 4, 4)))
    flipped_above, flipped_below = shades(kernel_panel(-torch.ones(4, 4, 4, 4)))
    bar = flipped_above
    assert above - bar > 200_000
    assert flipped_below - below > 200_000
    assert shades(kernel_panel(torch.zeros(4, 4, 4, 4)))[0] < 2 * bar


def test_zero_is_white_however_lopsided_the_weights_are():
    weight = torch.zeros(2, 2, 2, 2)
    weight[0, 0, 0, 0] = 5
    weight[1, 1, 1, 1] = -0.001
    picture = kernel_panel(weight)
    mosaic = picture[:, 80:610, 30:560]
    nearly_white = (mosaic > 235).all(dim=0).float().mean()
    assert 0.9 < nearly_white < 0.95, "all but one of 16 pixels"


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (40, 1, 2, 3), (300, 1, 4, 4), (3, 200, 16, 16)])
def test_any_kernel_fits_the_picture(shape):
    picture = kernel_panel(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    assert picture.shape == kernel_panel(torch.ones(2, 2, 4, 4)).shape
    margin = torch.cat([picture[:, :, :16].flatten(), picture[:, -8:].flatten()])
    assert (margin == 255).all(), "nothing is cut off at the left or below"


def test_a_convolutions_kernel_reads_the_other_way_round():
    weight = torch.randn(3, 5, 3, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(kernel_panel(weight), kernel_panel(weight.transpose(0, 1), transposed=False))


@pytest.mark.parametrize("shape", [(3, 3), (0, 2, 4, 4)])
def test_what_is_no_kernel_is_refused(shape):
    with pytest.raises(ValueError, match="expected"):
        kernel_panel(torch.zeros(shape))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (333, 77), (1960, 1172)])
def test_a_figure_has_the_pixels_asked_for(width, height):
    assert canvas.pixels(canvas.figure(width, height)).shape == (3, height, width)


def test_matplotlib_waits_until_a_picture_is_drawn():
    code = "import sys, panels.segmentation, panels.kernels; print('matplotlib' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "False"
