"""Shipped checkpoints by name: what loads, how fast little is imported, what is refused."""

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import upzoo
from release.manifest import write_manifest
from release.ship import halve
from runs import console, records
from tests.conftest import ROOT, compose_config
from upzoo import checkpoint, zoo
from upzoo.metrics.catalogue import current

BILINEAR = {"_target_": "models.upsampling.BilinearInit", "_partial_": True}
FCN = {
    "_target_": "models.fcn.FCN",
    "upsample": BILINEAR,
    "num_classes": 3,
    "in_channels": 3,
    "stride": 8,
    "width": 4,
}


def add(name, spec, seed=0):
    """Put a net into the zoo; gives it back as it was before rounding."""
    torch.manual_seed(seed)
    net = checkpoint.build(spec).eval()
    stem, _, data = name.partition(".")
    model, _, upsample = stem.partition("_")
    card = {
        "model": spec,
        "choices": {"model": model, "upsample": upsample, "data": data, "seed": seed},
        "mean": [0.5],
        "std": [0.5],
        "data": {"name": data, "licence": "MIT", "split": "test"},
        "metrics": {"test": {"miou": 0.5, "per_class_iou": {"a": 0.5}}},
    }
    checkpoint.save(zoo.ROOT / name, halve(net), card)
    write_manifest()
    return net


@pytest.fixture
def stock(tmp_path, monkeypatch):
    """A zoo of one FCN-8s, which is given as it was before rounding."""
    monkeypatch.setattr(zoo, "ROOT", tmp_path)
    return add("fcn8s_bilinear_init.shapes", FCN)


def refused(name, error=ValueError):
    with pytest.raises(error) as caught:
        zoo.load(name)
    line = console.explain(caught.value)
    assert line is not None
    assert "\n" not in str(caught.value)
    return line


def test_a_net_comes_back_in_float32_with_its_weights_rounded_to_float16(stock):
    net = upzoo.load("fcn8s_bilinear_init.shapes")
    assert not net.training
    for name, value in stock.state_dict().items():
        found = net.state_dict()[name]
        rounded = value.half().float() if value.ndim > 1 else value
        assert found.dtype == value.dtype
        assert torch.equal(found, rounded), name
    x = torch.randn(1, 3, 21, 34)
    torch.testing.assert_close(net(x), stock(x), rtol=0, atol=1e-2)


def test_the_manifest_says_what_lies_there(stock):
    (entry,) = zoo.entries().values()
    for file, listed in entry.pop("files").items():
        path = zoo.ROOT / "fcn8s_bilinear_init.shapes" / file
        said = subprocess.run(["sha256sum", path], capture_output=True, text=True).stdout
        assert listed == {"sha256": said[:64], "bytes": path.stat().st_size}
    assert entry == {
        "model": "fcn8s",
        "upsample": "bilinear_init",
        "data": "shapes",
        "recipe": None,
        "licence": "MIT",
        "split": "test",
        "seeds": None,
        "images": None,
        "scores": {"miou": 0.5},
    }


def test_unknown_names_get_close_ones_and_what_exists(stock):
    line = refused("fcn8s_bilinear.shapes")
    assert "did you mean 'fcn8s_bilinear_init.shapes'?" in line
    assert "upzoo.list_models() gives all 1: fcn8s_bilinear_init.shapes" in refused("zzz")
    for name in ("../fcn8s_bilinear_init.shapes", "/etc/passwd", "a/b", "", "."):
        with pytest.raises(ValueError, match=r"is no checkpoint of the zoo"):
            zoo.find(name)


def weights():
    return zoo.ROOT / "fcn8s_bilinear_init.shapes" / "model.safetensors"


def shut(monkeypatch):
    """Fail where a file is parsed although its bytes are not those listed."""

    def parsed(path):
        raise AssertionError(f"{path} was opened")

    monkeypatch.setattr(checkpoint, "load", parsed)


def test_truncated_and_changed_files_are_not_even_parsed(stock, monkeypatch):
    whole = weights().read_bytes()
    shut(monkeypatch)
    weights().write_bytes(whole[:-1])
    assert f"{len(whole) - 1} bytes, the manifest says {len(whole)}" in refused(
        "fcn8s_bilinear_init.shapes"
    )
    weights().write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "refused, checksum mismatch" in refused("fcn8s_bilinear_init.shapes")
    weights().unlink()
    assert "missing, though the manifest lists it" in refused(
        "fcn8s_bilinear_init.shapes", FileNotFoundError
    )


class Hostile:
    def __init__(self, flag):
        self.flag = flag

    def __reduce__(self):
        return os.mkdir, (str(self.flag),)


@pytest.mark.parametrize("write", ["pickle", "torch"])
def test_a_pickle_listed_with_its_own_hash_is_never_executed(stock, tmp_path, write):
    flag = tmp_path / "ran"
    if write == "pickle":
        weights().write_bytes(pickle.dumps(Hostile(flag)))
    else:
        torch.save({"state_dict": Hostile(flag)}, weights())
    write_manifest()
    assert "not a safetensors file" in refused("fcn8s_bilinear_init.shapes")
    assert not flag.exists()


def test_a_config_of_foreign_classes_is_refused(stock):
    path = weights().with_name("config.json")
    card = json.loads(path.read_text())
    card["model"] = {"_target_": "subprocess.run", "args": ["true"]}
    path.write_text(json.dumps(card))
    assert "bytes, the manifest says" in refused("fcn8s_bilinear_init.shapes")
    write_manifest()
    assert "_target_='subprocess.run' is not one of" in refused("fcn8s_bilinear_init.shapes")


def test_damaged_manifests(stock):
    path = zoo.ROOT / zoo.MANIFEST
    listed = zoo.entries()
    for change in ({"files": {"../x": {}}}, {"files": {"model.safetensors": {}}}, {"files": 0}):
        changed = {k: v | change for k, v in listed.items()}
        path.write_text(json.dumps({"address": None, "checkpoints": changed}))
        assert "'fcn8s_bilinear_init.shapes' is damaged" in refused("fcn8s_bilinear_init.shapes")
    path.write_text(json.dumps({"checkpoints": {"../x": dict.fromkeys(zoo.KEYS, "")}}))
    assert "'../x' is damaged" in refused("x")
    path.write_text("{")
    assert "not JSON" in refused("x")
    path.write_text("[]")
    assert "not a list of checkpoints" in refused("x")
    path.unlink()
    assert "the list of checkpoints is missing" in refused("x", FileNotFoundError)


def test_a_fresh_process_imports_torch_alone():
    code = (
        "import sys, upzoo\n"
        "assert 'torch' not in sys.modules\n"
        "assert upzoo.list_models('camvid')\n"
        "assert 'torch' not in sys.modules\n"
        "from upzoo import zoo\n"
        "own = [name for name in zoo.entries() if 'lite0' not in name]  # which is built by timm\n"
        "for name in own: assert not upzoo.load(name).training\n"
        "heavy = ('yaml', 'lightning', 'hydra', 'torchvision', 'timm', 'torch._dynamo')\n"
        "assert not [name for name in heavy if name in sys.modules]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


SHIPPED = zoo.entries()


def test_the_manifest_lists_every_folder():
    folders = {path.name for path in zoo.ROOT.iterdir() if path.is_dir()}
    assert folders == set(SHIPPED)
    for name in SHIPPED:
        assert (zoo.ROOT / name / "README.md").read_text().startswith(f"# {name}\n")


def test_no_shipped_net_was_chosen_among_seeds():
    assert len(SHIPPED) <= 40
    assert sum(f["bytes"] for entry in SHIPPED.values() for f in entry["files"].values()) < 30e6
    for name, entry in SHIPPED.items():
        text = (zoo.ROOT / name / "README.md").read_text()
        over_seeds = re.search(r"Over the \d+ seeds of its training", text)
        assert bool(over_seeds) == bool(entry.get("seeds"))
        assert "best of" not in text
        if name != "mnist_classifier":
            assert "Seed 0" in text


def test_the_long_nets_of_camvid_show_the_scores_of_the_test_split():
    scored = {
        "fcn8s_bilinear_init": "fcn8s-bilinear_init/test",  # of the rounded weights, as shipped
        "unet_bilinear_init": "unet-bilinear_init",
        "unet_bilinear_init_lite0": "unet_lite0-bilinear_init",
    }
    for name, folder in scored.items():
        entry = SHIPPED[f"{name}.camvid"]
        assert entry["split"] == "test"
        found = records.read(ROOT / "results/camvid" / folder / "record.json").metrics["test"]
        rounded = 1e-5 if folder.endswith("/test") else 2e-3
        shown = current(entry["scores"])
        for key in ("miou", "global_accuracy", "boundary_f1"):
            assert shown[key] == pytest.approx(found[key], rel=rounded)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_file_is_the_listed_one_and_small(name):
    assert zoo.find(name) == zoo.ROOT / name
    assert SHIPPED[name]["files"]["model.safetensors"]["bytes"] < 4_100_000
    for path in (zoo.ROOT / name).iterdir():
        assert path.suffix in (".safetensors", ".json", ".md", ".png")
    config = (zoo.ROOT / name / "config.json").read_text()
    for place in ("/home/", str(Path.home()), str(ROOT.parent)):
        assert place not in config


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_net_repeats_its_scores(name, tmp_path):
    """Where its data are drawn, or named by UPZOO_CAMVID, UPZOO_MNIST, UPZOO_EMOJI, …"""
    import evaluate

    entry = SHIPPED[name]
    variable = f"UPZOO_{entry['data'].upper()}"
    needs_root = "root" in checkpoint.load(zoo.find(name))[1]["config"]["data"]
    if needs_root and variable not in os.environ:
        pytest.skip(f"{variable} does not say where the data are")
    place = [f"root={os.environ[variable]}"] if needs_root else []
    options = [f"pretrained={name}", f"split={entry['split']}", f"logs={tmp_path}", *place]
    evaluate.use(compose_config("evaluate", options))
    (path,) = tmp_path.rglob("record.json")
    found = records.read(path).metrics[entry["split"]]
    # What looks at a discriminator cannot be repeated from the generator alone.
    for key in entry["scores"].keys() & found.keys():
        assert found[key] == pytest.approx(entry["scores"][key], rel=1e-3, abs=1e-3), key
    shutil.rmtree(tmp_path)
