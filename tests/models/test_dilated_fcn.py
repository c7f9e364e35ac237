"""The FCN on a dilated ResNet: any size, its refusals. `test_conversion.py` has its arithmetic."""

import inspect
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from upzoo.backbones import ResNet
from upzoo.dilated_fcn import DilatedFCN
from upzoo.upsampling import OPERATORS

INTERPOLATE = OPERATORS["interpolate"]


def test_any_size_and_a_gradient_for_every_parameter():
    torch.manual_seed(0)
    net = DilatedFCN(OPERATORS["transposed_conv"], 3, in_channels=1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):  # residual branches start closed
            nn.init.ones_(module.weight)
    x = torch.randn(2, 1, 9, 17)
    assert not net(x).any()  # every class starts equally likely
    nn.init.normal_(net.head[-1].weight)
    y = net(x)
    assert y.shape == (2, 3, 9, 17)
    y.square().sum().backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_a_dilated_backbone_keeps_what_it_knows():
    # Weights and their shapes are those of the net that halves: released ones fit.
    with torch.device("meta"):
        plain, dilated = ResNet(depth=101), ResNet(depth=101, dilated=True)
        features = dilated(torch.empty(1, 3, 65, 50))
    shapes = [{k: v.shape for k, v in net.state_dict().items()} for net in (plain, dilated)]
    assert shapes[0] == shapes[1]
    assert {s: tuple(f.shape[1:]) for s, f in features.items()} == {
        2: (64, 33, 25),
        4: (256, 17, 13),
        8: (2048, 9, 7),
    }
    steps = [dilated.layer3[1], dilated.layer4[1]]
    assert [block.conv2.dilation for block in steps] == [(2, 2), (4, 4)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 0}, "num_classes=0 must be"),
        ({"backbone": "resnet18"}, "backbone='resnet18' must be resnet50 or resnet101"),
        ({"dropout": 1.0}, "dropout=1.0 must be at least 0 and below 1"),
        ({"weights": "best"}, "weights='best' of resnet50"),
        ({"upsample": OPERATORS["max_unpool"]}, "DilatedFCN does not take MaxUnpool"),
        ({"upsample": partial(OPERATORS["fade"])}, "DilatedFCN does not take Fade"),
    ],
)
def test_refusals_are_one_line(options, message):
    with pytest.raises(ValueError, match=message) as error, torch.device("meta"):
        DilatedFCN(**{"upsample": INTERPOLATE, "num_classes": 3} | options)
    assert "\n" not in str(error.value)


def test_a_small_resnet_is_not_dilated():
    with pytest.raises(ValueError, match="dilated=True fits resnet50 and resnet101, not resnet18"):
        ResNet(depth=18, dilated=True)


def test_the_config_lists_every_option_with_its_default():
    path = Path(__file__).parents[2] / "configs/model/dilated_fcn.yaml"
    config = yaml.safe_load(path.read_text())
    assert config.pop("_target_") == "models.dilated_fcn.DilatedFCN"
    assert config.pop("_convert_") == "all"
    assert config.pop("upsample") == "${upsample}"
    parameters = inspect.signature(DilatedFCN).parameters
    defaults = {n: p.default for n, p in parameters.items() if n != "upsample"}
    # What the data tell is left open.
    assert config == defaults | {"num_classes": None, "in_channels": None}
