"""Model files through huggingface_hub's mixin, on folders of this machine."""

import sys

import pytest
import torch

import upzoo
from upzoo import checkpoint

pytest.importorskip("huggingface_hub")
from upzoo.hub import HubModel

SPEC = {
    "_target_": "models.unet.UNet",
    "upsample": {"_target_": "models.upsampling.DySample", "_partial_": True},
    "num_classes": 3,
    "width": 4,
    "depth": 2,
}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return HubModel(checkpoint.build(SPEC).eval(), {"model": SPEC, "classes": ["a", "b", "c"]})


def test_what_is_saved_comes_back_and_is_a_model_file(model, tmp_path):
    folder = tmp_path / "saved"
    model.save_pretrained(folder)
    assert {p.name for p in folder.iterdir()} == {"README.md", "config.json", "model.safetensors"}
    again = HubModel.from_pretrained(folder)
    x = torch.randn(1, 3, 9, 12)
    assert again.metadata == model.metadata
    assert torch.equal(again(x), model(x))
    assert torch.equal(again.net(x), upzoo.load(folder)(x))
    assert "upzoo" in (folder / "README.md").read_text()
    again.save_pretrained(folder)
    assert checkpoint.read_config(folder) == model.metadata


def test_a_shipped_net_is_saved(tmp_path):
    HubModel.of("dcgan_transposed_conv.mnist").save_pretrained(tmp_path / "m")
    net, metadata = checkpoint.load(tmp_path / "m")
    shipped = upzoo.load("dcgan_transposed_conv.mnist").state_dict()
    assert metadata["choices"]["upsample"] == "transposed_conv"
    assert all(torch.equal(value, shipped[name]) for name, value in net.state_dict().items())


def test_what_is_pushed_is_the_model_file(model, monkeypatch):
    """The hub's own calls, up to the upload."""
    from huggingface_hub import HfApi

    sent = {}

    def upload(self, *, repo_id, folder_path, **_):
        net, metadata = checkpoint.load(folder_path)
        sent[repo_id] = metadata, net

    monkeypatch.setattr(
        HfApi, "create_repo", lambda self, repo_id, **_: type("R", (), {"repo_id": repo_id})
    )
    monkeypatch.setattr(HfApi, "upload_folder", upload)
    model.push_to_hub("me/net")
    metadata, net = sent["me/net"]
    assert metadata == model.metadata
    x = torch.randn(1, 3, 9, 12)
    assert torch.equal(net(x), model(x))


def test_a_repository_is_read_through_the_cache(model, tmp_path, monkeypatch):
    model.save_pretrained(tmp_path / "there")
    asked = {}

    def download(repo, **options):
        asked[repo] = options
        return str(tmp_path / "there")

    monkeypatch.setattr("upzoo.hub.snapshot_download", download)
    monkeypatch.setattr(
        "huggingface_hub.hub_mixin.hf_hub_download",
        lambda **_: str(tmp_path / "there" / "config.json"),
    )
    again = HubModel.from_pretrained("me/net", revision="v1")
    assert asked["me/net"]["allow_patterns"] == ["model.safetensors", "config.json"]
    assert asked["me/net"]["revision"] == "v1"
    assert again.metadata == model.metadata


def test_refusals(monkeypatch):
    with pytest.raises(ValueError, match="metadata has no 'model'"):
        HubModel(torch.nn.Identity(), {})
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.delitem(sys.modules, "upzoo.hub")
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'upzoo\[hub\]'"):
        import upzoo.hub  # noqa: F401
