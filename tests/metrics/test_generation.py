"""Scores of generated images: closed forms of the distances, and how the shell feeds them."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import nn

from upzoo.metrics.generation import (
    GenerationScores,
    frechet_distance,
    inception_features,
    kernel_distance,
)
from upzoo.metrics.precision_recall import precision_recall

SMALL = {"patches": 8, "directions": 8, "kid_subsets": 4, "kid_subset_size": 10}


class Features(nn.Module):
    """Mean and some pixels, by weights that tests can look for."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))
        self.norm = nn.BatchNorm1d(5)

    def forward(self, images):
        pixels = images[:, 0, 10, 10:14]
        return self.weight * torch.cat([images.mean((1, 2, 3))[:, None], pixels], dim=1)


def batches(seed, channels=1, side=28, count=3):
    g = torch.Generator().manual_seed(seed)
    return [torch.rand(8, channels, side, side, generator=g) for _ in range(count)]


def filled(scores, real, fake):
    for images in real:
        scores.update(images, real=True)
    for images in fake:
        scores.update(images, real=False)
    return scores


def test_frechet_distance_is_its_formula():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(80, 5)), rng.normal(size=(70, 5)) @ rng.normal(size=(5, 5)) + 0.3
    means, covs = [x.mean(0) for x in (a, b)], [np.cov(x.T) for x in (a, b)]
    expected = np.sum((means[0] - means[1]) ** 2) + np.trace(
        covs[0] + covs[1] - 2 * sqrtm(covs[0] @ covs[1]).real
    )
    ours = frechet_distance(torch.tensor(a), torch.tensor(b))
    assert ours.item() == pytest.approx(expected, rel=1e-8)


def test_kernel_distance_of_whole_sets_is_its_formula():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(30, 4)), rng.normal(0.5, 1, size=(30, 4))

    def mean_kernel(x, y, without_diagonal):
        k = (x @ y.T / 4 + 1) ** 3
        return (k.sum() - np.trace(k)) / (30 * 29) if without_diagonal else k.mean()

    expected = mean_kernel(a, a, True) + mean_kernel(b, b, True) - 2 * mean_kernel(a, b, False)
    ours = kernel_distance(torch.tensor(a), torch.tensor(b), subsets=2, subset_size=30)
    assert ours.item() == pytest.approx(expected, rel=1e-8)


def test_kernel_distance_repeats_and_leaves_the_random_state_alone():
    a, b = (torch.randn(50, 4, generator=torch.Generator().manual_seed(i)) for i in (0, 1))
    before = torch.get_rng_state()
    values = [kernel_distance(a, b, 3, 10, seed=s).item() for s in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    assert values[0] == values[1] != values[2]


@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 32)])
def test_scores_are_those_of_the_features_of_all_batches(channels, side):
    real, fake, extract = batches(0, channels, side), batches(1, channels, side), Features()
    scores = filled(GenerationScores(extract, **SMALL), real, fake).compute()
    with torch.no_grad():
        a, b = extract(torch.cat(real)), extract(torch.cat(fake))
    precision, recall = precision_recall(a, b, 3)
    assert scores["fid"].item() == pytest.approx(frechet_distance(a, b).item(), rel=1e-5)
    assert scores["kid"] == kernel_distance(a, b, 4, 10)
    assert (scores["precision"], scores["recall"]) == (precision, recall)
    sides = {f"swd_{side}", f"swd_{side // 2}"}
    assert set(scores) == {"swd", "fid", "kid", "precision", "recall"} | sides
    assert all(value.ndim == 0 for value in scores.values())


def test_equal_sets_have_no_distance():
    images = batches(0)
    scores = filled(GenerationScores(Features(), **SMALL), images, images).compute()
    assert scores["swd"] == 0
    assert scores["fid"].abs() < 1e-5
    assert scores["precision"] == scores["recall"] == 1


def test_without_features_the_patches_are_left():
    scores = filled(GenerationScores(None, **SMALL), batches(0), batches(1)).compute()
    assert list(scores) == ["swd", "swd_28", "swd_14"]


def test_a_function_serves_as_features():
    scores = GenerationScores(lambda images: images.flatten(1)[:, :6], **SMALL)
    assert filled(scores, batches(0), batches(1)).compute()["fid"] > 0


class Classes(nn.Module):
    """Features are an image's first three pixels, and their softmax the classes."""

    def forward(self, images):
        return images[:, 0, 0, :3]

    def classify(self, features):
        return features.softmax(1)


def test_a_classifier_tells_its_confidence_and_which_classes_are_drawn():
    real = torch.rand(400, 1, 28, 28)
    fake = torch.zeros(400, 1, 28, 28)
    fake[:397, 0, 0, 0] = 1.0  # of class 0
    fake[397:, 0, 0, 1] = 1.0  # of class 1, but below 1 % of all; none of class 2
    scores = filled(GenerationScores(Classes(), **SMALL), [real], [fake]).compute()
    # softmax of (1, 0, 0)
    assert scores["confidence"].item() == pytest.approx(np.e / (np.e + 2), rel=1e-6)
    assert scores["classes_drawn"].item() == 1
    scores = filled(GenerationScores(Classes(), **SMALL), [real], [fake[390:]]).compute()
    assert scores["classes_drawn"].item() == 2
    assert (
        "confidence" not in filled(GenerationScores(Features(), **SMALL), [real], [fake]).compute()
    )


def test_a_module_is_used_in_evaluation_mode_and_stays_out_of_the_state():
    extract = Features().train()
    scores = filled(GenerationScores(extract, **SMALL), batches(0), batches(1))
    assert not extract.training
    assert not list(scores.parameters())
    assert not scores.state_dict()
    assert not scores.real_features[0].requires_grad


def test_features_are_extracted_in_float32_under_autocast():
    seen = []

    def extract(images):
        seen.append((images.dtype, (images[:, 0] @ images[:, 0]).dtype))
        return images.flatten(1)[:, :6]

    scores = GenerationScores(extract, **SMALL)
    with torch.autocast("cpu", torch.bfloat16):
        scores.update(batches(0)[0].bfloat16(), real=True)
    assert seen == [(torch.float32, torch.float32)]


def test_patches_are_cut_and_compared_in_float32_under_autocast():
    real, fake = batches(0), batches(1)
    expected = filled(GenerationScores(None, **SMALL), real, fake).compute()
    with torch.autocast("cpu", torch.bfloat16):
        assert filled(GenerationScores(None, **SMALL), real, fake).compute() == expected


def test_reset_forgets_every_image():
    scores = filled(GenerationScores(Features(), **SMALL), batches(2), batches(3, channels=3)[:0])
    scores.reset()
    fresh = GenerationScores(Features(), **SMALL)
    first, second = (filled(s, batches(0), batches(1)).compute() for s in (scores, fresh))
    assert first == second


def test_two_processes_score_as_one():
    first, second, whole = (GenerationScores(Features(), **SMALL) for _ in range(3))
    filled(first, batches(0), batches(1))
    filled(second, batches(2), batches(3))
    filled(whole, batches(0) + batches(2), batches(1) + batches(3))
    for ours, theirs in ((first, second), (first.swd, second.swd)):
        states = (getattr(theirs, name) for name in theirs._reductions)
        others = iter([torch.cat(s) if isinstance(s, list) else s for s in states])
        ours.distributed_available_fn = lambda: True
        ours.dist_sync_fn = lambda state, group=None, others=others: [state, next(others)]
    got, expected = first.compute(), whole.compute()
    for name in ("fid", "precision", "recall"):
        assert got[name].item() == pytest.approx(expected[name].item(), rel=1e-5)


@pytest.mark.parametrize(
    ("images", "features", "message"),
    [
        (torch.rand(2, 1, 28, 28) * 2 - 1, None, r"images range from -.* bring them to \[0, 1\]"),
        (torch.full((2, 1, 28, 28), 255.0), None, "images range from 255 to 255"),
        (torch.full((2, 1, 28, 28), torch.nan), None, "range from nan"),
        (torch.rand(2, 1, 28, 28), lambda x: x, r"features \(2, 1, 28, 28\) of 2 images"),
    ],
)
def test_bad_images_and_features_are_named(images, features, message):
    with pytest.raises(ValueError, match=message):
        GenerationScores(features, **SMALL).update(images, real=True)


@pytest.mark.parametrize("option", ["k", "kid_subsets", "kid_subset_size", "patches", "capacity"])
def test_bad_options_are_named(option):
    with pytest.raises(ValueError, match=f"{option}=0 must be"):
        GenerationScores(None, **{option: 0})


def test_inception_gets_bytes_in_colour(monkeypatch):
    class Net(nn.Module):
        def __init__(self, name, layers):
            super().__init__()
            self.layers = layers

        def forward(self, x):
            assert x.dtype == torch.uint8
            return x.flatten(1).float()

    monkeypatch.setattr("upzoo.metrics.generation.NoTrainInceptionV3", Net)
    out = inception_features()(torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1, 1))
    assert out.tolist() == [[0] * 3, [128] * 3, [255] * 3]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ModuleNotFoundError("x"), "install it with `pip install torch-fidelity`; or take a"),
        (OSError("no route\nto host"), r"could not be fetched \(no route to host\)"),
    ],
)
def test_without_inception_one_line_says_what_to_do(monkeypatch, error, message):
    def refuse(name, layers):
        raise error

    monkeypatch.setattr("upzoo.metrics.generation.NoTrainInceptionV3", refuse)
    with pytest.raises(ValueError, match=message) as caught:
        inception_features()
    assert "\n" not in str(caught.value)
