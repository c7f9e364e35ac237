"""`evaluate.py convert=FILE`: what is said, written and refused."""

import numpy as np
import pytest
import torch
from PIL import Image

import evaluate
from runs import console
from tests.conftest import compose_config
from tests.models.originals import ReleasedFCN, brain_unet, dcgan, popular_unet, shaken
from upzoo import checkpoint


def run(*overrides):
    evaluate.use(compose_config("evaluate", [str(o) for o in overrides]))


def refused(*overrides):
    with pytest.raises(Exception, match=r".") as caught:
        run(*overrides)
    line = console.explain(caught.value)
    assert line is not None, caught.value
    assert "\n" not in line
    return line


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def saved(path, net):
    torch.save(shaken(net).state_dict(), path)
    return path


@pytest.fixture
def photo(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (37, 50, 3), dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.mark.parametrize("option", ["convert", "foreign"])
@torch.no_grad()
def test_the_mask_is_the_originals_and_the_note_is_printed(tmp_path, photo, option, capsys):
    original = shaken(popular_unet())
    weights = saved(tmp_path / "unet.pth", original)
    run(f"{option}={weights}", f"input={photo}", f"output={tmp_path / 'mask.png'}")
    assert "unet: images in 0 … 1; equals the original at every size" in capsys.readouterr().out
    image = torch.from_numpy(np.array(Image.open(photo))).permute(2, 0, 1)[None] / 255
    expected = original(image)[0].argmax(0).numpy()
    assert (np.array(Image.open(tmp_path / "mask.png")) == expected).mean() > 0.999


def test_the_fcn_trained_at_once_is_named_in_one_line(tmp_path, capsys):
    weights = saved(tmp_path / "fcn.pth", ReleasedFCN(8))
    line = "the FCN-8s trained at once has the same names"
    for option, told in (("format=fcn8s", True), ("layout=fcn8s_at_once", False)):
        run(f"convert={weights}", option, f"output={tmp_path / option[-4:]}")
        assert (line in capsys.readouterr().out) is told
    _, card = checkpoint.load(tmp_path / "once")
    assert card["conversion"]["format"] == "fcn8s_at_once"


@torch.no_grad()
def test_images_are_normalised_by_themselves_where_the_net_was_trained_so(tmp_path, photo):
    original = shaken(brain_unet())
    Image.open(photo).crop((0, 0, 48, 32)).save(photo)
    weights = saved(tmp_path / "brain.pt", original)
    run(f"convert={weights}", f"input={photo}", f"output={tmp_path / 'mask.png'}")
    image = torch.from_numpy(np.array(Image.open(photo))).permute(2, 0, 1).float() / 255
    mean, std = image.mean((1, 2), keepdim=True), image.std((1, 2), correction=0, keepdim=True)
    expected = original(((image - mean) / std)[None])[0, 0] > 0
    assert 0.1 < expected.float().mean() < 0.9
    assert (np.array(Image.open(tmp_path / "mask.png")) == expected.numpy()).mean() > 0.999


def test_refusals(tmp_path, photo):
    four = saved(tmp_path / "four.pth", popular_unet(channels=4))
    assert "reads images of 4 channels, and input= gives it 3" in refused(
        f"convert={four}", f"input={photo}"
    )
    judge = saved(tmp_path / "judge.pth", dcgan("example", 3, False))
    assert "this net judges whole images and makes none" in refused(
        f"convert={judge}", f"input={photo}"
    )
    assert "draws nothing from noise" in refused(f"convert={judge}", "samples=4")
    assert "is unet: give input=IMAGE to apply it" in refused(f"convert={four}")
    assert "format='x' is unknown: choose from" in refused(f"convert={four}", "format=x")
    assert "is convert= by its older name: give one of them" in refused(
        f"convert={four}", f"foreign={four}"
    )
    small = tmp_path / "small.png"
    Image.new("RGB", (15, 40)).save(small)
    three = saved(tmp_path / "three.pth", popular_unet())
    assert "40×15 is too small" in refused(f"convert={three}", f"input={small}")
    torch.save({"model": torch.nn.Linear(1, 1)}, tmp_path / "object.pt")
    assert "it holds torch.nn.modules.linear.Linear" in refused(
        f"convert={tmp_path / 'object.pt'}", f"input={photo}"
    )
