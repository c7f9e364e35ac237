"""One pass scores and looks at pictures; neither keeps them."""

from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import DataLoader

from runs import costs
from tasks import scoring
from tasks.artifacts import Pictures
from tasks.scoring import measure_artifacts, pictures_of, score
from tasks.segmentation import Segmentation
from upzoo.base import Net
from upzoo.metrics.checkerboard.scores import CheckerboardScores
from upzoo.upsampling import OPERATORS

DATA = SimpleNamespace(classes=("a", "b", "c"), ignore_index=255, trainer=None)


class Doubling(Net):
    """An operator alone, after a convolution that halves."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.down = torch.nn.Conv2d(3, 3, 2, 2)
        self.up = OPERATORS["transposed_conv"](3, 3, 2)
        self.passes = 0

    def forward(self, x):
        self.passes += 1
        return self.up(self.down(x))


@pytest.fixture
def scored():
    generator = torch.Generator().manual_seed(0)
    samples = [
        {
            "image": torch.randn(3, 32, 48, generator=generator),
            "mask": torch.randint(0, 3, (32, 48), generator=generator),
        }
        for _ in range(6)
    ]
    data = SimpleNamespace(
        prepared=lambda split: samples,
        eval_dataloader=lambda split, size=None: DataLoader(samples, size or 2),
        **vars(DATA),
    )
    return Segmentation(Doubling(), DATA), data, samples


def options():
    return SimpleNamespace(accelerator="cpu", limit_val_batches=1.0, limit_test_batches=1.0)


def test_scores_and_artifacts_share_one_pass(scored, capsys):
    task, data, samples = scored
    pictures = pictures_of(task, 5)
    metrics, _ = score(options(), task, data, ["val"], {"val": pictures})
    assert task.net.passes == 3, "a pass for each batch"
    assert capsys.readouterr().out == "scoring val: 6 images\n"
    assert 0 <= metrics["val"]["miou"] <= 1
    expected = CheckerboardScores((2, 4, 8))
    with torch.no_grad():
        expected.update(task(torch.stack([s["image"] for s in samples[:5]])), real=False)
    assert pictures.compute()["checkerboard_db"] == pytest.approx(
        expected.compute()["checkerboard_db"], abs=1e-3
    )
    figures = measure_artifacts(task, data, "val", 5, pictures)
    assert figures["checkerboard_db"] == pictures.compute()["checkerboard_db"]
    assert figures["response"] > 0


def test_large_images_are_scored_one_by_one_with_the_same_scores(scored, monkeypatch):
    task, data, _ = scored
    together, _ = score(options(), task, data, ["val"], progress=False)
    monkeypatch.setattr(scoring, "LARGE", 32 * 48 - 1)
    alone, _ = score(options(), task, data, ["val"], progress=False)
    assert task.net.passes == 3 + 6
    names = ("miou", "boundary_f1", "boundary_iou")
    for name in names:
        assert alone["val"][name] == pytest.approx(together["val"][name], abs=1e-6)


def test_pictures_are_counted_and_those_of_another_size_left_out():
    pictures = Pictures((2, 4, 16), 4)
    noise = torch.randn(3, 1, 40, 32, generator=torch.Generator().manual_seed(0))
    for made in (noise, noise[..., :16], noise):
        pictures.add(made, None)
    assert pictures.periods == (2, 4), "16 needs 64 pixels"
    assert pictures.seen == 4
    expected = CheckerboardScores((2, 4))
    expected.update(noise, real=False)
    assert pictures.compute()["checkerboard_db"] == pytest.approx(
        expected.compute()["checkerboard_db"]
    )
    assert pictures.kept == {}


def test_nothing_is_looked_at_where_none_is_asked_for(scored):
    task, data, _ = scored
    assert pictures_of(task, 0) is None
    assert measure_artifacts(task, data, "val", 0, None) == {}


def test_the_operators_share_of_a_pass(scored):
    task, _, _ = scored
    net = task.net
    # 3 × 3 channels, 4 taps of each output pixel at scale 2 by a 4×4 kernel
    taps = net.up.weight.shape[-1] ** 2 / 4 if hasattr(net.up, "weight") else None
    flops = costs.of_upsampling(net, (3, 32, 48))
    assert 0 < flops < costs.of_net(net, (3, 32, 48))["flops_forward"]
    if taps is not None:
        assert flops == 2 * 9 * taps * 32 * 48
