"""Figures of shifts and grids on nets whose answers are known."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from tasks import invariance
from tasks.reconstruction import Reconstruction
from tasks.segmentation import Segmentation
from tasks.super_resolution import SuperResolution
from upzoo.base import Net
from upzoo.bicubic import enlarge
from upzoo.upsampling import BilinearInit


class Pointwise(Net):
    """Labels each pixel by its own colour."""

    label, takes, makes = "pointwise", "images", "logits"

    def forward(self, x: Tensor) -> Tensor:
        return x


class Striped(Net):
    """The same with a grid of period 8 on one class."""

    label, takes, makes = "striped", "images", "logits"

    def forward(self, x: Tensor) -> Tensor:
        stripes = 4.0 * ((torch.arange(x.shape[-1]) % 8 == 0).float() - 1 / 8)
        return torch.cat((x[:, :1] + stripes, x[:, 1:]), dim=1)


def labels(net: nn.Module) -> Segmentation:
    data = SimpleNamespace(classes=("a", "b", "c"), ignore_index=255)
    return Segmentation(net, data).eval()


def scenes(count: int = 2) -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(count, 3, 96, 104, generator=generator)
    return [{"image": image, "mask": image.argmax(0)} for image in images]


@pytest.fixture(autouse=True)
def _eight(monkeypatch):
    monkeypatch.setattr(invariance, "periods_and_controls", lambda net: [8, 9])


def test_a_pointwise_net_is_consistent_and_has_no_grid():
    found = invariance.of_labels(labels(Pointwise()), scenes())
    assert found["shift_consistency"] == 1
    # noise has a mean at every phase by chance, at one period as at the other
    for figures in found["periodic"].values():
        assert 0 < figures["labels_flipped"] < 0.15
        assert figures["miou_without_grid"] == pytest.approx(
            -2 * figures["labels_flipped"], rel=0.2
        )


def test_a_grid_shows_at_its_period_and_not_at_the_control():
    found = invariance.of_labels(labels(Striped()), scenes())
    assert found["shift_consistency"] < 0.98  # the stripes stay where the scene moves
    own, control = found["periodic"]["8"], found["periodic"]["9"]
    assert own["miou_without_grid"] > 0.2
    assert own["labels_flipped"] > 0.2
    assert abs(control["miou_without_grid"]) < 0.1


def test_the_same_seed_gives_the_same_shifts():
    first, again, other = (
        invariance.of_labels(labels(Striped()), scenes(), seed)["shift_consistency"]
        for seed in (0, 0, 1)
    )
    assert first == again != other


def test_periods_are_those_of_the_operators_each_with_a_control(monkeypatch):
    monkeypatch.undo()
    net = nn.ModuleList(BilinearInit(1, 1, scale) for scale in (2, 2, 8))
    assert invariance.periods_and_controls(net) == [8, 9, 32, 33]
    assert invariance.periods_and_controls(BilinearInit(1, 1, 3)) == [3, 4]
    assert invariance.periods_and_controls(nn.Identity()) == []


class Bicubic(Net):
    label, takes, makes = "bicubic", "images", "images"
    scale = 2
    gain = 0.0

    def forward(self, x: Tensor) -> Tensor:
        y = enlarge(x, 2)
        y[..., ::2, ::2] += self.gain
        return y


def pictures(net: nn.Module) -> float:
    data = SimpleNamespace(mean=(0.0,), std=(1.0,), size=(48, 48), scale=2, in_channels=1)
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(60.0), indexing="ij")
    image = 0.5 + 0.2 * torch.sin(y / 9) * torch.cos(x / 7)
    samples = [{"image": image[None, ::2, ::2], "target": image[None]}] * 4
    task = SuperResolution(net, data).eval()
    return invariance.of_pictures(task, samples)["shift_equivariance"]


def test_a_smooth_scene_is_enlarged_alike_wherever_it_lies_but_for_a_grid():
    plain, striped = Bicubic(), Bicubic()
    striped.gain = 0.1
    assert pictures(plain) > 60
    # a quarter of the pixels is .1 too bright: at most 10·log₁₀(1 / (.01 / 2)) dB where it moves
    assert 20 < pictures(striped) < 35


class Copy(Net):
    label, takes, makes = "copy", "images", "images"

    def forward(self, x: Tensor) -> Tensor:
        return x.clone()


def test_shifts_of_small_images_leave_something_that_both_windows_show():
    data = SimpleNamespace(mean=(0.0,), std=(1.0,), size=(64, 64), scale=1, in_channels=1)
    task = Reconstruction(Copy(), data).eval()
    generator = torch.Generator().manual_seed(0)
    samples = [{"image": torch.rand(1, 64, 64, generator=generator)} for _ in range(8)]
    found = invariance.of_pictures(task, samples)["shift_equivariance"]
    assert found == float("inf")  # a copy shifts exactly
