"""Precision and recall of manifolds: against a plain restatement, and where the answer is known."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from upzoo.metrics import precision_recall as module
from upzoo.metrics.precision_recall import neighbour_radii, precision_recall


def gaussian(count, mean=0.0, std=1.0, seed=0, dims=6):
    return np.random.default_rng(seed).normal(mean, std, (count, dims))


def reference(real, fake, k):
    """Share of `fake` within k-th neighbours' distance of some `real`, point by point."""

    def covered(points, centres):
        radii = [sorted(cdist([c], centres)[0])[k] for c in centres]
        inside = [any(cdist([p], centres)[0] <= radii) for p in points]
        return np.mean(inside)

    return covered(fake, real), covered(real, fake)


@pytest.mark.parametrize("k", [1, 3])
def test_agrees_with_a_plain_restatement(k, monkeypatch):
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 7)
    real, fake = gaussian(60), gaussian(45, mean=0.5, std=1.3, seed=1)
    ours = precision_recall(torch.tensor(real), torch.tensor(fake), k)
    expected = reference(real, fake, k)
    assert [v.item() for v in ours] == pytest.approx(expected, abs=1e-6)
    assert 0.1 < min(expected) < max(expected) < 0.95, "values this extreme would test nothing"


def test_equal_sets_are_fully_precise_and_covered():
    points = torch.tensor(gaussian(200)).float() + 1000  # far off: rounding must not matter
    assert [v.item() for v in precision_recall(points, points.clone())] == [1, 1]


def test_distant_sets_share_nothing():
    real, fake = torch.tensor(gaussian(50)), torch.tensor(gaussian(50, mean=50))
    assert [v.item() for v in precision_recall(real, fake)] == [0, 0]


def test_a_collapsed_generator_is_precise_but_covers_little():
    real = torch.tensor(gaussian(300))
    fake = real.mean(dim=0) + 0.01 * torch.tensor(gaussian(300, seed=1))
    precision, recall = precision_recall(real, fake)
    assert precision == 1
    assert recall < 0.05


def test_a_generator_that_sees_one_mode_of_two_covers_half():
    modes = [torch.tensor(gaussian(200, mean=m, seed=i)) for i, m in enumerate((-20, 20, 20))]
    precision, recall = precision_recall(torch.cat(modes[:2]), modes[2])
    assert precision > 0.8
    assert 0.4 < recall < 0.5


def test_radius_is_the_distance_to_the_kth_other_point():
    points = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
    assert neighbour_radii(points, 1).tolist() == [1, 1, 2, 4]
    assert neighbour_radii(points, 2).tolist() == [3, 2, 3, 6]


@pytest.mark.parametrize(
    ("real", "fake", "k", "message"),
    [
        ((5, 2), (5, 3), 3, r"\(5, 2\) and \(5, 3\) must be"),
        ((5, 2), (3, 2), 3, "k=3 neighbours do not fit 5 real and 3 generated"),
        ((5, 2), (5, 2), 0, "k=0 neighbours"),
    ],
)
def test_bad_input_is_named(real, fake, k, message):
    with pytest.raises(ValueError, match=message):
        precision_recall(torch.rand(real), torch.rand(fake), k)
