import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import artifacts, artifacts_detection, artifacts_images, artifacts_plot
from benchmarks import artifacts_report as report
from comparison.pages import inserted
from upzoo.metrics.checkerboard.terms import measured

ROOT = Path(__file__).parents[2]
PAGE = ROOT / report.PAGE


@pytest.fixture(scope="module")
def committed():
    return json.loads((ROOT / "benchmarks/results/artifacts.json").read_text())


# The sensitivity table


@pytest.fixture(scope="module")
def sensitivity():
    return {row["injected"]: row for row in artifacts.sensitivity(count=300)}


@pytest.mark.parametrize(
    ("injected", "peak", "mean", "ratio"),
    [
        # peak excess in dB, phase mean and phase-variance ratio of the literature's measures
        ("nothing", (0, 1.0), 0.0004, (1.004, 0.01)),
        ("checker 0.01 σ", (4.0, 3.0), 0.0099, (1.004, 0.01)),
        ("checker 0.1 σ", (22.1, 5.0), 0.099, (1.004, 0.01)),
        ("columns 0.1 σ", (18.9, 7.0), 0.099, (1.004, 0.01)),
        ("random-sign 8×8 checker 0.1 σ", (7.9, 1.2), 0.0004, (1.004, 0.01)),
        ("gain ripple 5 %", (5.3, 1.3), 0.0004, (1.26, 0.02)),
        ("gain ripple 20 %", (13.3, 2.2), 0.0004, (1.95, 0.03)),
        ("noise on one phase 0.1 σ", (0.04, 1.0), 0.0004, (1.040, 0.01)),
        ("white noise 0.1 σ, no grid", (0.03, 1.0), 0.0004, (1.004, 0.01)),
    ],
)
def test_sensitivity_is_as_it_was_known(sensitivity, injected, peak, mean, ratio):
    row = sensitivity[injected]
    assert row["peak_excess_db"] == pytest.approx(peak[0], abs=peak[1])
    assert row["phase_mean"] == pytest.approx(mean, abs=0.0015)
    assert row["phase_variance_ratio"] == pytest.approx(ratio[0], abs=ratio[1])
    if injected.startswith(("checker", "columns")):
        assert row["peak_excess_db"] > peak[0], "no less than was known"


def test_blur_and_enlargement_are_no_peaks(sensitivity):
    assert sensitivity["blur, no grid"]["peak_excess_db"] < -2
    assert sensitivity["blur, no grid"]["sharpness_db"] < -10
    assert sensitivity["blur, no grid"]["profile_db"] > 30
    assert sensitivity["nearest ×2"]["peak_excess_db"] < -40


# Images


def test_pink_images_fall_with_the_square_of_frequency():
    images = artifacts_images.pink(200, 64, seed=0)
    assert images.mean((-2, -1)).abs().max() < 1e-5
    assert torch.allclose(images.std((-2, -1), correction=0), torch.ones(200, 1))
    power = torch.fft.fft2(images).abs().square().mean((0, 1))
    assert power[2, 0] / power[20, 0] == pytest.approx(100, rel=0.3)


@pytest.mark.parametrize("period", [2, 3, 4, 8])
def test_grids_repeat_and_have_the_unit_of_their_amplitude(period):
    images = torch.rand(3, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    for name in ("checker", "columns"):
        grid = artifacts_images.GRIDS[name](images, period)
        assert torch.equal(grid[..., period:, period:], grid[..., :-period, :-period])
        assert grid[0].mean().item() == pytest.approx(0, abs=1e-6)
        assert grid[0].std(correction=0).item() == pytest.approx(1, abs=1e-5)
    # what a period of 2 is made of
    assert artifacts_images.cells(4, 2).tolist()[0] == [1, -1, 1, -1]
    noise = artifacts_images.phase_noise(images, period)
    assert noise.count_nonzero() == 3 * (48 // period) ** 2
    ripple = artifacts_images.gain_ripple(images, period)
    assert torch.allclose(
        ripple, (images - images.mean((-2, -1), keepdim=True)) * artifacts_images.cells(48, period)
    )
    change = artifacts_images.random_sign(images, period) / artifacts_images.cells(48, period)
    side = 4 * period
    block = change[..., :side, :side]
    assert torch.allclose(block.abs(), torch.ones_like(block))
    assert torch.allclose(block, block[..., :1, :1].expand_as(block))


def test_crops_are_grey_and_whole(tmp_path):
    for place in range(5):
        values = np.full((40, 50, 3), 50 * place, np.uint8)
        Image.fromarray(values).save(tmp_path / f"{place}.png")
    found = artifacts_images.crops(tmp_path, 4, 32)
    assert found.shape == (4, 1, 32, 32)
    assert found[:, 0, 0, 0].mul(255).round().tolist() == [0, 50, 100, 150]
    with pytest.raises(FileNotFoundError, match="holds 5 pictures: give 6 or more"):
        artifacts_images.crops(tmp_path, 6, 32)


def test_jpeg_leaves_a_grid_of_8():
    images = artifacts_images.drawn(6, 64)
    coded = artifacts_images.jpeg(images, 30)
    assert 0.001 < (coded - images).abs().mean() < 0.05
    steps = (coded[..., 1:] - coded[..., :-1]).abs().mean((0, 1, 2))
    inside = torch.arange(63) % 8 != 7
    before = (images[..., 1:] - images[..., :-1]).abs().mean((0, 1, 2))
    assert (steps / before)[~inside].mean() > (steps / before)[inside].mean()


# Detection


def test_sets_are_apart_and_weigh_one():
    ours, others = artifacts_detection.sets(20, 7, seed=0)
    assert (ours > 0).sum(-1).eq(7).all()
    assert (others > 0).sum(-1).eq(10).all()
    assert not ((ours > 0) & (others > 0)).any()
    assert torch.allclose(ours.sum(-1), torch.ones(len(ours)))


def test_smallest_amplitude_lies_between_those_tried():
    amplitudes = artifacts_detection.AMPLITUDES
    shares = [0.0] * 3 + [0.8, 1.0] + [1.0] * (len(amplitudes) - 5)
    middle = (amplitudes[3] * amplitudes[4]) ** 0.5
    assert artifacts_detection.smallest(shares) == pytest.approx(middle)
    assert artifacts_detection.smallest([1.0] * len(amplitudes)) == amplitudes[0]
    assert artifacts_detection.smallest([0.5] * len(amplitudes)) is None


def test_a_curve_rises_from_false_alarms_to_all():
    images = artifacts_images.pink(24, 32, seed=0)
    grid = artifacts_images.checker(images, 2)
    amplitudes = artifacts_detection.AMPLITUDES
    injected = [measured(images + a * grid, (2,)) for a in amplitudes]
    clean = measured(images, (2,))
    found = artifacts_detection.curve(clean, injected, 2, 12)
    assert "found" not in found["peak_excess_db"], "kept for one number of images only"
    smallest = {name: found[name]["smallest"] for name in artifacts_detection.MEASURES}
    assert smallest["peak_excess_db"] < 0.1
    assert smallest["phase_mean"] < 0.1
    assert smallest["phase_variance_ratio"] is None
    assert smallest["profile_distance_db"] is None


# The committed page


def test_page_holds_what_the_generator_makes(committed):
    page = PAGE.read_text()
    assert inserted(page, report.parts(committed)) == page


def test_claims_of_the_page_hold_in_its_figures(committed):
    row = artifacts_plot.find(committed["photos"], "checker", 2, 40)
    at = list(committed["amplitudes"]).index(0.005)
    assert row["median_db"][at] >= 15
    assert row["peak_excess_db"]["found"][at] == 1
    for source in ("photos", "drawn"):
        for change in committed["false_alarms"][source]:
            if not change["change"].startswith("JPEG"):
                for found in change["periods"].values():
                    assert found["peak_excess_db"]["grid"] <= 0.01, change["change"]
    assert committed["cost"]["threads"]["2"]["wall"] < 3


def test_sensitivity_of_the_page_was_measured_as_the_test_does(committed, sensitivity):
    for row in committed["sensitivity"]:
        again = sensitivity[row["injected"]]
        if row["injected"] != "nearest ×2":  # of which nothing but rounding is left
            assert row["peak_excess_db"] == pytest.approx(again["peak_excess_db"], abs=1)
        assert row["phase_variance_ratio"] == pytest.approx(again["phase_variance_ratio"], abs=0.02)


def test_figures_are_drawn_and_small(committed, tmp_path):
    for path in artifacts_plot.draw(committed, tmp_path):
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size < 200_000
        shown = ROOT / "docs/figures" / path.name
        assert shown.exists()
        assert f"figures/{path.name}" in PAGE.read_text()


def test_numbers_are_said_plainly():
    assert report.number(-1.26, 1) == "−1.3"
    assert report.number(1e6, 2) == "∞"
    results = {"amplitudes": [1e-4, 1e-3]}
    assert report.amplitude(None, results) == "–"
    assert report.amplitude(1e-4, results) == "≤ 0.01"
    assert report.amplitude(0.00523, results) == "0.52"
