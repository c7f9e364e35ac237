"""The bootstrap over seeds and images: spreads that are known, scores equal to torch's."""

import numpy as np
import pytest
import torch

from comparison.resampling import draw, interval, mean_iou, mean_of, ratio
from upzoo.metrics import segmentation


def test_of_an_additive_table_both_variances_add_up():
    rng = np.random.default_rng(0)
    seeds, images = rng.normal(0, 1, size=5), rng.normal(0, 4, size=60)
    values = seeds[:, None] + images
    drawn = draw(mean_of(values), ratio, draws=20_000)
    # drawing n of n with replacement: variance of the mean is that of the population over n
    assert drawn.var() == pytest.approx(seeds.var() / 5 + images.var() / 60, rel=0.04)
    assert drawn.mean() == pytest.approx(values.mean(), abs=0.02)


def test_one_seed_leaves_the_images_and_one_image_the_seeds():
    values = np.random.default_rng(1).normal(size=(4, 30))
    one_seed = draw(mean_of(values[:1]), ratio, draws=20_000)
    assert one_seed.var() == pytest.approx(values[0].var() / 30, rel=0.04)
    one_image = draw(mean_of(values[:, :1]), ratio, draws=20_000)
    assert one_image.var() == pytest.approx(values[:, 0].var() / 4, rel=0.04)


def test_draws_are_paired_between_variants():
    values = np.random.default_rng(2).normal(size=(3, 20))
    gain = draw(mean_of(values + 1), ratio) - draw(mean_of(values), ratio)
    assert gain == pytest.approx(np.ones(2000))


def test_images_without_a_value_are_left_out():
    values = np.array([[1.0, np.nan, 3.0]])
    sums = {name: array.sum(1) for name, array in mean_of(values).items()}
    assert ratio(sums).tolist() == [2.0]


def test_mean_iou_is_that_of_the_confusion_matrix():
    generator = torch.Generator().manual_seed(0)
    preds, target = torch.randint(4, (2, 6, 9, 9), generator=generator)
    counts = segmentation.ClassCounts(num_classes=5)  # the last class is nowhere
    counts.update(preds, target)
    sums = {name: value.sum(0).numpy()[None] for name, value in counts.compute().items()}
    expected = segmentation.mean_iou(segmentation.confusion_matrix(preds, target, 5))
    assert mean_iou(sums)[0] == pytest.approx(expected.item(), rel=1e-6)


def test_every_image_drawn_once_is_the_score_itself():
    figures = {name: np.full((2, 1, 3), 4.0) for name in ("hits", "truth", "predicted")}
    assert draw(figures, mean_iou, draws=10) == pytest.approx(np.ones(10))


def test_the_interval_is_the_middle():
    assert interval(np.arange(1001.0)) == pytest.approx((25, 975))


def test_figures_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="each needs the same, one or more"):
        draw({"a": np.ones((2, 3)), "b": np.ones((2, 4))}, ratio)
    with pytest.raises(ValueError, match="each needs the same, one or more"):
        draw(mean_of(np.ones((2, 0))), ratio)
