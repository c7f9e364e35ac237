"""Which layers a correction finds, by the run, and what it leaves."""

import math

import pytest
import torch
from torch import nn

import upzoo
from upzoo.audit.correction import correct, output_change


class SubPixel(nn.Module):
    """A block as in SRGAN: an activation lies between, and the shuffle is shared by both steps."""

    def __init__(self, norm=lambda layer: layer):
        super().__init__()
        self.shuffle = nn.PixelShuffle(2)
        self.act = nn.PReLU()
        self.decoy = nn.Conv2d(3, 16, 3, padding=1)  # registered, and never run
        self.head = norm(nn.Conv2d(3, 16, 3, padding=1))
        self.second = nn.Conv2d(4, 16, 3, padding=1)
        self.tail = nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, x):
        x = self.act(self.shuffle(self.head(x)))
        return self.tail(self.shuffle(self.second(x)))


class WithGap(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 4, 1, stride=2)
        self.again = nn.ConvTranspose2d(4, 3, 3, stride=2)

    def forward(self, x):
        return self.again(self.up(x))


@pytest.mark.parametrize("norm", [lambda c: c, nn.utils.parametrizations.weight_norm])
def test_the_pair_is_the_one_that_ran(norm):
    torch.manual_seed(0)
    net = SubPixel(norm).eval()
    x = torch.rand(1, 3, 48, 48)
    fixed, changes = correct(net, example=x)
    named = {c.name: c for c in changes}
    assert {"head", "second"} <= named.keys()
    assert all(named[n].after < 1e-6 < named[n].before for n in ("head", "second"))
    constant = torch.full((1, 3, 32, 32), 0.7)
    inner = ..., slice(24, -24), slice(24, -24)
    with torch.no_grad():
        assert fixed(constant)[inner].std((2, 3)).max() < 1e-6
        assert net(constant)[inner].std((2, 3)).max() > 1e-3
    assert torch.equal(fixed.decoy.weight, net.decoy.weight)
    assert fixed.state_dict().keys() == net.state_dict().keys()


def test_one_layer_without_a_way_does_not_stop_the_rest():
    torch.manual_seed(0)
    fixed, changes = correct(WithGap(), example=torch.rand(1, 3, 32, 32))
    named = {c.name: c for c in changes}
    assert "reached by no tap" in named["up"].skipped
    assert named["again"].skipped is None
    assert named["again"].after < 1e-6
    assert fixed.again.weight.shape == (4, 3, 3, 3)


def test_the_report_may_be_at_hand():
    torch.manual_seed(0)
    net = nn.Sequential(nn.ConvTranspose2d(1, 4, 3, stride=2)).eval()
    report = upzoo.audit(net, torch.rand(1, 1, 32, 32))
    _, (change,) = upzoo.correct(net, report, keep="mean")
    assert change.after < 1e-6
    with pytest.raises(ValueError, match="the report has '0', which ReLU has not"):
        upzoo.correct(nn.ReLU(), report)
    with pytest.raises(ValueError, match="keep='all': choose from weights, mean"):
        upzoo.correct(net, report, keep="all")


def test_the_change_of_the_output_in_decibels():
    torch.manual_seed(0)
    old, new = nn.Conv2d(3, 1, 1), nn.Conv2d(3, 1, 1)
    new.load_state_dict(old.state_dict())
    x = torch.rand(2, 3, 16, 16)
    assert output_change(old, new, x) == math.inf
    new.bias.data += 0.1
    y = old(x).detach().double()
    expected = 10 * math.log10((y - y.mean((2, 3), keepdim=True)).square().mean().item() / 0.01)
    assert output_change(old, new, x) == pytest.approx(expected, abs=1e-3)
