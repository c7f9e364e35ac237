"""DeconvNet and SegNet-Basic: their arithmetic, switches, any size, published counts, refusals."""

import inspect
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import yaml
from torch import nn

from upzoo.deconvnet import DeconvNet
from upzoo.segnet import ContrastNorm, SegNetBasic
from upzoo.upsampling import OPERATORS

UNPOOL = OPERATORS["max_unpool"]
FITTING = [n for n, op in OPERATORS.items() if not op.needs_guide]
SIZES = [(1, 1), (1, 7), (9, 13), (17, 6)]
every_fitting = pytest.mark.parametrize("name", FITTING)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def build(upsample=UNPOOL, cls=DeconvNet, **options):
    options = {"width": 4, "num_classes": 5} | options
    if cls is DeconvNet:
        options = {"multipliers": (1, 2, 3), "convs": (1, 2, 1)} | options
    return cls(upsample, **options).eval()


def count(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("cls", [DeconvNet, SegNetBasic])
@every_fitting
def test_every_operator_goes_forward_and_backward_at_odd_sizes(name, cls):
    net = build(OPERATORS[name], cls)
    for size in SIZES:
        assert net(torch.randn(2, 3, *size)).shape == (2, 5, *size)
    net.train()(torch.randn(2, 3, 21, 19)).square().sum().backward()
    without = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


class PlainNet(nn.Module):
    """A two-stage net of the layers of `net`, unpooled by torch's own function."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        net = self.net
        a = net.encoders[0](x)
        pooled, first = F.max_pool2d(a, 2, 2, ceil_mode=True, return_indices=True)
        b = net.encoders[1](pooled)
        deepest, second = F.max_pool2d(b, 2, 2, ceil_mode=True, return_indices=True)
        y = F.max_unpool2d(deepest, second, 2, 2, output_size=b.shape[-2:])
        y = F.max_unpool2d(net.decoders[1](y), first, 2, 2, output_size=a.shape[-2:])
        return net.head(net.decoders[0](y))


def test_unpools_to_where_the_maxima_of_the_same_stage_were():
    net = build(multipliers=(1, 2), convs=(2, 1)).double()
    x = torch.randn(2, 3, 11, 14, dtype=torch.float64)
    torch.testing.assert_close(net(x), PlainNet(net)(x), rtol=1e-12, atol=1e-12)


def test_a_net_of_identities_keeps_the_maxima_in_place_and_drops_the_rest():
    net = build(num_classes=1, in_channels=1, width=1, multipliers=(1, 1), convs=(1, 1), kernel=1)
    for conv in (m for m in net.modules() if isinstance(m, nn.Conv2d)):
        nn.init.ones_(conv.weight)
    x = torch.rand(1, 1, 9, 6) + 1
    kept = net(x) * (1 + 1e-5) ** 2  # four norms of unit variance, each with its ε of 1e-5
    # Of each 4×4 pixels the largest one stays where it was: a brute-force search.
    expected = torch.zeros_like(x)
    for top in range(0, 9, 4):
        for left in range(0, 6, 4):
            block = x[0, 0, top : top + 4, left : left + 4]
            i, j = divmod(int(block.argmax()), block.shape[1])
            expected[0, 0, top + i, left + j] = block[i, j]
    torch.testing.assert_close(kept, expected)
    assert (kept != 0).sum() == 6


def test_without_switches_it_is_interpolation_between_the_stages():
    net = build(OPERATORS["interpolate"], multipliers=(1, 2), convs=(1, 1)).double()
    x = torch.randn(2, 3, 11, 14, dtype=torch.float64)
    a = net.encoders[0](x)
    b = net.encoders[1](F.max_pool2d(a, 2, ceil_mode=True))
    y = F.max_pool2d(b, 2, ceil_mode=True)
    for stage, like in ((1, b), (0, a)):
        y = F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)
        y = net.decoders[stage](y[..., : like.shape[-2], : like.shape[-1]])
    torch.testing.assert_close(net(x), net.head(y), rtol=1e-10, atol=1e-10)


class Recorder(nn.Module):
    needs_switches = False

    def __init__(self, *arguments):
        super().__init__()
        self.arguments, self.given = arguments, []

    def forward(self, x, size=None, switches=None, guide=None):
        self.given.append((size, switches, guide))
        return x.repeat_interleave(2, -1).repeat_interleave(2, -2)[..., : size[0], : size[1]]


def test_operators_are_asked_for_the_channels_of_the_pooled_maps_and_get_only_what_they_need():
    net = build(Recorder)
    net(torch.zeros(1, 3, 9, 13))
    assert [up.arguments for up in net.upsamples] == [(4, 4, 2), (8, 8, 2), (12, 12, 2)]
    sizes = [(9, 13), (5, 7), (3, 4)]
    assert [up.given for up in net.upsamples] == [[(size, None, None)] for size in sizes]


def test_from_depth_takes_only_the_first_stages_and_the_same_ones():
    torch.manual_seed(0)
    net = build(from_depth=2)
    assert [c.weight.shape[:2] for c in net.encoders.modules() if isinstance(c, nn.Conv2d)] == [
        (4, 3),
        (8, 4),
        (8, 8),
    ]
    torch.manual_seed(0)
    same = build(multipliers=(1, 2), convs=(1, 2))
    x = torch.randn(1, 3, 8, 9)
    torch.testing.assert_close(net(x), same(x), rtol=0, atol=0)
    assert len(build(from_depth=3).encoders) == len(build().encoders) == 3


@pytest.mark.parametrize("cls", [DeconvNet, SegNetBasic])
def test_all_but_the_operators_is_the_same_whatever_the_operator(cls):
    def rest(name):
        torch.manual_seed(0)
        state = build(OPERATORS[name], cls).state_dict()
        return {k: v for k, v in state.items() if not k.startswith("upsamples.")}

    expected = rest("max_unpool")
    for name in FITTING:
        found = rest(name)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], expected[key]) for key in expected)


@pytest.mark.parametrize("name", ["max_unpool", "transposed_conv"])
def test_channels_last_is_kept_and_changes_nothing(name):
    net = build(OPERATORS[name])
    x = torch.randn(2, 3, 10, 13)
    plain = net(x)
    fast = net.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
    assert fast.stride(1) == 1
    torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-5)


def test_segnet_basic_has_the_released_nets_layers_and_the_papers_count():
    with torch.device("meta"):
        net = SegNetBasic(UNPOOL, 11)
    shapes = [tuple(m.weight.shape) for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert shapes == [(64, 3, 7, 7)] + 7 * [(64, 64, 7, 7)] + [(11, 64, 1, 1)]
    # kernels, the norms' scales and shifts, the classifier
    assert count(net) == 64 * 49 * (3 + 7 * 64) + 8 * 2 * 64 + 11 * 65 == 1_416_075
    assert count(net) == pytest.approx(1.425e6, rel=0.007)
    kinds = [[type(m).__name__ for m in stage] for stage in (*net.encoders, *net.decoders)]
    assert kinds == 4 * [["Conv2d", "BatchNorm2d", "ReLU"]] + 4 * [["Conv2d", "BatchNorm2d"]]
    assert net.label == "segnet_basic"


def test_the_stages_of_vgg16_have_its_count():
    with torch.device("meta"):
        net = DeconvNet(UNPOOL, 21, 3, 64, (1, 2, 4, 8, 8), (2, 2, 3, 3, 3))
    kernels = [m.weight for m in net.encoders.modules() if isinstance(m, nn.Conv2d)]
    # VGG-16's 13 convolutions have 14,714,688 parameters, 4,224 of them biases.
    assert sum(k.numel() for k in kernels) == 14_714_688 - 4_224
    mirrored = [m.weight for m in net.decoders.modules() if isinstance(m, nn.Conv2d)]
    assert len(mirrored) == 13
    decoded = [[m.weight.shape[:2] for m in d if isinstance(m, nn.Conv2d)] for d in net.decoders]
    assert decoded[4] == [(512, 512), (512, 512), (512, 512)]
    assert decoded[3] == [(512, 512), (512, 512), (256, 512)]
    assert decoded[0] == [(64, 64), (64, 64)]


def test_contrast_norm_is_the_formula_on_pixels():
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
    pixels = torch.tensor([[255.0, 255, 255], [0, 0, 0], [10, 200, 90]]).T.view(1, 3, 1, 3)
    x = (pixels / 255 - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)
    found = ContrastNorm(mean, std)(x)
    expected = pixels / (1 + 1e-4 / 5 * pixels.square().sum(1, keepdim=True)) ** 0.75
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert found[0, 0, 0, 0].item() == pytest.approx(255 / 4.9015**0.75, rel=1e-4)


def test_contrast_norm_is_what_segnet_basic_begins_with():
    net = build(cls=SegNetBasic)
    x = torch.randn(1, 3, 8, 8)
    seen = []
    net.encoders[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    net(x)
    norm = ContrastNorm((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    torch.testing.assert_close(seen[0], norm(x), rtol=0, atol=0)


def test_other_image_channels():
    assert build(in_channels=1)(torch.zeros(1, 1, 9, 9)).shape == (1, 5, 9, 9)
    grey = build(cls=SegNetBasic, in_channels=1, mean=(0.1,), std=(0.3,))
    assert grey(torch.zeros(1, 1, 9, 9)).shape == (1, 5, 9, 9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": None}, "num_classes=None must be an integer of at least 1"),
        ({"in_channels": 0}, "in_channels=0 must be"),
        ({"width": 0}, "width=0 must be"),
        ({"multipliers": ()}, r"multipliers=\[\] must hold an integer"),
        ({"multipliers": (1, 0, 2)}, r"multipliers=\[1, 0, 2\] must hold"),
        ({"convs": (1, 2)}, r"convs=\[1, 2\] must have one number for each of the 3 stages"),
        ({"kernel": 4}, "kernel=4 must be odd"),
        ({"from_depth": 0}, "from_depth=0 must be a stage from 1 to 3"),
        ({"from_depth": 4}, "from_depth=4 must be a stage from 1 to 3"),
        ({"cls": SegNetBasic, "mean": (0.1,)}, r"mean=\[0.1\] must have in_channels=3 numbers"),
    ],
)
def test_refusals_are_one_line_and_say_what_works(options, message):
    with pytest.raises(ValueError, match=message) as error:
        build(**options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("cls", [DeconvNet, SegNetBasic])
@pytest.mark.parametrize("name", [n for n, op in OPERATORS.items() if op.needs_guide])
def test_every_operator_that_needs_a_guide_is_refused(name, cls):
    operator = OPERATORS[name]
    for upsample in (operator, partial(operator, residual=True)):
        with pytest.raises(ValueError, match=f"not take {operator.__name__}: .*has no skips"):
            build(upsample, cls)


@pytest.mark.parametrize("name", ["deconvnet", "segnet_basic"])
def test_the_config_lists_every_option_with_its_default(name):
    cls = {"deconvnet": DeconvNet, "segnet_basic": SegNetBasic}[name]
    path = Path(__file__).parents[2] / f"configs/model/{name}.yaml"
    config = yaml.safe_load(path.read_text())
    assert config.pop("_target_") == f"{cls.__module__}.{cls.__name__}".replace(
        "upzoo", "models", 1
    )
    assert config.pop("_convert_") == "all"
    assert config.pop("upsample") == "${upsample}"
    parameters = inspect.signature(cls).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.name != "upsample"}
    defaults = {k: list(v) if isinstance(v, tuple) else v for k, v in defaults.items()}
    # What the data tell is left open.
    assert config == defaults | {"num_classes": None, "in_channels": None}
