"""Runs become checkpoints: rounded, scored again, told of in a card, listed."""

import dataclasses
import hashlib
import shutil

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

import evaluate
from release import listing
from release.manifest import write_manifest
from release.ship import TooLargeError, halve, refuse_large, ship, used_part
from runs import console, records, scrub
from tests.conftest import compose_config
from upzoo import checkpoint, zoo

NAME = "fcn8s_bilinear_init.shapes"
SEEDS = {"count": 3, "score": "miou", "split": "test", "mean": 0.13, "half": 0.02}


@pytest.fixture(scope="module")
def shop(trained, tmp_path_factory):
    """A zoo with one shipped run."""
    root = tmp_path_factory.mktemp("zoo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zoo, "ROOT", root)
        assert ship(trained, NAME, SEEDS) == root / NAME
    return root


@pytest.fixture(autouse=True)
def _there(shop, monkeypatch):
    monkeypatch.setattr(zoo, "ROOT", shop)


def card():
    return checkpoint.read_config(zoo.ROOT / NAME)


def test_weights_are_rounded_and_statistics_are_not(trained):
    stored = load_file(zoo.ROOT / NAME / "model.safetensors")
    original = load_file(trained / "model" / "model.safetensors")
    assert stored.keys() == original.keys()
    for name, value in original.items():
        assert torch.equal(stored[name], value.half() if value.ndim > 1 else value), name


def test_its_scores_are_those_of_the_shipped_weights(trained, tmp_path):
    evaluate.use(compose_config("evaluate", [f"pretrained={NAME}", f"logs={tmp_path}"]))
    (path,) = tmp_path.rglob("record.json")
    found = records.read(path).metrics["test"]
    kept = card()["metrics"]
    then = records.read(trained / "record.json").metrics
    assert kept.keys() == then.keys()
    scores = {k: v for k, v in kept["test"].items() if isinstance(v, float)}
    assert {"miou", "boundary_f1", "checkerboard_db"} <= scores.keys()
    for name, value in scores.items():
        assert found[name] == pytest.approx(value, rel=1e-5, abs=1e-6), name
        assert then["test"][name] == pytest.approx(value, rel=0.05, abs=0.01), name


def test_the_card_and_the_manifest_tell_what_was_done(trained):
    (entry,) = zoo.entries().values()
    for name, listed in entry["files"].items():
        content = (zoo.ROOT / NAME / name).read_bytes()
        assert listed == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    assert entry["scores"]["miou"] == card()["metrics"]["test"]["miou"]
    assert set(card()["config"]) == {
        "seed", "init", "average", "artifacts", "data", "task", "trainer",
    }  # fmt: skip
    text = (zoo.ROOT / NAME / "README.md").read_text()
    assert text.startswith(f"# {NAME}\n")
    parameters = sum(p.numel() for p in checkpoint.load(trained)[0].parameters())
    assert f"{parameters:,} parameters" in text
    for words in ("MIT", "python evaluate.py pretrained=", f"{100 * entry['scores']['miou']:.1f}",
                  "Over the 3 seeds of its training: Mean IoU, % 13.0 ± 2.0 on test (95 %",
                  " split=test  # reprod"):  # fmt: skip
        assert words in text
    assert "gradient" not in text.lower()
    for path in (zoo.ROOT / NAME).iterdir():
        if path.suffix != ".safetensors":
            assert str(trained.parent) not in path.read_text()


def test_shipping_again_replaces_and_the_manifest_follows_the_folders(trained):
    before = (zoo.ROOT / "manifest.json").read_bytes()
    shutil.copytree(zoo.ROOT / NAME, zoo.ROOT / "another.shapes")
    assert list(write_manifest()) == ["another.shapes", NAME]
    shutil.rmtree(zoo.ROOT / "another.shapes")
    write_manifest()
    assert (zoo.ROOT / "manifest.json").read_bytes() == before


def test_the_list_shows_names_scores_and_licences(capsys):
    screen = Console(width=200, record=True)
    screen.print(*listing.tables(zoo.entries()))
    text = screen.export_text()
    miou = zoo.entries()[NAME]["scores"]["miou"]
    recipe = zoo.entries()[NAME]["recipe"]
    for words in (NAME, "Mean IoU, %", f"{100 * miou:.1f}", recipe, "MIT: drawn by UpZoo itself",
                  "scores on test; interval of the mean over 3 seeds", "13.0 ± 2.0"):  # fmt: skip
        assert words in text
    capsys.readouterr()
    evaluate.use(compose_config("evaluate", ["list=true"]))
    assert NAME.partition(".")[0] in capsys.readouterr().out
    evaluate.use(compose_config("evaluate", ["list=shapes"]))
    assert NAME.partition(".")[0] in capsys.readouterr().out
    with pytest.raises(ValueError, match="list=carafe: none of the 1 checkpoints has that"):
        evaluate.use(compose_config("evaluate", ["list=carafe"]))


def refused(*arguments):
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        ship(*arguments)
    line = console.explain(caught.value)
    assert line is not None
    assert "\n" not in str(caught.value)
    assert set(zoo.entries()) == {NAME}
    return line


@pytest.mark.parametrize(
    "name",
    ["fcn8s_bilinear_init.camvid", "unet_bilinear_init.shapes", "fcn8s_bilinear_init", "../x",
     "fcn8s_bilinear_initial.shapes", "fcn8s_bilinear_init_/.shapes"],
)  # fmt: skip
def test_names_are_those_of_the_run(trained, name):
    assert "this run is fcn8s_bilinear_init.shapes" in refused(trained, name)


def test_what_is_not_shipped(trained, tmp_path, monkeypatch):
    assert "no such record" in refused(tmp_path / "nowhere", NAME)
    monkeypatch.setattr("release.ship.MAX_BYTES", 1000)
    assert "more than the 1,000 of a shipped checkpoint" in refused(trained, NAME)
    record = records.read(trained / "record.json")
    stopped = dataclasses.replace(record, status="interrupted")
    records.write(tmp_path / "run" / "record.json", stopped)
    assert "this run is interrupted" in refused(tmp_path / "run", NAME)


def test_the_checkpoints_together_have_limits(monkeypatch, tmp_path):
    monkeypatch.setattr(zoo, "ROOT", tmp_path)
    for name in ("one.shapes", "other.shapes"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(bytes(400))
    monkeypatch.setattr("release.ship.ALL_BYTES", 1000)
    refuse_large("run", "third.shapes", 200)
    refuse_large("run", "one.shapes", 600)  # which it replaces
    with pytest.raises(TooLargeError, match=r"3 checkpoints of 1,001 bytes, more than 40 or 1,000"):
        refuse_large("run", "third.shapes", 201)
    monkeypatch.setattr("release.ship.MOST", 2)
    with pytest.raises(TooLargeError, match="more than 2 or 1,000: remove one"):
        refuse_large("run", "third.shapes", 1)
    refuse_large("run", "other.shapes", 1)


def test_weights_beyond_float16_are_refused():
    net = torch.nn.Conv2d(1, 1, 1)
    torch.nn.init.constant_(net.bias, 1e6)  # stays float32
    assert halve(net).bias.item() == 1e6
    torch.nn.init.constant_(net.weight, 7e4)
    with pytest.raises(ValueError, match="beyond 65504"):
        halve(net)


def test_of_a_gan_the_generator_alone_is_used():
    spec = {
        "_target_": "models.dcgan.DCGAN",
        "_convert_": "all",
        "upsample": {"_target_": "models.upsampling.PixelShuffle", "_partial_": True},
        "in_channels": 1,
        "size": [28, 28],
        "latent": 6,
        "width": 4,
        "stem": 3,
        "kernel": 4,
        "norm": False,
    }
    net = checkpoint.build(spec).eval()
    part, own = used_part(net, spec)
    again = checkpoint.build(own).eval()
    again.load_state_dict(part.state_dict())
    z = torch.randn(2, 6)
    assert torch.equal(again(z), net(z))
    assert own.keys() == {"_target_", "upsample", "size", "channels", "latent", "width", "stem"}


def test_a_config_is_freed_of_one_machines_folders():
    data = {"_target_": "data.camvid.CamVid", "root": "/data/x", "size": [360, 480]}
    model = {"weights": "/data/x/resnet50.pth", "width": 8}
    freed = scrub.config({"seed": 1, "init": "/data/x/seed0-1", "data": data, "model": model})
    assert freed == {
        "seed": 1,
        "init": "RUN",
        "data": data | {"root": None},
        "model": {"weights": "FILE", "width": 8},
    }


def test_a_command_is_freed_of_one_machines_folders(monkeypatch):
    monkeypatch.setattr(zoo, "entries", lambda: {"unet_bilinear_init.camvid": {}})
    command = (
        "python train.py model=unet data.root=/data/x logs=/tmp/l 'upsample=glob(*)' ckpt=last"
    )
    freed = scrub.command(command)
    assert freed == "python train.py model=unet data.root=PATH 'upsample=glob(*)'"
    started = scrub.command("python train.py init=/data/x/seed0-1 seed=1")
    assert started == "python train.py init=RUN seed=1"
    weights = scrub.command("python train.py model.weights=/data/x/r.pth")
    assert weights == "python train.py model.weights=FILE"
    for kept in ("model.weights=DEFAULT", "init=unet_bilinear_init.camvid", "init=null"):
        assert scrub.command(f"python train.py {kept}") == f"python train.py {kept}"
    scored = scrub.command("python evaluate.py pretrained=x root=/data/x split=test logs=/tmp/l")
    assert scored == "python evaluate.py pretrained=x root=PATH split=test"
