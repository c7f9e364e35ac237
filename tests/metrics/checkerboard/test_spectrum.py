import numpy as np
import pytest
import torch

from upzoo.metrics.checkerboard.power import near_grid, power_spectrum, tile_size, tiles
from upzoo.metrics.checkerboard.profile import profile_distance, radial_profile
from upzoo.metrics.checkerboard.spectrum import (
    cell_powers,
    columns_read,
    grid_powers,
    harmonics,
    peak_excess,
)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def checker(size, period=2):
    cell = (-1.0) ** (2 * torch.arange(size).remainder(period) // period)
    return cell[:, None] * cell


def windowed_dft(image, window, f):
    """|Σ w (x − x̄) e^(−2πi f·t)|² / Σ w² at one frequency, in float64, straight from the sum."""
    image, window = image.double().numpy(), window.double().numpy()
    mean = (image * window).sum() / window.sum()
    y, x = (np.arange(n) for n in image.shape)
    wave = np.exp(-2j * np.pi * (f[0] * y[:, None] + f[1] * x))
    return abs((window * (image - mean) * wave).sum()) ** 2 / (window**2).sum()


# Power


@pytest.mark.parametrize("shape", [(12, 12), (9, 14), (15, 11)])
def test_power_is_the_windowed_dft_averaged_over_channels(shape):
    images = noise(2, 3, *shape) + 5
    height, width = shape
    window = torch.hann_window(height)[:, None] * torch.hann_window(width)
    power = power_spectrum(images)
    middle = height // 2, width // 2
    for u, v in [(0, 0), (1, 0), (0, 2), (3, 4), (height - 1, width - 2), middle]:
        wanted = [
            np.mean([windowed_dft(x, window, (u / height, v / width)) for x in image])
            for image in images
        ]
        assert power[:, u, v].numpy() == pytest.approx(wanted, rel=1e-4, abs=1e-9)


def test_power_of_tiles_is_the_mean_over_tiles():
    images = noise(2, 1, 40, 30)
    corners = [(y, x) for y in (0, 8, 16, 24) for x in (0, 7, 14)]
    assert tiles(40, 30, 16, 16) == corners
    crops = torch.stack([power_spectrum(images[..., y : y + 16, x : x + 16]) for y, x in corners])
    assert torch.allclose(power_spectrum(images, 16), crops.mean(0), rtol=1e-5)


@pytest.mark.parametrize("size", [(40, 30), (33, 47), (64, 64)])
def test_columns_alone_are_those_of_the_whole_and_the_others_are_nan(size):
    images = noise(2, 3, *size) + 3
    whole, part = (power_spectrum(images, 16, columns=c) for c in (None, torch.tensor([2, 5, 8])))
    asked = torch.isin(torch.arange(16), torch.tensor([2, 5, 8, 11, 14]))
    assert torch.allclose(part[..., asked], whole[..., asked], rtol=1e-5)
    assert part[..., ~asked].isnan().all()


def test_a_column_next_to_the_mean_is_the_windowed_dft():
    image = noise(1, 1, 16, 16) + 100
    window = torch.hann_window(16)[:, None] * torch.hann_window(16)
    power = power_spectrum(image, 16, columns=torch.tensor([0, 1]))[0]
    # the mean shows in rows 0 and ±1 alone
    for u, v in [(2, 0), (8, 1), (-2, 1)]:
        wanted = windowed_dft(image[0, 0], window, (u / 16, v / 16))
        assert power[u, v].item() == pytest.approx(wanted, rel=1e-3)


def test_white_noise_of_variance_4_has_power_4():
    assert power_spectrum(2 * noise(50, 1, 64, 64)).mean() == pytest.approx(4, rel=0.02)


def test_a_large_mean_does_not_hide_a_small_grid():
    images = 1000 + 0.1 * noise(4, 1, 64, 64) + 0.1 * checker(64)
    shifted = images - 1000
    found, wanted = (peak_excess(power_spectrum(x), 2)[:, 2] for x in (images, shifted))
    assert torch.allclose(found, wanted, atol=0.01)


def test_float32_agrees_with_float64_to_a_hundredth_of_a_decibel():
    slope = torch.linspace(0, 1, 64).expand(1, 1, 64, 64)
    window = torch.hann_window(64)[:, None] * torch.hann_window(64)
    image = slope + 1e-4 * checker(64)
    found = power_spectrum(image)[0, 32, 32].log10()
    wanted = np.log10(windowed_dft(image[0, 0], window, (0.5, 0.5)))
    assert 10 * abs(found - wanted) < 0.01


@pytest.mark.parametrize(
    ("size", "period", "side"),
    [((256, 256), 2, 64), ((256, 256), 3, 63), ((256, 200), 32, 192), ((28, 28), 4, 28)],
)
def test_tiles_are_multiples_of_the_period(size, period, side):
    assert tile_size(*size, period) == side
    corners = tiles(*size, side, side, align=period)
    assert all(top % period == left % period == 0 for top, left in corners)
    for axis in (0, 1):
        ends = [corner[axis] + side for corner in corners]
        assert 0 <= size[axis] - max(ends) < period


# Harmonics


@pytest.mark.parametrize("period", [2, 3, 4, 5, 8, 12, 32])
def test_harmonics_hold_one_of_each_pair(period):
    found = harmonics(period)
    both = {(i, j) for i, j in found} | {(-i % period, -j % period) for i, j in found}
    assert both == {(i, j) for i in range(period) for j in range(period)} - {(0, 0)}
    alone = sum(2 * i % period == 2 * j % period == 0 for i, j in both)
    assert len(found) == (len(both) + alone) // 2


def test_known_periods_keep_their_frequencies():
    own = {8: harmonics(8, (2, 4)), 4: harmonics(4, (2,)), 2: harmonics(2)}
    frequencies = [(i / p, j / p) for p, pairs in own.items() for i, j in pairs]
    assert sorted(frequencies) == sorted((i / 8, j / 8) for i, j in harmonics(8))
    assert harmonics(3, (2,)) == harmonics(3)


@pytest.mark.parametrize("period", [2, 3, 4, 8])
def test_a_peak_of_a_flat_spectrum_is_measured_where_it_is(period):
    side = tile_size(256, 256, period)
    for number, (i, j) in enumerate(harmonics(period)):
        power = torch.full((side, side), 7.0)
        u, v = i * side // period, j * side // period
        for a in (-1, 0, 1):  # as wide as the window makes it
            for b in (-1, 0, 1):
                power[(u + a) % side, (v + b) % side] = 700
        wanted = torch.zeros(len(harmonics(period)))
        wanted[number] = 20
        assert torch.allclose(peak_excess(power, period), wanted, atol=1e-4)


@pytest.mark.parametrize("period", [2, 4, 8])
def test_energy_on_the_axes_is_no_peak(period):
    side = tile_size(256, 256, period)
    axis = near_grid(side, 1)
    power = torch.where(axis[:, None] | axis, 1000.0, 1.0)
    assert peak_excess(power, period).abs().max() < 1e-4


@pytest.mark.parametrize("slope", [1.0, 2.0, 3.0])
def test_a_slope_is_no_peak(slope):
    f = torch.fft.fftfreq(64)
    power = (torch.hypot(f[:, None], f) + 1e-3) ** -slope
    # below half a cycle per pixel; at half a cycle the spectrum has its minimum, which is negative
    excess = dict(zip(harmonics(4), peak_excess(power, 4).tolist(), strict=True))
    assert abs(excess[1, 1]) < 0.1 * slope
    assert abs(excess[0, 1]) < 0.1 * slope
    assert all(value < 0.25 * slope for value in excess.values())


@pytest.mark.parametrize("period", [2, 3, 4, 5, 6, 7, 8, 12])
@pytest.mark.parametrize("periods", [4, 5, 6, 9, 16])
def test_a_ring_is_never_empty(period, periods):
    side = period * periods
    peaks, levels = grid_powers(torch.ones(side, side), period)
    assert peaks.eq(1).all()
    assert levels.eq(1).all()


@pytest.mark.parametrize("periods", [(2, 4, 8), (2, 3, 5, 6), (7,), (12, 32)])
@pytest.mark.parametrize("size", [(256, 256), (128, 150)])
def test_a_period_is_read_in_its_columns_alone(periods, size):
    images = noise(1, 2, *size)
    for place, period in enumerate(periods):
        side, known = tile_size(*size, period), periods[:place]
        columns = columns_read(side, ((period, known),))
        assert len(columns) < side // 2 + 1
        found, wanted = (
            peak_excess(power_spectrum(images, side, columns=c), period, known)
            for c in (columns, None)
        )
        assert (found - wanted).abs().max() < 1e-3


# Images


@pytest.mark.parametrize("period", [2, 3, 4, 8])
@pytest.mark.parametrize("size", [(64, 64), (75, 100), (91, 67)])
def test_columns_are_found_at_their_frequencies_alone(period, size):
    images = noise(20, 2, *size)
    wave = torch.cos(2 * torch.pi * torch.arange(size[1]) / period)
    side = tile_size(*size, period)
    clean, found = (
        peak_excess(power_spectrum(x, side).mean(0), period) for x in (images, images + 0.5 * wave)
    )
    change = dict(zip(harmonics(period), (found - clean).tolist(), strict=True))
    # P(f) of a cosine of amplitude a: a²/4 · (Σw)² / Σw², and a² at f = ½; of the noise: 1
    window = torch.hann_window(side)
    gain = (window.sum() ** 2 / window.square().sum()).item() ** 2
    wanted = 10 * np.log10(1 + (0.25 if period == 2 else 0.0625) * gain)
    assert change.pop((0, 1)) == pytest.approx(wanted, abs=1.5)
    assert max(map(abs, change.values())) < 0.7


@pytest.mark.parametrize("period", [2, 3, 4])
def test_where_the_grid_starts_does_not_matter(period):
    images, grid = noise(10, 1, 72, 72), checker(72, period)
    side = tile_size(72, 72, period)
    first, second = (
        torch.minimum(grid_powers(power_spectrum(x, side), period)[0], cell_powers(x, period))
        .log10()
        .amax(-1)
        .mean()
        for x in (images + 2 * grid, images + 2 * grid.roll((1, 1), (0, 1)))
    )
    assert 10 * abs(first - second) < 0.3


def test_cell_power_is_the_dft_under_a_window_of_steps():
    image = noise(1, 1, 60, 60)
    steps = np.sin(np.pi * (np.arange(20) + 0.5) / 20) ** 2
    window = torch.from_numpy(np.repeat(steps, 3)[:, None] * np.repeat(steps, 3))
    found = cell_powers(image, 3)[0]
    wanted = [windowed_dft(image[0, 0], window, (i / 3, j / 3)) for i, j in harmonics(3)]
    assert found.numpy() == pytest.approx(wanted, rel=1e-4)


def test_cell_power_of_tiles_is_the_mean_over_tiles_and_channels():
    images = noise(2, 3, 150, 100)
    side = tile_size(150, 100, 4)
    corners = tiles(150, 100, side, side, align=4)
    assert (side, len(corners)) == (64, 12)
    crops = [cell_powers(images[..., y : y + 64, x : x + 64], 4, (2,)) for y, x in corners]
    assert torch.allclose(cell_powers(images, 4, (2,)), torch.stack(crops).mean(0), rtol=1e-4)
    single = torch.stack([cell_powers(images[:, c : c + 1], 4, (2,)) for c in range(3)])
    assert torch.allclose(cell_powers(images, 4, (2,)), single.mean(0), rtol=1e-4)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_nearest_enlargement_has_no_power_at_the_grid_but_a_checkerboard_on_it_has(scale):
    small = torch.linspace(0, 1, 72 // scale).square()
    image = (small[:, None] + small).repeat_interleave(scale, 0).repeat_interleave(scale, 1)
    image = image.expand(1, 1, 72, 72)
    assert cell_powers(image, scale).max() < 1e-10
    assert grid_powers(power_spectrum(image, tile_size(72, 72, scale)), scale)[0].max() > 1e-6
    grid = 0.1 * checker(72, scale)
    assert torch.allclose(cell_powers(image + grid, scale), cell_powers(grid[None, None], scale))


def test_a_black_image_has_no_excess():
    black = torch.zeros(1, 1, 64, 64)
    excess = peak_excess(power_spectrum(black), 2, cells=cell_powers(black, 2))
    assert excess.abs().max() < 1e-4


def test_a_spectrum_without_the_bins_is_refused():
    with pytest.raises(ValueError, match=r"^a spectrum of 64×64 has no bins for period 3: "):
        peak_excess(torch.ones(64, 64), 3)
    with pytest.raises(ValueError, match=r"take tiles whose sides are multiples of 8, 32 pixels"):
        peak_excess(torch.ones(24, 24), 8)


# Profile


@pytest.mark.parametrize("shape", [(16, 16), (15, 15), (12, 20)])
def test_profile_is_the_mean_over_circles(shape):
    power = noise(*shape).abs()
    height, width = shape
    sums, counts = np.zeros(99), np.zeros(99)
    for u in range(height):
        for v in range(width):
            y, x = min(u, height - u) / height, min(v, width - v) / width
            circle = int(np.floor(np.hypot(y, x) * min(shape) + 1e-9 + 0.5))
            sums[circle] += power[u, v]
            counts[circle] += 1
    wanted = (sums / np.maximum(counts, 1))[: min(shape) // 2 + 1]
    assert radial_profile(power).numpy() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("size", [32, 33])
def test_profile_is_centred_on_the_constant_part(size):
    power = torch.zeros(size, size)
    power[0, 0] = 1
    assert radial_profile(power).tolist() == [1.0] + [0.0] * (size // 2)
    power = torch.zeros(size, size)
    for u, v in [(3, 0), (-3, 0), (0, 3), (0, -3)]:
        power[u, v] = 1
    assert radial_profile(power).nonzero().flatten().tolist() == [3]


def test_profile_distance_of_white_noise_twice_as_strong_is_6_decibels():
    profiles = [radial_profile(power_spectrum(x)).mean(0) for x in (noise(9, 1, 32, 32),)]
    distance = profile_distance(4 * profiles[0], profiles[0])
    assert distance == pytest.approx(20 * np.log10(2), abs=1e-3)
