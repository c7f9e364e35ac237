"""Model files: what is built, what is read back, what is refused."""

import json
import pickle
import sys

import pytest
import torch
import yaml

from upzoo import checkpoint
from upzoo.fcn import FCN

SPEC = {
    "_target_": "models.fcn.FCN",
    "upsample": {
        "_target_": "models.upsampling.BilinearInit",
        "_partial_": True,
        "trainable": True,
    },
    "num_classes": 3,
    "width": 4,
}


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    net = checkpoint.build(SPEC).eval()
    return net, checkpoint.save(tmp_path / "model", net, {"model": SPEC, "classes": ["a", "b"]})


def test_build_makes_what_the_spec_says():
    net = checkpoint.build(SPEC)
    assert isinstance(net, FCN)
    assert [up.scale for up in net.upsamples] == [2, 2, 8]
    assert all(up.weight.requires_grad for up in net.upsamples)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"_target_": "os.system"}, r"_target_='os.system' is not one of"),
        ({"upsample": {"_target_": "subprocess.run", "_partial_": True}}, r"subprocess.run"),
        ({"strid": 8}, r"FCN has no option 'strid': did you mean 'stride'"),
    ],
)
def test_build_refuses_what_is_not_ours(change, message):
    with pytest.raises(ValueError, match=message):
        checkpoint.build({**SPEC, **change})


def test_round_trip_is_exact(saved):
    net, folder = saved
    again, card = checkpoint.load(folder)
    x = torch.randn(1, 3, 21, 34)
    assert torch.equal(again(x), net(x))
    assert card["classes"] == ["a", "b"]
    assert not again.training


def test_a_runs_folder_and_its_lightning_checkpoints_load_alike(trained):
    x = torch.randn(1, 3, 32, 32)
    (a, card), (b, other) = (
        checkpoint.load(p) for p in (trained, trained / "checkpoints" / "best.ckpt")
    )
    assert torch.equal(a(x), b(x))
    assert card["model"] == other["model"]


def test_a_failed_write_leaves_nothing_and_keeps_the_old(saved, monkeypatch):
    net, folder = saved
    before = (folder / "model.safetensors").read_bytes()

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(checkpoint.json, "dumps", fail)
    with pytest.raises(OSError, match="disk full"):
        checkpoint.save(folder, net, {"model": SPEC})
    assert (folder / "model.safetensors").read_bytes() == before
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such checkpoint"):
        checkpoint.load(tmp_path / "none")


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(ValueError, match=r"no model file here, model.safetensors is missing"):
        checkpoint.load(tmp_path)


def test_truncated_weights(saved):
    _, folder = saved
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ValueError, match=r"model.safetensors: not a safetensors file"):
        checkpoint.load(folder)


def test_weights_of_another_model(saved):
    _, folder = saved
    card = checkpoint.read_config(folder)
    card["model"]["num_classes"] = 4
    (folder / "config.json").write_text(json.dumps(card))
    with pytest.raises(ValueError, match=r"the weights do not fit the stored config"):
        checkpoint.load(folder)


def test_a_config_of_before_is_read_where_there_is_yaml(saved, monkeypatch):
    net, folder = saved
    card = checkpoint.read_config(folder)
    (folder / "config.json").unlink()
    (folder / "config.yaml").write_text(yaml.safe_dump(card))
    again, read = checkpoint.load(folder)
    assert read == card
    x = torch.randn(1, 3, 21, 34)
    assert torch.equal(again(x), net(x))
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ValueError, match=r"an old model file, which needs pip install pyyaml"):
        checkpoint.load(folder)


def test_damaged_configs(saved):
    _, folder = saved
    path = folder / "config.json"
    for text, message in (("{", "not a JSON file"), ("[]", "it has no `model`")):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            checkpoint.load(folder)
    path.unlink()
    with pytest.raises(ValueError, match=r"no model file here, config.json is missing"):
        checkpoint.load(folder)


def test_yaml_that_would_run_code_is_refused(saved, tmp_path):
    _, folder = saved
    flag = tmp_path / "ran"
    (folder / "config.json").unlink()
    (folder / "config.yaml").write_text(f"model: !!python/object/apply:os.mkdir ['{flag}']\n")
    with pytest.raises(ValueError, match="not a YAML file"):
        checkpoint.load(folder)
    assert not flag.exists()


class Hostile:
    def __init__(self, flag):
        self.flag = flag

    def __reduce__(self):
        import os

        return os.mkdir, (str(self.flag),)


@pytest.mark.parametrize("write", ["pickle", "torch"])
def test_a_pickle_is_refused_and_never_executed(tmp_path, write):
    flag, path = tmp_path / "ran", tmp_path / "weights.ckpt"
    if write == "pickle":
        path.write_bytes(pickle.dumps(Hostile(flag)))
    else:
        torch.save({"state_dict": Hostile(flag)}, path)
    with pytest.raises(ValueError, match="never executed"):
        checkpoint.load(path)
    assert not flag.exists()


def test_plain_weights_without_a_config(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"weight": torch.ones(1)}, path)
    with pytest.raises(ValueError, match="carries no model config"):
        checkpoint.load(path)
