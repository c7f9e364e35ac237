"""`weights=FILE`: a backbone's weights from disk, in torchvision's names, timm's or its own."""

import pytest
import torch
from torchvision.models import get_model

from upzoo import create
from upzoo.backbones import build_backbone

timm = pytest.importorskip("timm")


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def values_of(net):
    return torch.cat([v.detach().flatten().double() for v in net.state_dict().values()])


def saved(path, state):
    torch.save(state, path)
    return str(path)


def test_resnets_take_torchvisions_files_timms_and_those_of_whole_nets(tmp_path):
    original = get_model("resnet18", weights=None)
    for i, wrap in enumerate(
        (
            lambda s: s,
            lambda s: {"state_dict": {f"module.{k}": v for k, v in s.items()}, "epoch": 3},
            lambda s: {f"encoder.{k}": v for k, v in s.items()} | {"head.weight": torch.ones(3)},
        )
    ):
        path = saved(tmp_path / f"{i}.pth", wrap(original.state_dict()))
        backbone = build_backbone("resnet18", weights=path)
        for key, value in backbone.state_dict().items():
            assert torch.equal(value, original.state_dict()[key])
    path = saved(tmp_path / "timm.pth", timm.create_model("resnet18").state_dict())
    assert build_backbone("resnet18", weights=path).channels[32] == 512


@pytest.mark.parametrize("dense", [("classifier.0", "classifier.3"), ("pre_logits.fc1", "head.fc")])
def test_vgg_takes_dense_layers_as_convolutions(tmp_path, dense):
    small = build_backbone("vgg16", width=1)
    state = {}
    places = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    convs = [m for m in small.modules() if isinstance(m, torch.nn.Conv2d)]
    for place, conv in zip(places, convs[:-2], strict=True):
        state |= {f"features.{place}.{k}": v + 1 for k, v in conv.state_dict().items()}
    first, second = ("classifier.0", "classifier.3")
    if dense[0].startswith("pre"):
        first, second = ("pre_logits.fc1", "pre_logits.fc2")
        state |= {"head.fc.weight": torch.ones(3, 64), "head.fc.bias": torch.ones(3)}
    else:
        state |= {"classifier.6.weight": torch.ones(3, 64), "classifier.6.bias": torch.ones(3)}
    flat = [v + 1 for v in small.fc6.state_dict().values()]
    state |= {f"{first}.weight": flat[0].flatten(1), f"{first}.bias": flat[1]}
    state |= {f"{second}.{k}": v + 1 for k, v in small.fc7.state_dict().items()}
    path = saved(tmp_path / "vgg.pth", state)
    found = build_backbone("vgg16", width=1, weights=path, padded=True)
    torch.testing.assert_close(values_of(found), values_of(small) + 1)


@pytest.mark.parametrize("name", ["convnext_atto"])
def test_timms_nets_take_timms_files(tmp_path, name):
    whole = timm.create_model(name)
    path = saved(tmp_path / "whole.pth", whole.state_dict())
    backbone = build_backbone(f"timm/{name}", weights=path).eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = whole.eval().forward_intermediates(x, intermediates_only=True)[-1]
        found = backbone(x)[32]
    torch.testing.assert_close(found, expected)


def test_our_own_backbones_take_the_encoder_of_a_trained_net(tmp_path):
    for backbone in ("plain", "compact"):
        net = create("unet", "interpolate", num_classes=2, width=4, backbone=backbone)
        path = saved(tmp_path / f"{backbone}.pt", net.state_dict())
        again = create("unet", "carafe", num_classes=5, width=4, backbone=backbone, weights=path)
        assert torch.equal(values_of(again.backbone), values_of(net.backbone))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet34", {}, "are not of backbone 'resnet34': they lack layer1.2.conv1.weight, "),
        ("resnet50", {}, "they lack layer1.0.conv3.weight, .* …"),
        ("compact", {}, "they lack stages.0.0.0.weight, .* and have conv1.weight, bn1.weight,"),
        ("resnet18", {"in_channels": 1}, r"conv1.weight has shape \(64, 3, 7, 7\), and in this"),
    ],
)
def test_weights_of_another_net_are_refused_in_one_line(tmp_path, name, options, message):
    path = saved(tmp_path / "w.pth", get_model("resnet18", weights=None).state_dict())
    with pytest.raises(ValueError, match=message) as error:
        build_backbone(name, weights=path, **options)
    assert "\n" not in str(error.value)


def test_files_that_are_missing_or_hold_objects(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.pth: no such file of weights"):
        build_backbone("resnet18", weights=str(tmp_path / "none.pth"))
    path = saved(tmp_path / "net.pt", torch.nn.Linear(1, 1))
    with pytest.raises(ValueError, match=r"net.pt: not a file of weights: it holds torch.nn"):
        build_backbone("plain", weights=path)
