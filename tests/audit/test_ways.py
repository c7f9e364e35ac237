"""Every way to enlarge a map is found or bracketed, in a module or in the net's own forward."""

import pytest
import torch
from torch import nn

from tests.audit.ways import WAYS
from upzoo.audit import audit


class Doubling(nn.Module):
    def __init__(self, way):
        super().__init__()
        self.way = way

    def forward(self, x):
        return self.way(x)


class Net(nn.Module):
    def __init__(self, way, inline):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.up = way if inline else Doubling(way)
        self.head = nn.Conv2d(4, 3, 1)

    def forward(self, x):
        return self.head(self.up(self.stem(x)))


def truth(net, period=2):
    """Phase means of the output, over 200 pictures and away from the border."""
    x = torch.rand(200, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        y = net(x)[..., 16:48, 16:48].mean(0)
    means = y.unflatten(-1, (-1, period)).unflatten(-3, (-1, period)).mean((-2, -4))
    return (means.std((-2, -1)) / means.mean((-2, -1)).abs()).max()


@pytest.mark.parametrize("inline", [True, False], ids=["inline", "module"])
@pytest.mark.parametrize("way", WAYS)
def test_found_or_bracketed(way, inline):
    torch.manual_seed(0)
    net = Net(WAYS[way], inline)
    with torch.no_grad():  # trained, as it were: channels of all sizes
        net.stem.weight *= torch.tensor([0.2, 1.0, 3.0, 0.5]).view(-1, 1, 1, 1)
        net.head.weight *= torch.tensor([3.0, 0.3, 1.0]).view(-1, 1, 1, 1)
    assert truth(net) > 0.05
    report = audit(net, 1 + torch.rand(1, 3, 48, 48))
    assert report.verdict == "checkerboard", str(report)
    assert [f.period for f in report.findings] == [2]
    place = report.findings[0].causes[0].layer
    if inline:
        named = {"interpolate()", "conv_transpose2d()", "convolution()", "pixel_shuffle()"}
        named |= {"max_unpool2d()", "between stem and head"}
        assert place in named
    else:
        brackets = [f"between {a} and {b}" for a, b in (("stem", "up"), ("stem", "head"))]
        assert place.startswith("up") or place in [*brackets, "between up and head"]
    assert report.passes <= 6


def test_there_are_22():
    assert len(WAYS) == 22
