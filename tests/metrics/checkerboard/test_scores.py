import math

import pytest
import torch

from benchmarks.artifacts_images import (
    blurred,
    cells,
    enlarged,
    gain_ripple,
    noisy,
    phase_noise,
    pink,
    random_sign,
)
from upzoo.metrics.checkerboard.scores import CheckerboardScores, describe
from upzoo.metrics.checkerboard.terms import measured


@pytest.fixture(scope="module")
def real():
    return pink(48, 64, seed=1)


@pytest.fixture(scope="module")
def clean():
    return pink(40, 64, seed=2)


def scored(generated, real, **options):
    scores = CheckerboardScores(**options)
    if real is not None:
        scores.update(real, real=True)
    scores.update(generated, real=False)
    return scores.compute()


def test_every_figure_is_a_float_and_named(clean, real):
    values = scored(clean, real, periods=(2, 3))
    assert all(type(value) is float and math.isfinite(value) for value in values.values())
    per_period = {
        "peak_excess_db",
        "peak_excess_db_low",
        "peak_excess_db_high",
        "peak_excess_db_threshold",
        "mean_excess_db",
        "coherence",
        "phase_mean",
        "phase_mean_threshold",
        "phase_variance_ratio",
        "phase_variance_ratio_threshold",
    }
    wanted = {f"period{p}_{name}" for p in (2, 3) for name in per_period}
    assert set(values) == wanted | {"checkerboard_db", "sharpness_db", "profile_distance_db"}
    assert values["checkerboard_db"] == max(values[f"period{p}_peak_excess_db"] for p in (2, 3))


def test_clean_images_have_no_grid(clean, real):
    values = scored(clean, real)
    assert describe(values).startswith("no checkerboard: ")
    assert abs(values["sharpness_db"]) < 0.2
    assert values["profile_distance_db"] < 0.6
    for period in (2, 4, 8):
        chance = values[f"period{period}_peak_excess_db_threshold"]
        assert values[f"period{period}_peak_excess_db"] < chance + 1


@pytest.mark.parametrize("period", [2, 3, 4, 8])
def test_a_grid_is_named_by_its_period(clean, real, period):
    # all frequencies of the period, the smaller periods' among them
    grid = torch.zeros(64, 64)
    grid[::period, ::period] = period
    words = describe(scored(clean + 0.3 * grid, real, periods=(2, 3, 4, 8)))
    assert words.startswith(f"checkerboard at period {period}, ")
    assert " dB above real images, mostly additive" in words


def test_a_grid_of_2_does_not_count_at_4_and_8(clean, real):
    values = scored(clean + 0.1 * cells(64, 2), real)
    before = scored(clean, real)
    assert values["period2_peak_excess_db"] > 25
    for period in (4, 8):
        name = f"period{period}_peak_excess_db"
        assert values[name] == pytest.approx(before[name], abs=0.05)
    assert values["period2_phase_mean"] == pytest.approx(0.1, rel=0.05)
    assert values["sharpness_db"] == pytest.approx(before["sharpness_db"], abs=0.02)


def test_two_grids_are_both_named(clean, real):
    both = clean + 0.2 * cells(64, 2) + 0.3 * cells(64, 3)
    assert describe(scored(both, real, periods=(2, 3))).startswith(
        "checkerboard at periods 2 and 3, "
    )


@pytest.mark.parametrize(
    ("kind", "strength", "words"),
    [
        (gain_ripple, 0.3, "mostly multiplicative"),
        (random_sign, 0.2, "of changing sign"),
    ],
)
def test_kinds_of_grids(clean, real, kind, strength, words):
    said = describe(scored(clean + strength * kind(clean, 2), real, periods=(2,)))
    assert said.startswith("checkerboard at period 2, ")
    assert words in said


def test_noise_on_one_phase_is_said_though_it_is_no_peak(clean, real):
    said = describe(scored(clean + 0.8 * phase_noise(clean, 2), real, periods=(2,)))
    assert said.startswith("no checkerboard: ")
    assert "; fine detail differs ×" in said
    assert said.count("phases of period 2") == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (blurred, "dB less fine detail than real images"),
        (lambda x: noisy(x, 0.5), "dB more fine detail than real images"),
        (lambda x: enlarged(x, 2, "nearest"), ""),
        (lambda x: enlarged(x, 2, "bilinear"), "less fine detail"),
        (lambda x: enlarged(x, 4, "nearest"), "have no fine detail at all"),
    ],
)
def test_what_is_no_checkerboard_is_not_called_one(clean, real, change, words):
    said = describe(scored(change(clean), real))
    assert said.startswith("no checkerboard: ")
    assert words in said


def test_interval_holds_the_figure_and_has_the_width_of_its_standard_error(clean, real):
    generated = clean + 0.05 * cells(64, 2)
    values = scored(generated, real, periods=(2,), resamples=2000)
    low, high = (values[f"period2_peak_excess_db_{end}"] for end in ("low", "high"))
    assert low < values["period2_peak_excess_db"] < high
    terms = [measured(x, (2,))["peak"] for x in (generated, real)]
    place = (terms[0].mean(0) / terms[1].mean(0)).argmax()
    # 20·log10 of a mean m has the standard error 8.69·s / (m·√n)
    relative = [t[:, place].std() / t[:, place].mean() / len(t) ** 0.5 for t in terms]
    error = 20 / math.log(10) * math.hypot(*relative)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_threshold_is_passed_by_one_clean_set_in_a_hundred_or_fewer():
    real = pink(60, 32, seed=5)
    passed = 0
    for seed in range(40):
        generated = pink(30, 32, seed=100 + seed)
        values = scored(generated, real, periods=(2,), resamples=200)
        passed += values["period2_peak_excess_db"] > values["period2_peak_excess_db_threshold"]
    assert passed <= 3


def test_stream_and_processes_give_what_one_update_gives(clean, real):
    generated = clean + 0.1 * cells(64, 4)
    whole = scored(generated, real)
    parts = [CheckerboardScores(), CheckerboardScores()]
    for part, ours, theirs in zip(parts, generated.chunk(2), real.chunk(2), strict=True):
        for images in theirs.split(7):
            part.update(images, real=True)
        for images in ours.split(9):
            part.update(images, real=False)
    parts[0].merge_state(parts[1])
    values = parts[0].compute()
    # another order of the images draws other sets
    drawn = {key for key in whole if key.endswith(("_low", "_high", "_threshold"))}
    for key in drawn:
        assert values[key] == pytest.approx(whole[key], rel=0.2, abs=0.6)
    exact = {key: whole[key] for key in whole.keys() - drawn}
    assert {key: values[key] for key in exact} == pytest.approx(exact, rel=1e-4, abs=1e-5)


def test_headline_can_be_plotted(clean, real):
    scores = CheckerboardScores(periods=(2,))
    scores.update(real, real=True)
    scores.update(clean, real=False)
    values = scores.compute()
    _, axes = scores.plot()
    assert axes.lines[0].get_ydata().tolist() == pytest.approx([values["checkerboard_db"]])
    _, axes = scores.plot([values, {"checkerboard_db": 7.0}])
    assert axes.lines[0].get_ydata().tolist() == pytest.approx([values["checkerboard_db"], 7.0])


def test_figures_leave_the_global_generator_alone_and_repeat(clean, real):
    torch.manual_seed(3)
    first = scored(clean, real)
    after = torch.rand(1)
    torch.manual_seed(4)
    second = scored(clean, real)
    torch.manual_seed(3)
    assert first == second
    assert torch.rand(1) == after


def test_without_real_images(clean):
    values = scored(clean + 0.1 * cells(64, 2), None, periods=(2,))
    assert math.isnan(values["sharpness_db"])
    assert math.isnan(values["period2_phase_mean_threshold"])
    said = describe(values)
    assert said.startswith("checkerboard at period 2, ")
    assert said.endswith(" dB above its surroundings, mostly additive")


def test_logits_of_many_channels_and_low_precision(clean):
    logits = clean.view(4, 10, 64, 64) * 30 - 200
    grid = torch.zeros(10, 1, 1)
    grid[3] = 30.0
    values = scored((logits + grid * cells(64, 2)).bfloat16(), logits.bfloat16(), periods=(2,))
    assert describe(values).startswith("checkerboard at period 2, ")
    # the root mean square over 10 channels of a grid of one σ in one of them
    assert values["period2_phase_mean"] == pytest.approx(0.1**0.5, rel=0.1)


def test_single_images_have_no_interval(clean, real):
    values = scored(clean[:1], real)
    assert math.isnan(values["period2_peak_excess_db_low"])
    assert math.isnan(values["period2_coherence"])
    assert math.isfinite(values["period2_peak_excess_db_threshold"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"periods": ()}, r"^periods=\(\) leaves nothing to measure"),
        ({"periods": (2, 1)}, r"^period 1 is too small"),
        ({"periods": (2.5,)}, r"^period 2\.5 is too small"),
        ({"confidence": 95}, r"^confidence=95 is no share"),
        ({"resamples": 10}, r"^resamples=10 are too few"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        CheckerboardScores(**options)


def test_images_are_checked(clean):
    scores = CheckerboardScores()
    with pytest.raises(ValueError, match=r"^images are torch\.int64 \(1, 64, 64\): give floats"):
        scores.update(torch.ones(1, 64, 64, dtype=torch.int64), real=True)
    with pytest.raises(
        ValueError, match=r"^images of 28×28 are too small for period 8: give 32×32"
    ):
        scores.update(torch.ones(1, 1, 28, 28), real=True)
    with pytest.raises(ValueError, match=r"^no generated images to score"):
        scores.compute()
    scores.update(clean, real=True)
    with pytest.raises(ValueError, match=r"differ from the real ones before in size or channels"):
        scores.update(torch.ones(1, 3, 64, 64), real=False)
    with pytest.raises(ValueError, match=r"differ from the real ones before in size or channels"):
        scores.update(torch.ones(1, 1, 48, 48), real=False)
    bad = clean[:2].clone()
    bad[1, 0, 5, 5] = torch.nan
    with pytest.raises(ValueError, match=r"^images hold nan or infinite values"):
        scores.update(bad, real=False)


def test_without_real_images_nothing_is_lost_by_saying_so():
    images = torch.randn(4, 3, 72, 96, generator=torch.Generator().manual_seed(0))
    images[..., ::2] += 0.3
    found, wanted = {}, {}
    for values, compared in ((found, False), (wanted, True)):
        scores = CheckerboardScores((2, 4, 8), compared=compared)
        scores.update(images, real=False)
        values |= scores.compute()
    assert found.keys() == wanted.keys()
    assert wanted["checkerboard_db"] > 6
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, abs=1e-3, nan_ok=True), name
    assert scores.periods == (2, 4, 8)
    with pytest.raises(ValueError, match=r"^real images where compared=False said there are none"):
        CheckerboardScores((2,), compared=False).update(images, real=True)
