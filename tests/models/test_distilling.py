"""Distillation comes closer, keeps what it must, and leaves the nets it was given alone."""

import pytest
import torch
from torch import nn

import upzoo
from upzoo.distilling import distil


def small():
    torch.manual_seed(0)
    up = nn.ConvTranspose2d(4, 4, 3, 2, 1, 1)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), up, nn.Conv2d(4, 3, 3))


def test_a_corrected_net_comes_closer_and_stays_flat():
    net = small()
    x = torch.rand(40, 3, 12, 12)
    fixed, changes = upzoo.correct(net, example=x[:2])
    frozen = [c.name for c in changes]
    start = {k: v.clone() for k, v in fixed.state_dict().items()}
    better, told = distil(fixed, net, x, steps=80, frozen=frozen, lr=0.01)
    assert told.after < 0.97 * told.before  # the grid itself stays out
    assert torch.equal(better[2].weight, fixed[2].weight), "the levelled kernel is frozen"
    assert all(torch.equal(v, start[k]) for k, v in fixed.state_dict().items())
    assert torch.equal(better[1].running_mean, net[1].running_mean)
    assert net.training
    assert better.training
    assert all(p.grad is None for p in better.parameters())
    y = better.eval()(torch.full((1, 3, 24, 24), 0.5))[..., 8:-8, 8:-8]
    assert y.std((2, 3)).max() < 1e-5
    # the figures are what they say, on the batch that was held out
    with torch.no_grad():
        wanted = net.eval()(x[32:])
        error = (better(x[32:]) - wanted).norm() / wanted.norm()
    assert told.after == pytest.approx(error.item(), rel=1e-4)


def test_it_repeats_bit_for_bit():
    net = small().eval()
    student = nn.Sequential(*small()[:2], nn.Upsample(scale_factor=2), nn.Conv2d(4, 3, 3)).eval()
    x = torch.rand(4, 3, 8, 8)
    first, second = (distil(student, net, x, steps=5)[0].state_dict() for _ in range(2))
    assert all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        ([], {}, "images are empty"),
        (torch.rand(1, 3, 8, 8), {"steps": 0}, "steps=0: must be at least 1"),
        (torch.rand(1, 3, 8, 8), {"frozen": ["*"]}, "leaves nothing to train"),
    ],
)
def test_refusals(images, options, message):
    with pytest.raises(ValueError, match=message):
        distil(small(), small(), images, **options)


def test_outputs_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"the student gives .* the teacher"):
        distil(nn.Conv2d(3, 1, 1), nn.Conv2d(3, 2, 1), torch.rand(1, 3, 8, 8))
