"""Equalised kernels: flat on constants, and no other flat kernel is closer."""

import pytest
import scipy.optimize
import torch
import torch.nn.functional as F
from torch import nn

from upzoo.upsampling import OPERATORS
from upzoo.upsampling.equalise import equalise, equalise_net
from upzoo.upsampling.functional import phase_gains


def least_change(matrix, current):
    """The shortest δ with matrix · (current + δ) = 0, by LAPACK."""
    matrix, current = torch.tensor(matrix, dtype=torch.float64), current.double()
    return torch.linalg.lstsq(matrix, -matrix @ current[:, None], driver="gelsd").solution[:, 0]


def phase_rows(kernel, stride):
    """One row a phase, with ones at its taps, in a loop."""
    rows = [[0.0] * kernel**2 for _ in range(stride**2)]
    for i in range(kernel):
        for j in range(kernel):
            rows[(i % stride) * stride + j % stride][i * kernel + j] = 1.0
    return rows


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (4, 2), (5, 2), (5, 3), (4, 4)])
def test_it_is_the_least_change(kernel, stride):
    layer = nn.ConvTranspose2d(2, 3, kernel, stride).double()
    new = equalise(layer)
    rows = phase_rows(kernel, stride)
    differences = [[a - b for a, b in zip(r, rows[0], strict=True)] for r in rows[1:]]
    for i in range(2):
        for o in range(3):
            old = layer.weight[i, o].detach().flatten()
            expected = least_change(differences, old)
            torch.testing.assert_close(new.weight[i, o].detach().flatten() - old, expected)
    gains = phase_gains(new.weight.detach(), stride)
    torch.testing.assert_close(gains, gains[..., :1, :1].expand_as(gains))


def test_a_general_minimiser_finds_the_same():
    layer = nn.ConvTranspose1d(1, 1, 5, stride=3).double()
    old = layer.weight.detach().flatten().numpy()
    flat = [{"type": "eq", "fun": lambda w, p=p: w[p::3].sum() - w[0::3].sum()} for p in (1, 2)]
    found = scipy.optimize.minimize(
        lambda w: ((w - old) ** 2).sum(), old, constraints=flat, method="SLSQP", tol=1e-14
    )
    assert equalise(layer).weight.flatten().tolist() == pytest.approx(found.x, abs=1e-7)


def test_for_one_mean_it_is_the_least_change_too():
    layer = nn.ConvTranspose2d(3, 2, 3, stride=2).double()
    mean = torch.tensor([0.5, -1.0, 2.0])
    new = equalise(layer, mean=mean)
    rows = phase_rows(3, 2)
    weighted = [[m * tap for m in mean.tolist() for tap in row] for row in rows]
    differences = [[a - b for a, b in zip(r, weighted[0], strict=True)] for r in weighted[1:]]
    for o in range(2):
        old = layer.weight[:, o].detach().flatten()
        expected = least_change(differences, old)
        torch.testing.assert_close(new.weight[:, o].detach().flatten() - old, expected)
    every = (equalise(layer).weight - layer.weight).norm()
    assert (new.weight - layer.weight).norm() < every, "one constant costs less than all"


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("mean", [None, [1.0, 0.3, -2.0, 0.7]])
def test_a_constant_comes_out_flat(groups, mean):
    layer = nn.ConvTranspose2d(4, 6, (3, 5), (2, 3), dilation=(3, 1), groups=groups).double()
    values = torch.tensor(mean or [0.2, 5.0, -1.0, 0.4], dtype=torch.float64)
    new = equalise(layer, mean=None if mean is None else values)
    x = values.view(1, 4, 1, 1).expand(1, 4, 12, 12)
    y = new(x)[..., 10:-10, 10:-10]
    assert layer(x)[..., 10:-10, 10:-10].std((2, 3)).max() > 1e-3
    assert y.std((2, 3)).max() < 1e-12
    assert len(y.mean((2, 3)).unique()) == 6


@pytest.mark.parametrize("operator", ["transposed_conv", "decomposed_transposed", "pixel_shuffle"])
def test_operators_become_flat(operator):
    options = {"icnr": False} if operator == "pixel_shuffle" else {"kernel": 5}
    up = OPERATORS[operator](3, 4, 2, **options)
    x = torch.randn(1, 3, 1, 1).expand(1, 3, 12, 12)
    inner = (..., slice(8, -8), slice(8, -8))
    assert up(x)[inner].std() > 0.05
    assert equalise(up)(x)[inner].std((2, 3)).max() < 1e-6


@pytest.mark.parametrize("dense", [True, False])
def test_a_bilinear_kernel_stays_as_it_is(dense):
    up = OPERATORS["bilinear_init"](3, 3, 2, trainable=True, dense=dense, kernel=5)
    torch.testing.assert_close(equalise(up).weight, up.weight, rtol=0, atol=1e-7)
    with torch.no_grad():
        up.weight.add_(torch.randn_like(up.weight))
    new = equalise(up)
    y = new(torch.ones(1, 3, 8, 8))
    torch.testing.assert_close(y, y[..., :1, :1].expand_as(y), rtol=0, atol=1e-5)


def test_a_convolution_before_a_pixel_shuffle():
    conv = nn.Conv2d(4, 2 * 9, 3, padding=1, groups=2)
    x = torch.randn(1, 4, 1, 1).expand(1, 4, 6, 6)
    y = F.pixel_shuffle(equalise(conv, shuffle=3)(x), 3)[..., 3:-3, 3:-3]
    assert y.std((2, 3)).max() < 1e-6
    # per pair of channels each phase has the same number of taps: the target is the plain mean
    gains = conv.weight.sum((2, 3)).view(2, 9, 2)
    new = equalise(conv, shuffle=3).weight.sum((2, 3)).view(2, 9, 2)
    torch.testing.assert_close(new, gains.mean(1, keepdim=True).expand_as(gains))


def test_a_net_reports_what_changed():
    up = nn.ConvTranspose2d(1, 1, (1, 3), stride=(1, 2))
    with torch.no_grad():
        up.weight.copy_(torch.tensor([1.0, 3.0, 1.0]))
    shuffled = nn.Sequential(nn.Conv2d(1, 4, 1), nn.PixelShuffle(2))
    net = nn.Sequential(nn.ConvTranspose2d(1, 1, 3), up, shuffled)
    new, changes = equalise_net(net)
    assert [change.name for change in changes] == ["1", "2.0"]
    # gains 2 and 3: ripple .5 / 2.5; δ = ⅓, −⅓, ⅓ of a kernel of norm √11
    assert changes[0].before == pytest.approx(0.2)
    assert changes[0].after < 1e-6
    assert changes[0].change == pytest.approx((3 / 9 / 11) ** 0.5)
    y = new(torch.ones(1, 1, 8, 8))[..., 8:-8, 16:-16]
    assert y.std() < 1e-6
    assert up.weight.flatten().tolist() == [1, 3, 1], "the net itself is left alone"
    assert torch.equal(new[0].weight, net[0].weight)


def test_a_mean_belongs_to_a_layer():
    net = nn.Sequential(nn.ConvTranspose2d(2, 1, 3, stride=2, bias=False), nn.ReLU())
    mean = torch.tensor([1.0, 2.0])
    new, (change,) = equalise_net(net, {"0": mean})
    assert change.after < 1e-6 < change.before
    torch.testing.assert_close(new[0].weight, equalise(net[0], mean=mean).weight)
    with pytest.raises(ValueError, match=r"means has 'up', but the layers to equalise are \['0'\]"):
        equalise_net(net, {"up": mean})


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        (nn.ReLU(), {}, "ReLU has no weight"),
        (nn.Linear(2, 2), {}, "Linear is no layer that can be equalised"),
        (nn.Conv2d(2, 4, 1), {}, "Conv2d with shuffle=None: the scale of the pixel shuffle"),
        (nn.Conv2d(2, 6, 1), {"shuffle": 2}, "6 output channels are no multiple of 1 × 4"),
        (nn.ConvTranspose2d(2, 2, 1, stride=2), {}, "3 of 4 phases are reached by no tap"),
        (
            nn.ConvTranspose2d(2, 2, 3, stride=2),
            {"mean": torch.ones(3)},
            r"mean is \(3,\), expected \(2,\)",
        ),
        (nn.ConvTranspose2d(2, 2, 3, stride=2), {"keep": "all"}, "keep='all': choose from"),
    ],
)
def test_what_cannot_be_equalised_is_refused(module, options, message):
    with pytest.raises(ValueError, match=message):
        equalise(module, **options)


NORMS = {
    "weight norm": nn.utils.parametrizations.weight_norm,
    "spectral norm": nn.utils.parametrizations.spectral_norm,
    "weight norm by hook": nn.utils.weight_norm,
    "spectral norm by hook": nn.utils.spectral_norm,
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
@pytest.mark.parametrize("norm", NORMS)
def test_a_normed_weight_keeps_its_norm_and_its_names(norm):
    up = NORMS[norm](nn.ConvTranspose2d(2, 3, 3, stride=2, bias=False))
    up(torch.randn(1, 2, 4, 4))  # the older forms then hold a tensor with a graph
    net = nn.Sequential(up).eval()
    new, (change,) = equalise_net(net)
    assert new.state_dict().keys() == net.state_dict().keys()
    x = torch.ones(1, 2, 8, 8)
    inner = ..., slice(2, -2), slice(2, -2)
    assert new(x)[inner].std((2, 3)).max() < 1e-6 < net(x)[inner].std((2, 3)).min()
    assert change.after < 1e-6 < change.before
    if "weight" in norm:  # exactly the weights that a plain layer gets
        plain = nn.ConvTranspose2d(2, 3, 3, stride=2, bias=False)
        plain.weight.data.copy_(up.weight.detach())
        torch.testing.assert_close(new(x), equalise(plain)(x))


def test_the_level_of_a_constant_can_be_kept():
    up = nn.ConvTranspose2d(2, 3, 3, stride=2, bias=False)
    x = torch.rand(1, 2, 1, 1).expand(1, 2, 8, 8)
    inner = ..., slice(2, -3), slice(2, -3)  # whole periods
    level = up(x)[inner].mean((2, 3))
    kept = equalise(up, keep="mean")
    torch.testing.assert_close(kept(x)[inner].mean((2, 3)), level)
    assert kept(x)[inner].std((2, 3)).max() < 1e-6
    moved = (equalise(up)(x)[inner].mean((2, 3)) - level).abs().max()
    assert moved > 1e-3, "the least change moves it"


def test_a_layer_that_cannot_be_levelled_is_skipped():
    net = nn.Sequential(
        nn.ConvTranspose2d(2, 2, 1, stride=2), nn.ConvTranspose2d(2, 2, 3, stride=2)
    )
    new, (first, second) = equalise_net(net)
    assert "3 of 4 phases are reached by no tap" in first.skipped
    assert torch.equal(new[0].weight, net[0].weight)
    assert second.skipped is None
    assert second.after < 1e-6
