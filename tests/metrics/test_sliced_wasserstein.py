"""Sliced Wasserstein distance: against scipy, the authors' formulas, and closed forms."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve, gaussian_filter
from scipy.stats import wasserstein_distance

from upzoo.metrics.sliced_wasserstein import (
    SlicedWasserstein,
    blur,
    draw_patches,
    laplacian_pyramid,
    normalise,
    sliced_wasserstein_distance,
)

TAPS = np.array([1, 4, 6, 4, 1]) / 16
KERNEL = np.outer(TAPS, TAPS)[None, None]


def textures(count=64, channels=1, side=32, seed=0):
    """Smooth random images in [0, 1] with structure at every scale."""
    noise = np.random.default_rng(seed).random((count, channels, side, side))
    mixed = sum(2**k * gaussian_filter(noise, (0, 0, 2**k / 2, 2**k / 2)) for k in range(3))
    low, high = mixed.min(), mixed.max()
    return torch.from_numpy((mixed - low) / (high - low)).float()


def blurred(images, sigma):
    return torch.from_numpy(gaussian_filter(images.numpy(), (0, 0, sigma, sigma), mode="mirror"))


def score(real, fake, batch=16, **options):
    metric = SlicedWasserstein(**{"patches": 32, "directions": 64} | options)
    for some in real.split(batch):
        metric.update(some, real=True)
    for some in fake.split(batch):
        metric.update(some, real=False)
    return {name: value.item() for name, value in metric.compute().items()}


def test_in_one_dimension_it_is_scipys_wasserstein_distance():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=501), rng.exponential(size=501)
    ours = sliced_wasserstein_distance(torch.tensor(a)[:, None], torch.tensor(b)[:, None])
    assert ours.item() == pytest.approx(wasserstein_distance(a, b), rel=1e-12)


def test_a_shift_in_the_plane_costs_its_mean_projection():
    points = torch.randn(50, 2, generator=torch.Generator().manual_seed(1))
    shifted = points + torch.tensor([3.0, 4.0])
    # mean over θ of |θ·s| = |s|·2/π in two dimensions
    ours = sliced_wasserstein_distance(points, shifted, directions=20000)
    assert ours.item() == pytest.approx(5 * 2 / math.pi, rel=0.01)


def test_levels_are_those_of_the_authors():
    images = textures(2, 3, 64)
    levels = laplacian_pyramid(images)
    fine = images.numpy().astype(np.float64)
    for level in levels[:-1]:
        coarse = convolve(fine, KERNEL, mode="mirror")[:, :, ::2, ::2]
        spread = np.zeros_like(fine)
        spread[:, :, ::2, ::2] = coarse
        band = fine - convolve(spread, 4 * KERNEL, mode="mirror")
        np.testing.assert_allclose(level.numpy(), band, atol=1e-6)
        fine = coarse
    np.testing.assert_allclose(levels[-1].numpy(), fine, atol=1e-6)


@pytest.mark.parametrize(
    ("size", "sides"),
    [
        ((28, 28), [28, 14]),
        ((32, 32), [32, 16]),
        ((64, 64), [64, 32, 16]),
        ((27, 40), [27, 14]),
        ((26, 26), [26]),
        ((14, 99), [14]),
    ],
)
def test_levels_of_any_size_add_up_to_the_image(size, sides):
    images = torch.rand(2, 1, *size, generator=torch.Generator().manual_seed(0))
    levels = laplacian_pyramid(images)
    assert [min(level.shape[2:]) for level in levels] == sides
    whole = levels[-1]
    for band in reversed(levels[:-1]):
        spread = torch.zeros_like(band)
        spread[..., ::2, ::2] = whole
        whole = band + 4 * blur(spread)
    torch.testing.assert_close(whole, images)


def test_bands_of_a_flat_image_are_empty():
    band, rest = laplacian_pyramid(torch.full((1, 3, 28, 28), 0.7))
    torch.testing.assert_close(band, torch.zeros_like(band))
    torch.testing.assert_close(rest, torch.full_like(rest, 0.7))


def test_patches_are_windows_of_their_image_and_reach_every_place():
    # pixel value = 100·image + 10·row + column tells where a patch was cut
    rows, columns = torch.meshgrid(torch.arange(9.0), torch.arange(10.0), indexing="ij")
    images = torch.stack([10 * rows + columns + 100 * i for i in range(3)])[:, None]
    patches = draw_patches(images, 200, torch.Generator().manual_seed(0)).view(3, 200, 7, 7)
    corner = patches[..., 0, 0]
    expected = 10 * rows[:7, :7] + columns[:7, :7]
    torch.testing.assert_close(patches - corner[..., None, None], expected.expand(3, 200, 7, 7))
    places = {10 * y + x for y in range(3) for x in range(4)}
    for image, corners in enumerate(corner):
        assert set((corners - 100 * image).int().tolist()) == places


def test_normalising_is_by_colour_over_the_whole_set():
    patches = torch.randn(40, 3, 49) * torch.tensor([1.0, 5.0, 0.0])[:, None] + 2
    out = normalise(patches).view(40, 3, 49)
    for channel in (0, 1):
        values = patches[:, channel].numpy()
        expected = (values - values.mean()) / values.std()
        np.testing.assert_allclose(out[:, channel].numpy(), expected, atol=1e-5)
    assert out[:, 2].abs().max() < 1


@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 32)])
def test_equal_sets_score_zero(channels, side):
    images = textures(20, channels, side)
    assert set(score(images, images).values()) == {0.0}


def test_more_blur_is_further_away_at_every_level():
    real, other = textures(seed=0), textures(seed=1)
    steps = [score(real, blurred(other, sigma)) for sigma in (0, 0.7, 1.5, 3)]
    for name in ("swd", "swd_32", "swd_16"):
        values = [step[name] for step in steps]
        assert values == sorted(values)
        assert values[-1] > 2 * values[0]


def test_one_batch_is_the_distance_of_its_patches():
    real, fake = textures(8, seed=0), textures(8, seed=1)
    generators = [torch.Generator().manual_seed(5) for _ in range(2)]
    expected = [
        1e3 * sliced_wasserstein_distance(*map(normalise, pair), directions=64, seed=5).item()
        for pair in zip(
            *(
                [draw_patches(level, 32, generator) for level in laplacian_pyramid(images)]
                for images, generator in zip((real, fake), generators, strict=True)
            ),
            strict=True,
        )
    ]
    ours = score(real, fake, seed=5)
    assert [ours["swd_32"], ours["swd_16"]] == pytest.approx(expected, rel=1e-4)
    assert ours["swd"] == pytest.approx(sum(expected) / 2, rel=1e-4)


def test_an_image_of_one_colour_gives_a_finite_score():
    score_of_black = score(textures(8), torch.zeros(8, 1, 32, 32))
    assert all(math.isfinite(value) and value > 100 for value in score_of_black.values())


def test_scores_repeat_and_other_seeds_move_them_little():
    real, fake = textures(seed=0), blurred(textures(seed=1), 1.5)
    first, again, other = (score(real, fake, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first["swd"] != other["swd"]
    assert first["swd"] == pytest.approx(other["swd"], rel=0.1)


def test_reservoir_is_an_even_sample_of_bounded_size():
    metric = SlicedWasserstein(patches=4, directions=1, capacity=500)
    for value in range(100):  # each image's patches carry its number
        metric.update(torch.full((5, 1, 16, 16), float(value)), real=True)
        assert sum(map(len, metric.real_keys)) < 1000
    kept = metric._sample("real")[0][:, 0, 0, 0]
    assert len(kept) == 500
    # 5 patches of each of 100 numbers are expected: uniform mean 49.5 ± 4σ, σ = 28.9/√500
    assert kept.mean().item() == pytest.approx(49.5, abs=4 * 28.9 / math.sqrt(500))
    assert kept[:250].mean().item() == pytest.approx(49.5, abs=4 * 28.9 / math.sqrt(250))


def test_sets_of_other_sizes_are_compared_by_as_many_patches():
    real, fake = textures(64, seed=0), textures(16, seed=0)
    assert score(real, fake)["swd"] < 0.5 * score(real, blurred(fake, 2))["swd"]


def test_two_processes_score_as_one():
    options = {"patches": 32, "directions": 64}
    first, second = SlicedWasserstein(**options), SlicedWasserstein(**options)
    both = [textures(16, seed=seed) for seed in range(4)]
    for metric, (real, fake) in ((first, both[:2]), (second, both[2:])):
        metric.update(real, real=True)
        metric.update(fake, real=False)
    states = (getattr(second, name) for name in second._reductions)
    theirs = iter([s[0] if isinstance(s, list) else s for s in states])
    first.distributed_available_fn = lambda: True
    first.dist_sync_fn = lambda state, group=None: [state, next(theirs)]
    cuts = [
        torch.cat([m.real_patches[0] if real else m.fake_patches[0] for m in (first, second)])
        for real in (True, False)
    ]
    expected = 1e3 * sliced_wasserstein_distance(
        *(normalise(cut[:, 0]) for cut in cuts), directions=64
    )
    assert first.compute()["swd_32"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_reset_forgets_images_and_their_size():
    metric = SlicedWasserstein(patches=8, directions=8)
    metric.update(torch.rand(2, 3, 64, 64), real=True)
    metric.reset()
    images = torch.rand(2, 1, 28, 28)
    metric.update(images, real=True)
    metric.update(images, real=False)
    assert list(metric.compute()) == ["swd", "swd_28", "swd_14"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SlicedWasserstein(patches=0), "patches=0 must be an integer of at least 1"),
        (lambda: laplacian_pyramid(torch.rand(1, 1, 13, 40)), "at least 14×14"),
        (lambda: laplacian_pyramid(torch.zeros(1, 1, 32, 32).byte()), "must be floats"),
        (
            lambda: sliced_wasserstein_distance(torch.rand(4, 2), torch.rand(5, 2)),
            r"\(4, 2\) and \(5, 2\) must both be",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_missing_kind_and_a_change_of_size_are_named():
    metric = SlicedWasserstein()
    metric.update(torch.rand(2, 1, 28, 28), real=True)
    with pytest.raises(ValueError, match=r"\(1, 32, 32\) after others of \(1, 28, 28\)"):
        metric.update(torch.rand(2, 1, 32, 32), real=False)
    with pytest.raises(ValueError, match="update with both"):
        metric.compute()
