"""evaluate.py: the scores that training reported, other data, and a user's own images."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import evaluate
from runs import console, records
from tests.conftest import compose_config
from upzoo import checkpoint


def run(*overrides):
    evaluate.use(compose_config("evaluate", list(overrides)))


def opened(path):
    with Image.open(path) as image:
        image.load()
    return image


def record_of(logs):
    (path,) = logs.rglob("record.json")
    return records.read(path)


@pytest.mark.parametrize("what", ["", "model", "checkpoints/best.ckpt"])
def test_scores_agree_with_those_of_training(trained, tmp_path, what):
    run(f"ckpt={trained / what}", f"logs={tmp_path}")
    record = record_of(tmp_path)
    then = records.read(trained / "record.json").metrics["test"]
    now = record.metrics["test"]
    assert now.keys() == then.keys()
    for name, value in then.items():
        assert now[name] == pytest.approx(value, abs=1e-6), name
    assert record.data["split"] == "test"
    (panel,) = tmp_path.rglob("test.png")
    assert opened(panel).size[0] > 256


def test_the_stored_config_counts_not_todays_defaults(trained, tmp_path):
    """The net of the run has width 4; the default of today is another."""
    run(f"ckpt={trained}", f"logs={tmp_path}")
    assert record_of(tmp_path).cost["parameters"] == sum(
        p.numel() for p in checkpoint.load(trained)[0].parameters()
    )


def test_another_split_and_other_data(trained, tmp_path):
    run(f"ckpt={trained}", f"logs={tmp_path}", "split=val")
    assert list(record_of(tmp_path).metrics) == ["val"]
    other = tmp_path / "other"
    run(f"ckpt={trained}", f"logs={other}", "data=shapes", "data.size=[40,24]", "data.test=3",
        "data.train=3", "data.val=3")  # fmt: skip
    record = record_of(other)
    assert record.cost["image_size"] == [40, 24]
    assert record.data["fingerprint"] != record_of_training(trained).data["fingerprint"]


def record_of_training(folder):
    return records.read(folder / "record.json")


def test_own_images_are_segmented_at_their_own_size(trained, tmp_path):
    rng = np.random.default_rng(0)
    photos = tmp_path / "photos"
    photos.mkdir()
    pixels = rng.integers(0, 256, (37, 61, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(photos / "a.png")
    Image.fromarray(pixels[:, :, 0]).save(photos / "grey.png")
    Image.fromarray(pixels[:20, :50]).save(photos / "c.jpg")
    run(f"ckpt={trained}", f"input={photos}", f"output={tmp_path / 'masks'}")
    assert sorted(p.name for p in (tmp_path / "masks").iterdir()) == ["a.png", "c.png", "grey.png"]

    net, card = checkpoint.load(trained)
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    x = (x - torch.tensor(card["mean"]).view(3, 1, 1)) / torch.tensor(card["std"]).view(3, 1, 1)
    mask = opened(tmp_path / "masks" / "a.png")
    np.testing.assert_array_equal(np.asarray(mask), net(x)[0].argmax(0).numpy())
    assert mask.getpalette()[:6] == [value for colour in card["palette"][:2] for value in colour]
    assert opened(tmp_path / "masks" / "c.png").size == (50, 20)


def test_a_single_image_gets_a_mask_beside_it(trained, tmp_path):
    Image.new("RGB", (33, 20), "red").save(tmp_path / "photo.jpg")
    run(f"ckpt={trained}", f"input={tmp_path / 'photo.jpg'}")
    assert opened(tmp_path / "photo_mask.png").size == (33, 20)


def refused(*overrides):
    with pytest.raises(Exception, match=r".") as caught:
        run(*overrides)
    line = console.explain(caught.value)
    assert line is not None, caught.value
    assert "\n" not in line
    return line


def test_refusals(trained, tmp_path):
    assert "no net is given: give one of ckpt=RUN, convert=WEIGHTS.pth, audit=" in refused()
    assert "ckpt and audit are given" in refused(f"ckpt={trained}", "audit=torchvision:resnet18")
    assert "this net draws nothing from noise" in refused(f"ckpt={trained}", "samples=4")
    assert "no such checkpoint" in refused(f"ckpt={tmp_path / 'none'}")
    assert "has no split dev" in refused(f"ckpt={trained}", "split=dev", f"logs={tmp_path}")
    assert "no such file or folder" in refused(f"ckpt={trained}", "input=nowhere.png")
    (tmp_path / "broken.png").write_bytes(b"not an image")
    assert "cannot read the image" in refused(f"ckpt={trained}", f"input={tmp_path / 'broken.png'}")
    assert not list(tmp_path.rglob("*.tmp"))
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no image in this folder" in refused(f"ckpt={trained}", f"input={empty}")
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    assert "the mask is a PNG file" in refused(
        f"ckpt={trained}", f"input={tmp_path / 'x.png'}", "output=x.jpg"
    )


def test_data_with_other_classes_is_refused(trained, tmp_path):
    root = tmp_path / "mine"
    for kind, mode in (("images", "RGB"), ("masks", "L")):
        for split in ("train", "val"):
            (root / kind / split).mkdir(parents=True)
            Image.new(mode, (16, 16)).save(root / kind / split / "a.png")
    line = refused(
        f"ckpt={trained}", "data=folder", f"data.root={root}", "data.classes=[a,b]",
        f"logs={tmp_path / 'logs'}",
    )  # fmt: skip
    assert "the net tells 9 classes apart, folder has 2" in line


def test_a_run_that_was_moved_still_evaluates(trained, tmp_path):
    moved = shutil.copytree(trained, tmp_path / "elsewhere")
    run(f"ckpt={moved}", f"logs={tmp_path / 'logs'}")
    text = next((tmp_path / "logs").rglob("record.json")).read_text()
    assert json.loads(text)["status"] == "finished"
