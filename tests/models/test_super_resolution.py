"""The nets that enlarge images: the papers' parameters, every operator at every scale, the skip."""

import functools

import pytest
import torch

from upzoo.bicubic import enlarge
from upzoo.edsr import EDSR
from upzoo.espcn import ESPCN
from upzoo.fsrcnn import FSRCNN
from upzoo.srresnet import SRResNet
from upzoo.upsampling import OPERATORS

NETS = {
    "espcn": functools.partial(ESPCN, widths=(6, 4)),
    "fsrcnn": functools.partial(FSRCNN, width=6, shrink=4, depth=1),
    "srresnet": functools.partial(SRResNet, width=4, blocks=1),
    "edsr": functools.partial(EDSR, width=4, blocks=1),
}
FITTING = [name for name, o in OPERATORS.items() if not (o.needs_switches or o.needs_guide)]


def weights(net):
    """Parameters without biases, PReLU's slopes and normalisations."""
    return sum(p.numel() for p in net.parameters() if p.ndim == 4)


def count(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(("scale", "expected"), [(2, 21184), (3, 22624), (4, 24640)])
def test_espcn_is_the_papers(scale, expected):
    """5²·64 + 3²·64·32 + 3²·32·s²."""
    net = ESPCN(OPERATORS["pixel_shuffle"], scale)
    assert weights(net) == expected
    assert count(net) == expected + 64 + 32 + 1


def test_fsrcnn_is_the_papers():
    """12,464 in the paper's table, at every scale: 5²·56 + 56·12 + 4·3²·12² + 12·56 + 9²·56."""
    for scale in (2, 3, 4):
        net = FSRCNN(functools.partial(OPERATORS["transposed_conv"], kernel=9), scale)
        assert weights(net) == 12464


def test_srresnet_is_the_papers_at_4():
    """Ledig et al., figure 4: 16 blocks of 64 channels, two sub-pixel convolutions, colours."""
    body = 2 * 9 * 9 * 3 * 64 + (16 * 2 + 1) * 9 * 64 * 64 + 2 * 9 * 64 * 256
    net = SRResNet(OPERATORS["pixel_shuffle"], 4, in_channels=3)
    assert weights(net) == body == 1542528
    assert [up.scale for up in net.upsamples] == [2, 2]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_edsr_stays_below_its_limit(scale):
    assert 1_000_000 < count(EDSR(OPERATORS["pixel_shuffle"], scale, in_channels=3)) <= 1_500_000


@pytest.mark.parametrize("operator", FITTING)
@pytest.mark.parametrize("model", NETS)
def test_every_operator_at_every_scale_and_size(model, operator):
    for scale in (2, 3, 4):
        if operator == "pixel_transposed" and scale == 3:
            with pytest.raises(ValueError, match="scale=3 must be a power of two") as caught:
                NETS[model](OPERATORS[operator], scale)
            assert "\n" not in str(caught.value)
            continue
        net = NETS[model](OPERATORS[operator], scale).eval()
        for size in ((1, 1), (5, 7)):
            y = net(torch.rand(1, 1, *size))
            assert y.shape == (1, 1, scale * size[0], scale * size[1])
            assert y.isfinite().all()


@pytest.mark.parametrize("model", NETS)
def test_the_skip_adds_the_bicubic_enlargement(model):
    torch.manual_seed(0)
    plain = NETS[model](OPERATORS["pixel_shuffle"], 3).eval()
    skipping = NETS[model](OPERATORS["pixel_shuffle"], 3, skip=True).eval()
    skipping.load_state_dict(plain.state_dict())
    x = torch.rand(2, 1, 6, 5)
    torch.testing.assert_close(skipping(x) - plain(x), enlarge(x, 3), atol=1e-6, rtol=0)


@pytest.mark.parametrize("model", ["espcn", "fsrcnn"])
def test_a_head_gives_every_operator_the_same_last_convolution(model):
    for operator in ("pixel_shuffle", "interpolate", "transposed_conv"):
        net = NETS[model](OPERATORS[operator], 3, head=5)
        features = net.upsamples[0].in_channels
        assert net.upsamples[0].out_channels == features
        assert net.head.weight.shape == (1, features, 5, 5)
        assert net(torch.rand(1, 1, 4, 3)).shape == (1, 1, 12, 9)


@pytest.mark.parametrize("head", [None, 3])
@pytest.mark.parametrize("model", ["espcn", "fsrcnn"])
def test_the_gain_scales_what_the_last_layer_gives(model, head):
    torch.manual_seed(0)
    full = NETS[model](OPERATORS["pixel_shuffle"], 2, head=head)
    tenth = NETS[model](OPERATORS["pixel_shuffle"], 2, head=head, gain=0.1)
    tenth.load_state_dict(full.state_dict())
    x = torch.rand(1, 1, 6, 5)
    torch.testing.assert_close(tenth(x), 0.1 * full(x))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda up: ESPCN(up, None), "scale=None must be an integer.*data=t91 and data=photos"),
        (lambda up: ESPCN(up, 2, widths=()), r"widths=\[\] must name"),
        (lambda up: ESPCN(up, 2, widths=(8, 0)), "widths=0 must be"),
        (lambda up: ESPCN(up, 2, activation="gelu"), "activation='gelu' must be tanh or relu"),
        (lambda up: ESPCN(up, 2, head=4), "head=4 must be an odd kernel"),
        (lambda up: FSRCNN(up, 2, shrink=0), "shrink=0 must be an integer"),
        (lambda up: SRResNet(up, 2, blocks=0), "blocks=0 must be an integer"),
        (lambda up: EDSR(up, True), "scale=True must be an integer"),
        (lambda up: EDSR(OPERATORS["max_unpool"], 2), "EDSR does not take MaxUnpool"),
        (lambda up: ESPCN(OPERATORS["sapa"], 2), "ESPCN does not take Sapa"),
    ],
)
def test_refusals_are_one_line(build, message):
    with pytest.raises(ValueError, match=message) as caught:
        build(OPERATORS["pixel_shuffle"])
    assert "\n" not in str(caught.value)
