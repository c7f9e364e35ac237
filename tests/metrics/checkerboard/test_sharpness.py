import pytest
import torch

from benchmarks.artifacts_images import blurred, cells, noisy, pink
from upzoo.metrics.checkerboard.power import power_spectrum
from upzoo.metrics.checkerboard.sharpness import detail_share, sharpness


def share(images, periods=(2, 4, 8)):
    return detail_share(power_spectrum(images, 64), periods)


@pytest.fixture(scope="module")
def images():
    return pink(20, 64, seed=0)


def test_every_blur_is_below_the_original_and_more_of_it_further(images):
    figures = [sharpness(share(blurred(images, s)), share(images)) for s in (0.4, 0.7, 1, 2, 4)]
    assert figures[0] < -1
    assert figures == sorted(figures, reverse=True)


def test_noise_is_above_the_original(images):
    assert sharpness(share(noisy(images, 0.2)), share(images)) > 0.3


@pytest.mark.parametrize("period", [2, 3, 4, 8])
def test_a_checkerboard_does_not_sharpen(images, period):
    grid = 0.3 * cells(64, period)
    figures = {
        periods: sharpness(share(images + grid, periods), share(images, periods)).item()
        for periods in ((2, 3, 4, 8), (7,))
    }
    assert abs(figures[2, 3, 4, 8]) < 0.2
    assert figures[7,] > 0.2 or period == 8, "of which the frequencies are not left out"


def test_a_blurred_image_cannot_win_by_a_checkerboard(images):
    soft = blurred(images) + 0.2 * cells(64, 2)
    assert sharpness(share(soft), share(images)) < -10


def test_contrast_and_brightness_do_not_matter(images):
    assert torch.allclose(share(0.1 * images + 3), share(images), rtol=1e-3)


def test_the_share_is_that_of_the_frequencies():
    power = torch.zeros(64, 64)
    power[0, 5] = 3  # coarse
    power[20, 1] = 1  # fine
    power[32, 32] = 100  # the grid
    power[31, 32] = 100  # what the window spreads of it
    assert detail_share(power, [2]) == pytest.approx(0.25)
    assert detail_share(power, [3]) > 0.9
