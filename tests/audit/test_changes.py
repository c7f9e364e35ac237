"""What the commands change: corrected, swapped, distilled, told and written."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

import upzoo
from upzoo.audit import audit, command
from upzoo.audit.changes import (
    Examined,
    _drawn,
    before_after,
    call_arguments,
    choose_change,
    first_outputs,
    without_checkerboard,
    written,
)
from upzoo.audit.figure import draw
from upzoo.audit.inputs import Inputs


def small():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ConvTranspose2d(4, 4, 3, 2, 1, 1),
        nn.Conv2d(4, 3, 3, padding=1),
    )
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(torch.rand(len(parameter)).view(-1, *[1] * (parameter.ndim - 1)) + 0.3)
    return net.eval()


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    drawn = np.random.default_rng(0)
    for index in range(10):
        low = drawn.integers(0, 256, (10, 10, 3), dtype=np.uint8)
        Image.fromarray(low).resize((40, 48)).save(folder / f"{index}.png")
    return folder


X = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_two_changes_or_none():
    assert choose_change(False, None) is None
    with pytest.raises(ValueError, match="ask for one at a time"):
        choose_change(True, "dysample")
    with pytest.raises(ValueError, match="distil=photos wins back what a change cost"):
        choose_change(False, None, images="photos")


def test_a_correction_and_a_swap():
    net = small()
    report = audit(net, X)
    assert not report.ok
    fixed = choose_change(True, None)(net, report, X)
    assert fixed.recipe is None
    assert fixed.frozen == ("1",)
    assert audit(fixed.net, X).ok
    swapped = choose_change(False, "resize_conv")(net, report, X)
    assert swapped.recipe["swaps"][0]["name"] == "1"
    assert audit(swapped.net, X).ok
    flat = nn.Conv2d(3, 3, 1)
    clean = audit(flat, X)
    with pytest.raises(ValueError, match="no kernel of this net can be corrected"):
        choose_change(True, None)(flat, clean, X)


@pytest.mark.parametrize("images", ["photos", "drawn"])
def test_distillation_comes_closer_and_keeps_what_is_level(images, photos, monkeypatch):
    monkeypatch.setattr("upzoo.audit.changes.STEPS", 40)
    net = small()
    report = audit(net, X)
    path = str(photos) if images == "photos" else images
    fixed = choose_change(True, None)(net, report, X)
    better = choose_change(True, None, images=path)(net, report, X)
    assert torch.equal(better.net[1].weight, fixed.net[1].weight)
    assert not torch.equal(better.net[0].weight, fixed.net[0].weight)
    assert better.said[-1].startswith("distilled 40 steps on ")
    before, after = (float(w) for w in better.said[-1].split() if w.replace(".", "").isdigit()
                     and "." in w)  # fmt: skip
    assert after < before
    assert audit(better.net, X).ok


def test_a_swapped_net_learns_from_one_without_a_checkerboard(photos, monkeypatch):
    monkeypatch.setattr("upzoo.audit.changes.STEPS", 20)
    net = small()
    report = audit(net, X)
    teacher, (said,) = without_checkerboard(net, report, X, str(photos))
    assert said.startswith("learned from the old net with levelled kernels, distilled 20 steps")
    assert audit(teacher, X).ok
    assert without_checkerboard(teacher, audit(teacher, X), X, str(photos)) == (teacher, [])
    swapped = choose_change(False, "resize_conv", images=str(photos))(net, report, X)
    assert [line.split()[0] for line in swapped.said] == ["1:", "learned", "distilled"]
    assert audit(swapped.net, X).ok


def test_no_step_on_drawn_codes_sees_one_twice():
    codes = torch.cat([b.args[0] for b in _drawn(Inputs((torch.randn(4, 8),), {}))])
    assert len(codes) == 375 * 32
    assert len(codes.unique(dim=0)) == len(codes)


def test_a_generator_is_distilled_on_codes_alone(tmp_path):
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(4, 64), nn.Unflatten(1, (4, 4, 4)), nn.ConvTranspose2d(4, 1, 3, 2)
    )
    z = torch.randn(2, 4)
    change = choose_change(True, None, images=str(tmp_path))
    report = audit(net, z)
    with pytest.raises(ValueError, match="takes no pictures; distil=drawn draws codes"):
        change(net, report, z)


def test_what_is_said():
    net = small()
    report, clean = audit(net, X), audit(upzoo.correct(net, example=X)[0], X)
    lines = before_after(report, clean, 12.34, "photos")
    assert lines[0] == f"checkerboard: {report.db:.1f} dB before, 0.0 dB after"
    assert lines[1] == "change of the output on your pictures: 12.3 dB (variance over change)"
    assert "may cost quality" in lines[2]
    assert "--distil" in lines[2]
    assert len(before_after(report, clean, 40.0, None)) == 2
    assert len(before_after(report, clean, math.inf, None)) == 2
    assert "not measured" in before_after(report, clean, None, None)[1]


def test_written_weights_load_where_they_belong(tmp_path):
    net = small()
    report = audit(net, X)
    fixed = choose_change(True, None)(net, report, X)
    path = tmp_path / "better.safetensors"
    said = written(str(path), Examined(fixed.net, report, []))
    assert said == [f"weights: {path}"]
    again = small()
    again.load_state_dict(load_file(path))
    assert torch.equal(again(X), fixed.net(X))
    swapped = choose_change(False, "resize_conv")(net, report, X)
    folder = tmp_path / "swapped"
    written(str(folder), Examined(swapped.net, report, [], swapped.recipe))
    recipe = json.loads((folder / "weights.recipe.json").read_text())
    again, _ = upzoo.swap(small(), recipe=recipe)
    again.load_state_dict(load_file(folder / "weights.safetensors"))
    assert torch.equal(again(X), swapped.net(X))
    with pytest.raises(ValueError, match="exists: give the name of a new folder"):
        written(str(folder), Examined(swapped.net, report, [], swapped.recipe))


def test_arguments_of_a_call():
    assert call_arguments(Inputs((X,), {})) == (X,)
    assert call_arguments(Inputs((), {"x": X})) == {"x": X}
    with pytest.raises(ValueError, match="the net takes t by keyword"):
        call_arguments(Inputs((X,), {"t": X}))


def test_pictures_before_and_after_stand_below(tmp_path):
    net = small()
    fixed, _ = upzoo.correct(net, example=X)
    old, new = first_outputs(net, fixed, X, None)
    assert old.shape == new.shape == (3, 64, 64)
    torch.testing.assert_close(old, net(X)[0].double())
    reports = [audit(net, X), audit(fixed, X)]
    assert len(draw(reports, ("before", "after"), (old, new)).axes) == 8
    assert len(draw(reports, ("before", "after"), (None, None)).axes) == 6


def test_output_needs_a_change(capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(["audit", "mynets:build", "--output", "x.pth"])
    assert ended.value.code == 2
    assert "is for a changed net: give --correct or --swap" in capsys.readouterr().err
