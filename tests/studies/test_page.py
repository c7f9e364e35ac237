"""The study's page says what the records say: differences, fronts, correlations, by hand."""

import numpy as np
import pytest
from scipy import stats

from studies import answers as study_answers
from studies import page as study
from studies.answers import spearman
from tests.comparison.fabricated import write

FIXED, LEARNED = {"trainable": False}, {"trainable": True}


@pytest.fixture
def logs(tmp_path):
    """Three seeds: learning gains 2, 3 and 4 points of IoU; carafe leads, with a grid."""
    for seed in range(3):
        fixed = {"miou": 0.40 + seed / 100, "grid_db": 1.0}
        write(tmp_path, "bilinear_init", seed, fixed, upsample=FIXED)
        write(
            tmp_path, "bilinear_init", seed, {"miou": 0.42 + seed / 50, "grid_db": 0.5},
            upsample=LEARNED, created=f"2026-01-02T00:00:0{seed}+00:00",
        )  # fmt: skip
        carafe = {"miou": 0.60 + seed / 100, "grid_db": 8.0 + seed}
        write(tmp_path, "carafe", seed, carafe)
        write(tmp_path, "transposed_conv", seed, {"miou": 0.30 + seed / 100, "grid_db": 20.0})
        write(
            tmp_path, "resize_conv", seed, {"psnr": 20.0, "grid_db": 0.0}, model="deconvnet"
        )  # fmt: skip
    return tmp_path


def answered(logs):
    results, left_out = study.read(logs)
    assert not left_out
    return {answer.question: answer for answer in study_answers.answers(results)}


def test_learning_against_fixing(logs):
    answer = answered(logs)["Does learning a bilinear kernel help over fixing it?"]
    # three pairs on one side: the sign test gives 2 / 2³
    pairs = "ahead in 3 of 3 pairs (p = 0.25)"
    assert f"In quality, learned: better in 1 of 1 setting, {pairs};" in answer.short
    assert f"in the grid: no spread: no test in 1 of 1 setting, {pairs}" in answer.short
    # differences 2, 3, 4: mean 3, half the interval 4.303 · 1 / √3 = 2.5; t = 3√3, 2 degrees
    p = 2 * stats.t.sf(3 * np.sqrt(3), 2)
    assert f"Mean IoU, % +3.0 ± 2.5 (p = {p:.3f}, better)" in answer.evidence[0]


def test_the_front_and_the_choice(logs):
    found = answered(logs)
    front = found["Which operators are on the Pareto front for segmentation?"]
    assert "carafe (61.0, 9.0)" in front.evidence[0]
    assert "bilinear_init trainable=true (44.0, 0.5)" in front.evidence[0]
    assert "transposed_conv" not in front.evidence[0]
    # 4 arms: the best third are two, of which the learned bilinear kernel has the weaker grid:
    # 0.5 against 8, 9, 10, a difference of 8.5 ± 2.5
    choice = found["What would we tell a user to choose?"]
    assert "bilinear_init trainable=true for segmentation" in choice.short
    assert "carafe (1.0, 9.0 dB)" in choice.evidence[0]
    assert "from carafe" in choice.evidence[0]


def test_a_grid_that_is_not_certainly_stronger_does_not_decide(tmp_path):
    for seed, grid in enumerate((1.0, 9.0, 2.0)):
        write(tmp_path, "carafe", seed, {"miou": 0.60 + seed / 100, "grid_db": grid})
        write(tmp_path, "dysample", seed, {"miou": 0.50 + seed / 100, "grid_db": 0.0})
        for name in ("interpolate", "resize_conv"):
            write(tmp_path, name, seed, {"miou": 0.40, "grid_db": -9.0})
    choice = answered(tmp_path)["What would we tell a user to choose?"]
    assert choice.short.startswith("carafe for segmentation: ")


def test_equal_arms_share_a_rank(tmp_path):
    for name, miou in (("carafe", 0.6), ("dysample", 0.5), ("interpolate", 0.5), ("fade", 0.4)):
        write(tmp_path, name, 0, {"miou": miou, "grid_db": 0.0})
    results, _ = study.read(tmp_path)
    ranks = study_answers.mean_ranks(results)
    assert ranks == {"carafe": 1, "dysample": 2, "interpolate": 2, "fade": 4}


def test_what_no_group_can_answer_is_not_answered(logs):
    found = answered(logs)
    assert "Does the residual help?" not in found
    assert not any("Fréchet" in question for question in found)


def test_a_collapsed_net_is_left_out_of_the_correlation(tmp_path):
    names = ["bilinear_init", "carafe", "dysample", "resize_conv", "interpolate", "pixel_shuffle"]
    for seed in range(2):
        for place, name in enumerate(names):
            write(
                tmp_path, name, seed, {"fid": 10.0 - place, "grid_db": 1.0 + place}, model="dcgan"
            )
        write(tmp_path, "transposed_conv", seed, {"fid": 500.0, "grid_db": 90.0}, model="dcgan")
    found = answered(tmp_path)
    (answer,) = (a for q, a in found.items() if "Fréchet" in q)
    assert answer.short.startswith("Yes")
    assert "over 6 operators, without transposed_conv, which collapsed: −1.00" in answer.evidence[0]


def test_rank_correlation_is_scipys():
    random = np.random.default_rng(1)
    for _ in range(5):
        x, y = random.normal(size=(2, 9)).round(1)
        rho, p = spearman(x, y)
        assert rho == pytest.approx(stats.spearmanr(x, y).statistic)
        by_permutation = stats.permutation_test(
            (y,), lambda v, x=x: stats.spearmanr(x, v).statistic, permutation_type="pairings",
            n_resamples=2000, rng=0,
        ).pvalue  # fmt: skip
        assert p == pytest.approx(by_permutation, abs=0.04)


def test_the_page_holds_every_arm(logs, tmp_path):
    results, left_out = study.read(logs)
    text = study.page(results, left_out, tmp_path)
    assert "15 trainings" in text
    assert "| carafe | ★ | 3 | 61.0 ± 2.5 |" in text
    assert "| **bilinear_init** | **** |" not in text
    assert "## DeconvNet on shapes" in text
    assert "](figures/" not in text
    for result in results:
        study.draw(result, tmp_path)
    assert "](figures/study-fcn8s-shapes-front.png)" in study.page(results, left_out, tmp_path)


def test_the_overview_stands_between_its_marks(logs):
    results, _ = study.read(logs)
    lines = study.overview(results)
    assert lines[2].startswith(
        "* **Choose `bilinear_init trainable=true` for segmentation "
        "(mean rank 2.0 of 4, grid 0.5 dB)**"
    )
    assert lines[3] == (
        "* Learning a bilinear kernel instead of fixing it: quality better in 1 of 1 setting, "
        "grid no spread: no test in 1 of 1 setting."
    )
    assert not any("Pareto" in line for line in lines)
    header = "| operator | FCN-8s on shapes: ↑ Mean IoU, % (↓ Grid, dB) | DeconvNet on shapes: "
    assert any(line.startswith(header) for line in lines)
    assert "| carafe | **61.0** (9.0) | – |" in lines
    assert "| transposed_conv | 31.0 (20.0) | – |" in lines
    assert "| resize_conv | – | **20.00** (0.0) |" in lines
    marks = f"a\n{study.BEGIN}\nold\n{study.END}\nb"
    text = study.between(marks, lines)
    assert "old" not in text
    assert text.startswith("a\n")
    assert study.between(text, lines) == text
    with pytest.raises(ValueError, match="lacks the lines"):
        study.between("a", lines)
