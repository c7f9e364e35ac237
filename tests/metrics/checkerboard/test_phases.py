import numpy as np
import pytest
import torch
from scipy import ndimage

from upzoo.metrics.checkerboard.phases import (
    coherence,
    detail_energy,
    detail_maps,
    fold,
    folds,
    grid_maps,
    laplacian,
    phase_mean,
    phase_variance_ratio,
)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def set_ratio(images, period):
    return phase_variance_ratio(
        detail_maps(images, period).mean(0), grid_maps(images, period).mean(0)
    )


@pytest.mark.parametrize(("shape", "period"), [((12, 12), 2), ((13, 17), 3), ((40, 33), 8)])
def test_fold_is_the_weighted_mean_of_each_phase(shape, period):
    values = noise(2, *shape)
    window = np.outer(*(torch.hann_window(n).double().numpy() for n in shape))
    y, x = np.ogrid[: shape[0], : shape[1]]
    for a in range(period):
        for b in range(period):
            there = window * ((y % period == a) & (x % period == b))
            wanted = [(there * v).sum() / there.sum() for v in values.double().numpy()]
            found = fold(values, period)[:, a, b]
            assert found.numpy() == pytest.approx(wanted, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("period", [2, 3, 8])
def test_a_slope_is_no_grid(period):
    slope = torch.linspace(0, 1, 96).expand(1, 1, 96, 96)
    without_window = (period - 1) / 96
    assert grid_maps(slope, period).abs().max() < without_window / 300


@pytest.mark.parametrize("period", [2, 3, 4, 8, 32])
def test_the_additive_grid_is_found_as_it_is(period):
    grid = noise(2, period, period)
    grid -= grid.mean((-2, -1), keepdim=True)
    repeats = 128 // period + 1
    tiled = grid.repeat(1, repeats, repeats)[None, :, :128, :128]
    maps = grid_maps(tiled + torch.linspace(0, 0.3, 128), period)[0]
    assert torch.allclose(maps, grid, atol=2e-3)
    size = phase_mean(maps, torch.tensor(4.0))
    assert size == pytest.approx(grid.square().mean().sqrt().item() / 2, rel=1e-3)


def test_another_offset_permutes_the_phases():
    images = noise(3, 1, 66, 66)
    images[..., ::3, 1::3] += 5
    moved = images[..., 1:-2, 2:-1]
    maps, others = (grid_maps(x, 3).mean((0, 1)) for x in (images, moved))
    assert maps.argmax() == 1
    assert others.argmax() == 2 * 3 + 2
    energies = [phase_mean(m[None], torch.tensor(1.0)) for m in (maps, others)]
    assert energies[0] == pytest.approx(energies[1].item(), rel=0.05)


def test_the_grid_of_each_channel_counts_even_if_they_cancel():
    columns = (-1.0) ** torch.arange(32).expand(1, 1, 32, 32)
    maps = grid_maps(torch.cat((columns, -columns), 1), 2)
    assert phase_mean(maps.mean(0), torch.tensor(1.0)) == pytest.approx(1, rel=1e-5)


def test_coherence_is_the_share_of_power_that_all_images_have_in_common():
    columns = (-1.0) ** torch.arange(32).expand(400, 2, 32, 32)
    signs = torch.randint(0, 2, (400, 1, 1, 1), generator=torch.Generator().manual_seed(0)) * 2 - 1
    for steady, changing in [(1.0, 0.0), (1.0, 1.0), (1.0, 2.0), (0.0, 1.0)]:
        maps = grid_maps((steady + changing * signs) * columns, 2)
        wanted = steady**2 / (steady**2 + changing**2)
        assert coherence(maps, (0, 1)) == pytest.approx(wanted, abs=0.1)
    assert coherence(maps[:1], (0, 1)).isnan()


def test_laplacian_agrees_with_scipy():
    image = noise(1, 2, 9, 12)
    kernel = -np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]]) / 4
    kernel[1, 1] = 1
    for channel, found in zip(image[0], laplacian(image)[0], strict=True):
        wanted = ndimage.convolve(channel.double().numpy(), kernel, mode="nearest")
        assert found.numpy() == pytest.approx(wanted, abs=1e-5)
    assert torch.allclose(detail_energy(image), laplacian(image).square().mean(1))


def test_noise_on_one_phase_has_the_ratio_of_the_filter():
    gain = torch.ones(256, 256)
    gain[::2, ::2] = 2
    images = noise(8, 1, 256, 256) * gain
    # E(Hx)² = v_φ + Σ v of the 4 neighbours / 16: with v = 4 on phase (0, 0) and 1 on the others
    wanted = {(0, 0): 4 + 4 / 16, (0, 1): 1 + 10 / 16, (1, 0): 1 + 10 / 16, (1, 1): 1 + 4 / 16}
    found = detail_maps(images, 2).mean(0)
    for phase, value in wanted.items():
        assert found[phase] == pytest.approx(value, rel=0.02)
    assert set_ratio(images, 2) == pytest.approx(4.25 / 1.25, rel=0.03)


@pytest.mark.parametrize("period", [2, 4])
def test_white_noise_has_no_ratio(period):
    assert set_ratio(noise(40, 3, 64, 64), period) == pytest.approx(1, abs=0.06)


def test_an_additive_grid_is_no_ratio():
    images = noise(40, 1, 64, 64)
    images[..., ::4, ::4] += 3  # one bright pixel in 16: its detail differs by phase
    assert phase_variance_ratio(detail_maps(images, 4).mean(0), torch.zeros(1, 4, 4)) > 3
    assert set_ratio(images, 4) < 1.25


def test_nearest_enlargement_is_even_at_2_and_empty_inside_the_cells_of_4():
    small = noise(40, 1, 32, 32)
    twice = small.repeat_interleave(2, -1).repeat_interleave(2, -2)
    assert set_ratio(twice, 2) == pytest.approx(1, abs=0.05)
    four = twice[..., :32, :32].repeat_interleave(2, -1).repeat_interleave(2, -2)
    assert set_ratio(four, 4) == torch.inf


def test_no_detail_at_all_is_even():
    assert set_ratio(torch.ones(2, 1, 16, 16), 2) == 1


@pytest.mark.parametrize("periods", [(2, 3, 8), (2, 4, 8), (12, 2, 6, 4, 5)])
def test_several_periods_are_folded_as_each_by_itself(periods):
    values = torch.rand(2, 3, 37, 50, generator=torch.Generator().manual_seed(0))
    for period, folded in zip(periods, folds(values, periods), strict=True):
        assert folded.shape == (2, 3, period, period)
        assert torch.allclose(folded, fold(values, period), atol=1e-6)
