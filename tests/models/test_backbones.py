"""The encoders: sizes, starts, costs, released weights and refusals."""

import builtins
from math import ceil

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from upzoo.backbones import BACKBONES, VGG16, Compact, ResNet, Timm, build_backbone

SMALL = {"compact": {"width": 2}, "vgg16": {"width": 1}}
SIZES = [(1, 1), (1, 33), (31, 64), (97, 131)]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def build(name, **options):
    return build_backbone(name, **SMALL.get(name, {}), **options).eval()


@pytest.mark.parametrize("name", ["compact", "vgg16", "resnet18"])
def test_features_have_the_promised_sizes_and_channels(name):
    net = build(name)
    assert {2, 4, 8, 16, 32} == set(net.channels)
    with torch.no_grad():
        for h, w in SIZES:
            features = net(torch.randn(1, 3, h, w))
            assert {s: tuple(f.shape[1:]) for s, f in features.items()} == {
                s: (c, ceil(h / s), ceil(w / s)) for s, c in net.channels.items()
            }


@pytest.mark.parametrize("name", ["compact", "vgg16", "resnet18"])
def test_every_parameter_gets_a_gradient(name):
    net = build(name).train()
    for module in net.modules():
        # Residual branches start closed, and what is in them gets its gradient once they open.
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)
    sum(f.square().sum() for f in net(torch.randn(2, 3, 64, 64)).values()).backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("name", ["compact", "vgg16", "resnet18"])
def test_channels_last_is_kept_and_changes_nothing(name):
    net = build(name)
    x = torch.randn(2, 3, 50, 70)
    with torch.no_grad():
        plain = net(x)
        fast = net.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
    for stride, feature in fast.items():
        assert feature.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(feature, plain[stride], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["compact", "vgg16", "resnet18"])
@pytest.mark.parametrize("in_channels", [1, 4])
def test_other_image_channels(name, in_channels):
    net = build(name, in_channels=in_channels)
    assert net(torch.randn(1, in_channels, 40, 40))[8].shape[-2:] == (5, 5)


def test_compact_costs_what_its_docstring_says():
    net = Compact().eval()
    assert net.channels == {2: 16, 4: 48, 8: 80, 16: 128, 32: 192}
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(2.5e6, rel=0.02)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.empty(1, 3, 360, 480))
    assert counter.get_total_flops() / 2 == pytest.approx(1.55e9, rel=0.01)


def test_compact_sees_511_pixels():
    net = Compact(width=1).double().eval()
    for module in net.modules():
        # Linear and positive, so that the gradient is where the receptive field is.
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.constant_(module.weight, 0.1)
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)
    x = torch.ones(1, 3, 1, 1024, dtype=torch.float64, requires_grad=True)
    net(x)[32][0, 0, 0, 16].backward()
    seen = x.grad[0, 0, 0].nonzero().flatten()
    assert seen[-1] - seen[0] + 1 == 511


def test_compact_blocks_start_as_the_identity():
    stage = Compact(width=2).stages[3]
    x = torch.randn(2, 10, 8, 8)
    torch.testing.assert_close(stage(x), stage[0](x), rtol=0, atol=0)


def test_vgg16_is_the_plain_layer_list():
    net = VGG16(width=1).eval()
    names = [n for n, m in net.named_children() if isinstance(m, torch.nn.Conv2d)]
    stages = [(1, 2), (2, 2), (3, 3), (4, 3), (5, 3)]
    convs = [f"conv{s}_{i}" for s, repeat in stages for i in range(1, repeat + 1)]
    assert names == [*convs, "fc6", "fc7"]
    layers = []
    for name in names:
        layers += [getattr(net, name), torch.nn.ReLU()]
        if name in {"conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3"}:
            layers.append(torch.nn.MaxPool2d(2, 2, ceil_mode=True))
    x = torch.randn(1, 3, 45, 70)
    torch.testing.assert_close(net(x)[32], torch.nn.Sequential(*layers)(x), rtol=0, atol=0)


def test_vgg16_padded_has_the_papers_sizes():
    net = VGG16(width=1, padded=True).eval()
    sizes = {s: tuple(f.shape[-2:]) for s, f in net(torch.randn(1, 3, 37, 500)).items()}
    # 500: 698 after conv1, then 349, 175, 88, 44, 22, and 16 after fc6.
    assert sizes == {2: (118, 349), 4: (59, 175), 8: (30, 88), 16: (15, 44), 32: (2, 16)}


def test_vgg16_drops_out_in_training_only():
    net = VGG16(width=1)
    x = torch.randn(1, 3, 64, 64)
    assert not torch.equal(net(x)[32], net(x)[32])
    net.eval()
    assert torch.equal(net(x)[32], net(x)[32])


def fake_download(monkeypatch, state):
    """Let torchvision's downloader hand back `state`, and note what was asked."""
    asked = []

    def load(url, *args, **kwargs):
        asked.append(url)
        return state

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", load)
    return asked


def test_resnet_takes_torchvisions_weights(monkeypatch):
    import torchvision

    source = torchvision.models.resnet18(weights=None)
    for value in source.state_dict().values():
        value.copy_(torch.rand(value.shape))
    asked = fake_download(monkeypatch, source.state_dict())
    net = build_backbone("resnet18", weights="IMAGENET1K_V1").eval()
    assert len(asked) == 1
    assert "resnet18" in asked[0]
    own = net.state_dict()
    assert set(source.state_dict()) - set(own) == {"fc.weight", "fc.bias"}
    assert all(torch.equal(value, source.state_dict()[key]) for key, value in own.items())
    x = torch.randn(1, 3, 64, 64)
    source.fc = torch.nn.Identity()
    torch.testing.assert_close(net(x)[32].mean((2, 3)), source.eval()(x), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_vgg16_takes_torchvisions_weights(monkeypatch):
    import torchvision

    source = torchvision.models.vgg16(weights=None).eval()
    asked = fake_download(monkeypatch, source.state_dict())
    net = build_backbone("vgg16", weights="IMAGENET1K_V1", padded=True).eval()
    assert len(asked) == 1
    # At 224 pixels and with the usual padding, fc7 of the centre is torchvision's dense layer.
    net.conv1_1.padding = (1, 1)
    x = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        dense = source.classifier[:5](source.features(x).flatten(1))
        torch.testing.assert_close(net(x)[32].flatten(1), dense, rtol=1e-4, atol=1e-4)


def test_vgg16_copies_layer_by_layer(monkeypatch):
    """The mapping alone, with layers of one number each: cheap, and any swap shows."""
    net = VGG16(width=1)
    keys = [f"features.{i}" for i in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)]
    keys += ["classifier.0", "classifier.3"]
    state = {}
    for number, (key, conv) in enumerate(zip(keys, _convs(net), strict=True), start=1):
        shape = conv.weight.shape if key.startswith("features") else (len(conv.weight), -1)
        state[f"{key}.weight"] = torch.full_like(conv.weight, number).reshape(shape)
        state[f"{key}.bias"] = torch.full_like(conv.bias, -number)
    state |= {"classifier.6.weight": torch.ones(5, 64), "classifier.6.bias": torch.ones(5)}
    fake_download(monkeypatch, state)
    net._load_torchvision("IMAGENET1K_V1")
    for number, conv in enumerate(_convs(net), start=1):
        assert (conv.weight == number).all()
        assert (conv.bias == -number).all()


def _convs(net):
    return [m for m in net.children() if isinstance(m, torch.nn.Conv2d)]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "resnt18",
            {},
            "backbone='resnt18' is unknown: did you mean 'resnet18.*compact, vgg16, resnet18",
        ),
        ("compact", {"weights": "IMAGENET1K_V1"}, "weights='IMAGENET1K_V1'.*trains from scratch"),
        ("compact", {"width": 0}, "width=0 must be"),
        ("compact", {"in_channels": 0}, "in_channels=0 must be"),
        (
            "vgg16",
            {"weights": "IMAGENET1K"},
            "weights='IMAGENET1K' of vgg16 is unknown.* from IMAGENET1K_V1, DEFAULT$",
        ),
        ("vgg16", {"weights": "IMAGENET1K_FEATURES"}, "is unknown: did you mean"),
        ("vgg16", {"weights": "DEFAULT", "in_channels": 1}, "not in_channels=1 and width=64"),
        ("resnet50", {"weights": "best"}, "weights='best' of resnet50.*IMAGENET1K_V2"),
        ("resnet18", {"weights": "DEFAULT", "in_channels": 4}, "not in_channels=4"),
        ("resnet18", {"width": 32}, "width=32: backbone 'resnet18' has fixed widths"),
    ],
)
def test_refusals_are_one_line_and_say_what_works(name, options, message):
    with pytest.raises(ValueError, match=message) as error:
        build_backbone(name, **options)
    assert "\n" not in str(error.value)


def test_every_name_builds_what_it_says():
    resnets = [f"resnet{depth}" for depth in (18, 34, 50, 101)]
    assert list(BACKBONES) == ["plain", "compact", "vgg16", *resnets]
    with torch.device("meta"):
        # torchvision's documented counts, less the 1000-way classifier.
        for name, count in {
            "resnet34": 21_797_672 - 513_000,
            "resnet50": 25_557_032 - 2_049_000,
            "resnet101": 44_549_160 - 2_049_000,
        }.items():
            net = build_backbone(name)
            assert isinstance(net, ResNet)
            assert sum(p.numel() for p in net.parameters()) == count


def test_missing_timm_is_said(monkeypatch):
    real = builtins.__import__

    def no_timm(name, *args, **kwargs):
        if name == "timm":
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_timm)
    with pytest.raises(ValueError, match=r"needs timm, which is not installed: pip install timm"):
        build_backbone("timm/resnet18")


class TestTimm:
    @pytest.fixture(autouse=True)
    def timm(self):
        return pytest.importorskip("timm")

    # A net that rounds up, one that rounds down, and one whose features have the channels last.
    @pytest.mark.parametrize("name", ["mobilenetv3_small_050", "convnext_atto", "mambaout_femto"])
    def test_features_have_the_promised_sizes(self, name):
        sizes = [(1, 1), (31, 32), (45, 70)]
        net = build_backbone(f"timm/{name}").eval()
        with torch.no_grad():
            for h, w in sizes:
                features = net(torch.randn(1, 3, h, w))
                assert {s: tuple(f.shape[1:]) for s, f in features.items()} == {
                    s: (c, ceil(h / s), ceil(w / s)) for s, c in net.channels.items()
                }

    @pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18", "mobilenetv3_small_050"])
    def test_depth_leaves_the_deeper_maps_out_and_their_weights(self, timm, name):
        whole = build_backbone(f"timm/{name}").eval()
        part = build_backbone(f"timm/{name}", depth=3).eval()
        state = whole.state_dict()
        part.load_state_dict({key: state[key] for key in part.state_dict()})
        x = torch.randn(1, 3, 61, 96)
        all_maps, maps = whole(x), part(x)
        assert list(maps) == sorted(all_maps)[:3] == list(part.channels)
        for stride, features in maps.items():
            torch.testing.assert_close(features, all_maps[stride])
        # every weight that is left is needed for the deepest map
        sum(features.sum() for features in maps.values()).backward()
        assert all(p.grad is not None for p in part.parameters())
        assert len(state) > len(part.state_dict())
        with pytest.raises(ValueError, match="fewer feature maps than depth=9"):
            build_backbone(f"timm/{name}", depth=9)

    def test_the_net_is_timms_own(self, timm):
        net = build_backbone("timm/resnet18", in_channels=1).eval()
        x = torch.randn(1, 1, 64, 96)
        for ours, theirs in zip(net(x).values(), net.net(x), strict=True):
            assert torch.equal(ours, theirs)
        assert isinstance(net, Timm)

    @pytest.mark.parametrize(
        ("name", "options", "message"),
        [
            ("resnet18x", {}, "backbone='timm/resnet18x' is unknown: did you mean.*resnet18"),
            ("resnet18", {"weights": "a1_in2k"}, "did you mean 'a1_in1k"),
            ("resnet18", {"width": 4}, "fixed widths"),
        ],
    )
    def test_refusals(self, name, options, message):
        with pytest.raises(ValueError, match=message) as error:
            build_backbone(f"timm/{name}", **options)
        assert "\n" not in str(error.value)
