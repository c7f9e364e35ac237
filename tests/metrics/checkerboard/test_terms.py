import math

import numpy as np
import pytest
import torch

from upzoo.metrics.checkerboard.spectrum import grid_powers, harmonics
from upzoo.metrics.checkerboard.terms import measured


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def side_of(height, width, period):
    return period * min(max(64 // period, 16), height // period, width // period)


def corners(height, width, side, align=1):
    """Tiles that overlap by half or a little more."""
    lines = []
    for n in (height, width):
        steps = math.ceil(2 * (n - side) / side)
        lines.append([round(k * (n - side) / max(steps, 1)) for k in range(steps + 1)])
    return [(y // align * align, x // align * align) for y in lines[0] for x in lines[1]]


def spectrum(image, side):
    """Welch's in float64, tile by tile: the mean over tiles and channels of |DFT|²."""
    line = np.sin(np.pi * np.arange(side) / side) ** 2
    window = np.outer(line, line)
    powers = []
    for y, x in corners(*image.shape[1:], side):
        tile = image[:, y : y + side, x : x + side]
        mean = (tile * window).sum((1, 2), keepdims=True) / window.sum()
        powers.append(abs(np.fft.fft2(window * (tile - mean))) ** 2)
    return np.mean(powers, (0, 1)) / (window**2).sum() + 1e-12 * (image**2).mean() + 1e-30


def cells(image, period, own):
    """Power at each harmonic under a window of steps in float64, from the sum itself."""
    height, width = image.shape[1:]
    side = side_of(height, width, period)
    steps = np.sin(np.pi * (np.arange(side // period) + 0.5) / (side // period)) ** 2
    window = np.outer(np.repeat(steps, period), np.repeat(steps, period))
    rows, columns = np.ogrid[:side, :side]
    found = []
    for i, j in own:
        wave = window * np.exp(-2j * np.pi * (i * rows + j * columns) / period)
        tiles = [
            image[:, y : y + side, x : x + side] for y, x in corners(height, width, side, period)
        ]
        found.append(np.mean([abs((tile * wave).sum((1, 2))) ** 2 for tile in tiles]))
    return np.array(found) / (window**2).sum() + 1e-12 * (image**2).mean() + 1e-30


def peaks(image, periods):
    """√(P(f) / level) of every harmonic, from float64 spectra."""
    ratios = []
    for place, period in enumerate(periods):
        known = periods[:place]
        side = side_of(*image.shape[1:], period)
        power = torch.from_numpy(spectrum(image, side))
        high, level = grid_powers(power, period, known)
        high = np.minimum(high.numpy(), cells(image, period, harmonics(period, known)))
        ratios.append(np.sqrt(high / level.numpy()))
    return np.concatenate(ratios)


@pytest.mark.parametrize("compared", [True, False])
@pytest.mark.parametrize(
    ("shape", "periods"),
    [
        ((2, 3, 91, 67), (2, 4, 8)),  # odd sides
        ((3, 1, 33, 32), (2, 4, 8)),  # one tile, or two
        ((1, 11, 181, 243), (2, 4, 8)),  # more than is worked on at a time
        ((2, 2, 75, 131), (2, 3, 5, 6)),  # periods that do not divide each other
    ],
)
def test_peaks_are_those_of_float64(shape, periods, compared):
    images = 3 + noise(*shape).cumsum(-1) / 4 + noise(*shape, seed=1)
    images[..., ::2, ::2] += 0.2
    found = measured(images, periods, compared)["peak"]
    wanted = np.stack([peaks(image.double().numpy(), periods) for image in images])
    assert found.numpy() == pytest.approx(wanted, rel=1e-3)  # 0.01 dB


@pytest.mark.parametrize("value", [0.0, 7.3, -1e4])
def test_a_constant_has_no_peak_no_grid_and_no_detail(value):
    terms = measured(torch.full((2, 3, 75, 80), value), (2, 4, 8), False)
    assert terms["peak"].max() < 1.1
    assert terms["grid"].abs().max() <= 1e-6 * abs(value)
    assert terms["detail"].abs().max() <= 1e-12 * value**2
    assert terms["spread"][:, 0].abs().max() <= 1e-12 * value**2


def test_variance_is_that_of_all_channels_about_their_own_means():
    images = noise(2, 11, 180, 240) * torch.tensor([1.0, 3.0])[:, None, None, None]
    images += 100 * torch.arange(11.0)[:, None, None]
    wanted = images.double().var((-2, -1), correction=0).mean(1)
    found = measured(images, (2,), False)["spread"][:, 0]
    assert found.numpy() == pytest.approx(wanted.numpy(), rel=1e-5)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_one_value_that_is_not_finite_is_refused(value):
    images = noise(3, 2, 40, 40)
    images[1, 1, 17, 5] = value
    with pytest.raises(ValueError, match=r"^images hold nan or infinite values: "):
        measured(images, (2, 4))


def test_huge_values_are_finite():
    assert measured(1e30 * noise(1, 1, 40, 40), (2,), False)["peak"].shape == (1, 3)
