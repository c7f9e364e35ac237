"""Artifacts of tasks: known grids are found, nothing is disturbed, curves and records hold them."""

from types import SimpleNamespace

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from panels.artifacts import artifact_panels
from runs import records
from tasks.artifacts import examine
from tasks.classification import Classification
from tasks.generation import Generation
from tasks.reconstruction import Reconstruction
from upzoo.base import Net
from upzoo.dcgan import DCGAN
from upzoo.upsampling import OPERATORS

DATA = SimpleNamespace(mean=(0.5,), std=(0.5,), in_channels=1, name="d", size=(64, 64))


class Copy(Net):
    """Gives its input back, with a checkerboard on top."""

    def __init__(self, amplitude):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))
        self.amplitude = amplitude

    def forward(self, x):
        rows, columns = (torch.arange(n) for n in x.shape[2:])
        return self.gain * x + self.amplitude * (-1.0) ** (rows[:, None] + columns)


def smooth_images(count=40):
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(count, 1, 64, 64, generator=generator)
    blurred = nn.functional.avg_pool2d(noise, 5, 1, 2)
    return [{"image": image.clamp(-1, 1)} for image in blurred]


def test_a_grid_in_reconstructions_is_found_and_none_in_copies():
    samples = smooth_images()
    clean = examine(Reconstruction(Copy(0.0), DATA), samples)
    assert clean.headlines["checkerboard_db"] == pytest.approx(0, abs=1e-3)
    assert clean.words.startswith("pictures: no checkerboard")
    assert clean.headlines["sharpness_db"] == pytest.approx(0, abs=1e-3)
    found = examine(Reconstruction(Copy(0.1), DATA), samples)
    assert found.headlines["checkerboard_db"] > 15
    assert "checkerboard at period 2" in found.words
    assert "mostly additive" in found.words
    # half the amplitude in [0, 1], against the spread of the images there
    spread = torch.cat([found.pictures["real"]]).var((1, 2, 3)).mean().sqrt()
    share = found.details["pictures/period2_phase_mean"]
    assert share == pytest.approx(0.05 / spread, rel=0.25)


def generation(operator, **options):
    torch.manual_seed(0)
    cls = OPERATORS[operator]
    net = DCGAN(lambda a, b, s: cls(a, b, s, **options), 1, (32, 32), latent=8, width=4)
    return Generation(net, DATA)


def test_a_generator_is_told_by_its_kernels():
    samples = [{"image": s["image"][:, :32, :32]} for s in smooth_images(16)]
    uneven = examine(generation("transposed_conv", kernel=3), samples)
    even = examine(generation("smooth_transposed"), samples)
    assert set(uneven.headlines) >= {"ripple", "response", "checkerboard_db", "gradient_ratio"}
    assert uneven.headlines["ripple"] > 0.5
    assert even.headlines["response"] < 1e-4 < uneven.headlines["response"]
    assert "whose DC gains differ by" in uneven.words


def test_nothing_is_disturbed():
    task = generation("transposed_conv").train()
    before = {k: v.clone() for k, v in task.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    examine(task, [{"image": s["image"][:, :32, :32]} for s in smooth_images(4)])
    assert torch.equal(torch.rand(3), expected)
    assert task.training
    assert all(torch.equal(v, before[k]) for k, v in task.state_dict().items())
    assert all(p.grad is None for p in task.parameters())


def test_a_net_without_pictures_has_none():
    task = Classification(nn.Flatten(), SimpleNamespace(classes=("a", "b"), name="d", masked=False))
    assert examine(task, smooth_images(2)) is None


def test_panels_are_pictures():
    samples = [{"image": s["image"][:, :32, :32]} for s in smooth_images(4)]
    task = generation("transposed_conv", kernel=3)
    found = examine(task, samples)
    panels = artifact_panels(task.net, found.report, found.pictures, found.periods)
    assert set(panels) == {"audit", "spectrum", "phases", "overlap", "step"}
    for panel in panels.values():
        assert panel.dtype == torch.uint8
        assert panel.shape[0] == 3
        assert panel.float().std() > 1


def test_a_run_logs_them_from_step_0_and_records_them(trained):
    scores = records.read(trained / "record.json").metrics["test"]
    assert scores["response"] >= 0
    assert scores["artifacts_in_words"].startswith("pictures: ")
    assert "pictures/period2_peak_excess_db" in scores["artifacts"]
    events = EventAccumulator(str(trained)).Reload()
    assert [e.step for e in events.Scalars("8_artifacts/response")] == [0, 3, 6]
    assert [e.step for e in events.Images("8_artifacts/audit")] == [0, 6]
