"""The classifier, what its features take, and the shipped weights."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from upzoo import checkpoint, zoo
from upzoo.classifier import Classifier
from upzoo.digits import SHIPPED, DigitFeatures, load_features

SPEC = {"_target_": "models.classifier.Classifier", "num_classes": 10, "width": 4}


@pytest.fixture
def net():
    torch.manual_seed(0)
    net = Classifier(10, width=4)
    for _ in range(3):
        net(torch.randn(16, 1, 28, 28))
    return net.eval()


def blob(size, centre, sigma):
    """A Gaussian spot; positions and widths as shares of the sides."""
    profiles = [
        torch.exp(-(((torch.arange(side) + 0.5) / side - at) ** 2) / (2 * sigma**2))
        for side, at in zip(size, centre, strict=True)
    ]
    return torch.outer(*profiles)[None, None]


def test_logits_are_the_head_of_the_features(net):
    x = torch.randn(3, 1, 28, 28)
    features = net.features(x)
    assert features.shape == (3, 16)
    assert features.min() >= 0
    torch.testing.assert_close(net(x), features @ net.head.weight.T + net.head.bias)


def test_it_is_convolution_pooling_normalisation_and_rectifier(net):
    x = torch.randn(2, 1, 28, 28)
    convs = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    h = x
    for index, (conv, norm) in enumerate(zip(convs, norms, strict=True)):
        h = F.conv2d(h, conv.weight, padding=1)
        h = F.max_pool2d(h, 2) if index < 2 else h
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        h = (h - norm.running_mean[:, None, None]) * scale[:, None, None]
        h = (h + norm.bias[:, None, None]).clamp(min=0)
    assert h.shape == (2, 16, 7, 7)
    torch.testing.assert_close(net.features(x), h.mean((2, 3)))


def test_every_parameter_learns():
    net = Classifier(3, in_channels=2, width=4)
    F.cross_entropy(net(torch.randn(4, 2, 15, 9)), torch.tensor([0, 1, 2, 0])).backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.parameters())


@pytest.mark.parametrize("option", ["num_classes", "in_channels", "width"])
def test_bad_options_are_named(option):
    with pytest.raises(ValueError, match=f"model.{option}=0 must be an integer of at least 1"):
        Classifier(**{"num_classes": 10, option: 0})


def test_features_normalise_and_average_colours(net):
    images = torch.rand(3, 3, 28, 28)
    wrapped = DigitFeatures(net, mean=0.5, std=0.25)
    grey = images.sum(1, keepdim=True) / 3
    torch.testing.assert_close(wrapped(images), net.features((grey - 0.5) / 0.25))
    probabilities = wrapped.probabilities(images)
    torch.testing.assert_close(probabilities, net((grey - 0.5) / 0.25).softmax(1))
    assert wrapped.num_features == 16


def test_a_margin_of_two_is_cut_off(net):
    wrapped, images = DigitFeatures(net, 0.5, 0.5), torch.rand(2, 1, 28, 28)
    torch.testing.assert_close(wrapped(F.pad(images, (2, 2, 2, 2))), wrapped(images))


@pytest.mark.parametrize("size", [(56, 56), (64, 64), (33, 90)])
def test_larger_images_are_brought_to_size(net, size):
    wrapped = DigitFeatures(net, 0.5, 0.5)
    got, expected = (wrapped._prepare(blob(s, (0.4, 0.6), 0.15)) for s in (size, (28, 28)))
    assert got.shape == (1, 1, 28, 28)
    assert (got - expected).abs().mean() < 0.02


def test_antialiasing_leaves_a_fine_grid_grey(net):
    grid = torch.zeros(1, 1, 112, 112)
    grid[..., ::2, :] = 1
    prepared = DigitFeatures(net, 0.0, 1.0)._prepare(grid)[..., 1:-1, :]
    torch.testing.assert_close(prepared, torch.full_like(prepared, 0.5), atol=0.01, rtol=0)


def test_images_that_are_too_small_are_named(net):
    with pytest.raises(ValueError, match=r"images of 27×40 are too small: give 28 or more"):
        DigitFeatures(net, 0.5, 0.5)(torch.rand(1, 1, 27, 40))


def test_half_precision_files_load_as_float32(net, tmp_path):
    x = torch.rand(2, 1, 28, 28)
    expected = net.features((x - 0.5) / 0.25)
    folder = checkpoint.save(
        tmp_path / "m", net.half(), {"model": SPEC, "mean": [0.5], "std": [0.25]}
    )
    features = load_features(folder)
    assert {p.dtype for p in features.parameters()} == {torch.float32}
    assert not any(p.requires_grad for p in features.parameters())
    assert not features.training
    torch.testing.assert_close(features(x), expected, atol=0.01, rtol=0.01)


def test_other_models_are_refused(tmp_path):
    spec = {
        "_target_": "models.upsampling.Interpolate",
        "in_channels": 1,
        "out_channels": 1,
    }
    card = {"model": spec, "mean": [0.5], "std": [0.5]}
    folder = checkpoint.save(tmp_path / "m", checkpoint.build(spec), card)
    with pytest.raises(ValueError, match="no classifier of grey images"):
        load_features(folder)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_features(tmp_path / "nowhere")


def stroke(*points, side=28, width=1.6):
    """A digit drawn as a line through points (x, y) on a 28×28 grid."""
    y, x = torch.meshgrid(torch.arange(side) + 0.5, torch.arange(side) + 0.5, indexing="ij")
    nearest = torch.full((side, side), math.inf)
    for (ax, ay), (bx, by) in itertools.pairwise(points):
        dx, dy = bx - ax, by - ay
        t = (((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)).clamp(0, 1)
        nearest = torch.minimum(nearest, torch.hypot(x - ax - t * dx, y - ay - t * dy))
    return (1 + width - nearest).clamp(0, 1)[None, None]


def ring(cx, cy, rx, ry):
    angles = torch.linspace(0, 2 * math.pi, 25)
    return [(cx + rx * math.cos(a), cy + ry * math.sin(a)) for a in angles.tolist()]


DRAWN = {
    0: ring(14, 14, 5.5, 8),
    1: [(14, 5), (14, 23)],
    4: [(9, 5), (8, 14), (19, 14), (19, 5), (19, 23)],
    7: [(8, 6), (20, 6), (12, 23)],
}


@pytest.mark.parametrize("digit", DRAWN)
@pytest.mark.parametrize("side", [28, 32, 64])
def test_shipped_classifier_reads_drawn_digits(digit, side):
    image = stroke(*DRAWN[digit])
    if side == 32:
        image = F.pad(image, (2, 2, 2, 2))
    elif side == 64:
        image = F.interpolate(image, size=(64, 64), mode="bilinear", align_corners=False)
    probabilities = load_features().probabilities(image.expand(-1, 3, -1, -1))[0]
    assert probabilities.argmax().item() == digit
    assert probabilities[digit] > 0.8


def test_shipped_classifier_is_small_and_says_what_it_is():
    _, card = zoo.read(SHIPPED)
    assert (zoo.ROOT / SHIPPED / "model.safetensors").stat().st_size < 1e6
    assert "CC BY-SA 3.0" in card["data"]["licence"]
    assert card["metrics"]["test"]["accuracy"] >= 0.993
    assert card["command"] == "python train.py experiment=mnist_classifier data.root=PATH"
