"""FCN: the paper's arithmetic, any size, its start and its refusals."""

from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from upzoo.backbones import VGG16
from upzoo.fcn import CROPS, FCN
from upzoo.upsampling import OPERATORS
from upzoo.upsampling.functional import bilinear_kernel

BILINEAR = OPERATORS["bilinear_init"]
#: Operators that need nothing but the coarse map.
FITTING = [n for n, op in OPERATORS.items() if not (op.needs_switches or op.needs_guide)]
STRIDES = [32, 16, 8]
ODD_SIZES = [
    (1, 1), (1, 2), (3, 1), (5, 9), (7, 33), (13, 31), (17, 65), (21, 5), (29, 37), (31, 63),
    (33, 33), (41, 127), (47, 1), (51, 77), (63, 65), (69, 95), (75, 101), (89, 3), (95, 97),
    (97, 131),
]  # fmt: skip


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def build(stride=8, upsample=BILINEAR, **options):
    options = {"backbone": "compact", "width": 2} | options
    return FCN(upsample, 5, stride=stride, **options).eval()


def open_up(net):
    """Give the score layers, which start at zero, something to say."""
    for score in net.scores:
        nn.init.normal_(score.weight, std=0.1)
        nn.init.normal_(score.bias, std=0.1)
    return net


class ReleasedFCN(nn.Module):
    """The released nets' decoder, written out: unpadded transposed convolutions, literal crops."""

    def __init__(self, net, classes):
        super().__init__()
        self.net, self.stride = net, net.stride
        for scale in (2, 8, 16, 32):
            up = nn.ConvTranspose2d(classes, classes, 2 * scale, stride=scale, bias=False)
            with torch.no_grad():
                up.weight.zero_()
                for c in range(classes):
                    up.weight[c, c] = bilinear_kernel(scale)
            self.add_module(f"up{scale}", up)

    def forward(self, x):
        h, w = x.shape[-2:]
        features = self.net.backbone(x)
        score_fr = self.net.scores[0](features[32])
        if self.stride == 32:
            return self.up32(score_fr)[:, :, 19 : 19 + h, 19 : 19 + w]
        upscore2 = self.up2(score_fr)
        a, b = upscore2.shape[2:]
        score_pool4 = self.net.scores[1](features[16])[:, :, 5 : 5 + a, 5 : 5 + b]
        if self.stride == 16:
            return self.up16(upscore2 + score_pool4)[:, :, 27 : 27 + h, 27 : 27 + w]
        upscore_pool4 = self.up2(upscore2 + score_pool4)
        a, b = upscore_pool4.shape[2:]
        score_pool3 = self.net.scores[2](features[8])[:, :, 9 : 9 + a, 9 : 9 + b]
        return self.up8(upscore_pool4 + score_pool3)[:, :, 31 : 31 + h, 31 : 31 + w]


@pytest.mark.parametrize(
    ("stride", "border"), [(32, "zero"), (16, "zero"), (8, "zero"), (8, "replicate")]
)
def test_padded_layout_is_the_released_net(stride, border):
    upsample = partial(BILINEAR, border=border)
    net = open_up(build(stride, upsample, backbone="vgg16", width=1, padded=True)).double()
    reference = ReleasedFCN(net, 5).double()
    with torch.no_grad():
        for size in [(1, 1), (37, 64)]:
            x = torch.randn(2, 3, *size, dtype=torch.float64)
            ours = net(x)
            assert ours.std() > 1e-3
            torch.testing.assert_close(ours, reference(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("scale", [2, 8, 16, 32])
def test_unpadded_enlarging_of_a_learned_kernel_is_the_full_transposed_convolution(scale):
    from upzoo.fcn import _enlarge_unpadded

    up = OPERATORS["transposed_conv"](3, 3, scale).double()
    full = nn.functional.conv_transpose2d
    x = torch.randn(1, 3, 4, 5, dtype=torch.float64)
    assert up.weight.shape[-1] == 2 * scale
    torch.testing.assert_close(_enlarge_unpadded(up, x, scale), full(x, up.weight, stride=scale))


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("size", ODD_SIZES)
def test_vgg16_gives_exactly_the_input_size(size, padded):
    nets = [build(stride, backbone="vgg16", width=1, padded=padded) for stride in STRIDES]
    x = torch.zeros(1, 3, *size)
    with torch.no_grad():
        features = nets[0].backbone(x)
        for net in nets:
            # The encoder, which takes the time, is the same for all three.
            net.backbone.forward = lambda _: features
            assert net(x).shape == (1, 5, *size)


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("name", FITTING)
def test_every_operator_gives_exactly_the_input_size(stride, name):
    net = build(stride, OPERATORS[name])
    with torch.no_grad():
        for size in ODD_SIZES[::6]:
            assert net(torch.zeros(1, 3, *size)).shape == (1, 5, *size)


@pytest.mark.parametrize("name", FITTING)
def test_padded_layout_takes_every_operator(name):
    net = build(8, OPERATORS[name], backbone="vgg16", width=1, padded=True)
    assert net(torch.zeros(1, 3, 33, 20)).shape == (1, 5, 33, 20)


def test_unpadded_fusion_is_interpolation_and_addition():
    """With bilinear operators each step is torch's own interpolation, cropped at the top left."""
    net = open_up(build(8)).double()

    def enlarge(x, scale, like):
        y = nn.functional.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
        return y[..., : like.shape[-2], : like.shape[-1]]

    x = torch.randn(2, 3, 50, 71, dtype=torch.float64)
    with torch.no_grad():
        features = net.backbone(x)
        coarse, middle, fine = (net.scores[i](features[s]) for i, s in enumerate(STRIDES))
        total = fine + enlarge(middle + enlarge(coarse, 2, middle), 2, fine)
        torch.testing.assert_close(net(x), enlarge(total, 8, x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("stride", STRIDES)
def test_a_bright_square_is_answered_in_its_place(stride, padded):
    """The layouts keep scores over their pixels: a finest score that copies the image proves it."""
    net = build(stride, backbone="vgg16", width=1, padded=padded)
    image = torch.zeros(1, 3, 160, 160)
    image[..., 64:96, 32:64] = 1.0
    for conv in (m for m in net.backbone.modules() if isinstance(m, nn.Conv2d)):
        # Every convolution hands on the mean of its centre pixels.
        nn.init.zeros_(conv.weight)
        centre = conv.kernel_size[0] // 2
        with torch.no_grad():
            conv.weight[:, :, centre, centre] = 1 / conv.in_channels
    nn.init.ones_(net.scores[-1].weight)
    answer = net(image)[0, 0].double()
    answer = answer / answer.sum()
    pixels = torch.arange(160, dtype=torch.float64)
    # Max-pooling spreads to the pool's grid, which the padding shifts: half a stride at most.
    assert abs((answer.sum(1) * pixels).sum().item() - 79.5) <= stride / 2
    assert abs((answer.sum(0) * pixels).sum().item() - 47.5) <= stride / 2


def test_scores_start_at_zero_and_nothing_else_does():
    net = build()
    assert not net(torch.randn(1, 3, 40, 40)).any()
    others = [p for n, p in net.named_parameters() if n.endswith("conv.weight")]
    assert others
    assert all(p.any() for p in others)


def test_the_first_gradient_reaches_every_score_layer():
    net = build().train()
    target = torch.randint(0, 5, (2, 40, 40))
    nn.functional.cross_entropy(net(torch.randn(2, 3, 40, 40)), target).backward()
    assert all(score.weight.grad.any() and score.bias.grad.any() for score in net.scores)


@pytest.mark.parametrize("name", FITTING)
def test_every_parameter_gets_a_gradient(name):
    net = open_up(build(8, OPERATORS[name])).train()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
    target = torch.randint(0, 5, (2, 64, 64))
    nn.functional.cross_entropy(net(torch.randn(2, 3, 64, 64)), target).backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize(("backbone", "padded"), [("compact", False), ("vgg16", True)])
def test_channels_last_is_kept_and_changes_nothing(backbone, padded):
    width = 2 if backbone == "compact" else 1
    net = open_up(build(8, backbone=backbone, width=width, padded=padded))
    x = torch.randn(2, 3, 50, 70)
    with torch.no_grad():
        plain = net(x)
        fast = net.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
        again = net(x.to(memory_format=torch.channels_last))
    # A crop leaves gaps between rows, so the order of the strides is what can be kept.
    assert fast.stride(1) == 1
    torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-4)
    assert torch.equal(fast, again)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_scores_in_half_precision_are_those_of_float32_channels_first(layout):
    net = open_up(build(8, OPERATORS["bilinear_init"])).eval().to(memory_format=layout)
    x = torch.randn(2, 3, 50, 70).contiguous(memory_format=layout)
    with torch.no_grad():
        expected = net(x)
        with torch.autocast("cpu", torch.bfloat16):
            scores = net(x)
    assert scores.dtype == torch.bfloat16
    assert scores.stride(-1) == 1
    assert (scores - expected).abs().max() < 0.05 * expected.abs().max()


@pytest.mark.parametrize("in_channels", [1, 4])
def test_other_image_channels(in_channels):
    assert build(in_channels=in_channels)(torch.zeros(1, in_channels, 9, 9)).shape == (1, 5, 9, 9)


@pytest.mark.parametrize("backbone", ["resnet18", "timm/resnet10t"])
def test_library_backbones(backbone):
    if backbone.startswith("timm/"):
        pytest.importorskip("timm")
    net = build(backbone=backbone, width=None)
    assert net(torch.zeros(1, 3, 45, 60)).shape == (1, 5, 45, 60)


@pytest.mark.parametrize(
    ("stride", "count"),
    # VGG-16 without fc8: 138,357,544 − 4,097,000. Then one 1×1 layer with bias for each skip.
    [
        (32, 134_260_544 + 21 * 4097),
        (16, 134_260_544 + 21 * (4097 + 513)),
        (8, 134_260_544 + 21 * (4097 + 513 + 257)),
    ],
)
def test_the_papers_parameter_count(stride, count):
    with torch.device("meta"):
        net = FCN(BILINEAR, 21, stride=stride, backbone="vgg16", padded=True)
    assert sum(p.numel() for p in net.parameters()) == count
    assert count == pytest.approx(134.5e6, rel=2e-3)


def test_the_released_kernels_are_counted_too():
    with torch.device("meta"):
        upsample = partial(BILINEAR, dense=True, trainable=True)
        net = FCN(upsample, 21, stride=8, backbone="vgg16", padded=True)
    # Kernels 4, 4 and 16 between 21 and 21 channels.
    learned = sum(p.numel() for p in net.upsamples.parameters())
    assert learned == 21 * 21 * (4 * 4 + 4 * 4 + 16 * 16)


@pytest.mark.parametrize("stride", STRIDES)
def test_label_and_scales(stride):
    asked = []

    def upsample(*arguments):
        asked.append(arguments)
        return BILINEAR(*arguments)

    net = build(stride, upsample)
    assert net.label == f"fcn{stride}s"
    assert (
        asked
        == {
            32: [(5, 5, 32)],
            16: [(5, 5, 2), (5, 5, 16)],
            8: [(5, 5, 2), (5, 5, 2), (5, 5, 8)],
        }[stride]
    )


def test_widths_never_depend_on_the_operator():
    def shapes(name):
        state = build(8, OPERATORS[name]).state_dict()
        return {k: v.shape for k, v in state.items() if not k.startswith("upsamples.")}

    assert all(shapes(name) == shapes("bilinear_init") for name in FITTING)


class Unpool(nn.Module):
    needs_switches = True

    def __init__(self, in_channels, out_channels, scale):
        super().__init__()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 4}, "stride=4 is not one of FCN's: choose from 32, 16, 8"),
        ({"num_classes": None}, "num_classes=None must be"),
        ({"num_classes": 0}, "num_classes=0 must be"),
        ({"padded": True}, "padded=true is the layout of backbone 'vgg16', not of 'compact'"),
        ({"backbone": "vgg"}, "backbone='vgg' is unknown: did you mean 'vgg16'"),
        ({"weights": "DEFAULT"}, "weights='DEFAULT'.*trains from scratch"),
        ({"upsample": Unpool}, "not take Unpool: it needs the switches.*choose another operator"),
    ],
)
def test_refusals_are_one_line_and_say_what_works(options, message):
    arguments = {"upsample": BILINEAR, "num_classes": 5} | options
    with pytest.raises(ValueError, match=message) as error:
        FCN(**arguments)
    assert "\n" not in str(error.value)


def test_every_operator_that_needs_switches_is_refused():
    refused = [n for n, op in OPERATORS.items() if op.needs_switches]
    assert "max_unpool" in refused
    for name in refused:
        with pytest.raises(ValueError, match="needs the switches of a matching max-pooling"):
            build(8, OPERATORS[name])


def test_a_backbone_without_the_strides_is_refused():
    pytest.importorskip("timm")
    with pytest.raises(ValueError, match=r"strides \[16\], but FCN-8s needs \[32, 8\] too"):
        FCN(BILINEAR, 5, backbone="timm/vit_tiny_patch16_224")


def test_the_config_lists_every_option_with_its_default():
    import inspect

    path = Path(__file__).parents[2] / "configs/model/fcn.yaml"
    config = yaml.safe_load(path.read_text())
    assert config.pop("_target_") == "models.fcn.FCN"
    assert config.pop("_convert_") == "all"
    assert config.pop("upsample") == "${upsample}"
    parameters = inspect.signature(FCN).parameters
    defaults = {n: p.default for n, p in parameters.items() if n != "upsample"}
    # What the data tell is left open.
    assert config == defaults | {"num_classes": None, "in_channels": None}


@pytest.mark.slow
@pytest.mark.parametrize("stride", STRIDES)
def test_the_full_vgg16_is_the_released_net(stride):
    net = open_up(FCN(BILINEAR, 21, stride=stride, backbone="vgg16", padded=True)).eval()
    assert isinstance(net.backbone, VGG16)
    assert len(CROPS[stride]) == len(net.scores)
    reference = ReleasedFCN(net, 21)
    x = torch.randn(1, 3, 101, 75)
    with torch.no_grad():
        ours = net(x)
        torch.testing.assert_close(ours, reference(x), rtol=1e-4, atol=1e-4 * ours.std().item())
