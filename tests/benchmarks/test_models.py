"""Peers are the same nets with the same choices, and the tables say what was measured."""

import json
import sys

import pytest
import torch
from torch import nn

from benchmarks import devices, models, peer_nets
from benchmarks.peers import installed
from benchmarks.sides import Adversaries, Side
from comparison.pages import inserted
from tests.conftest import ROOT

SPEED = {"median": 1.2, "low": 1.1, "high": 1.3, "min": 1.0, "max": 1.4, "level": 0.98}


class Fake:
    """A side that does nothing, and notes that it was compiled."""

    def __init__(self, *made):
        self.made, self.compiled = made, False

    def compile(self):
        self.compiled = True

    def train(self):
        pass

    def infer(self):
        pass


def test_both_sides_are_compiled_and_a_peer_may_choose_its_layout():
    sides = models.sides_of({"ours": Fake, "peer": Fake}, torch.bfloat16, compiled=True)
    last, first = (torch.bfloat16, models.LAST), (torch.bfloat16, models.FIRST)
    assert {name: (side.made, side.compiled) for name, side in sides.items()} == {
        "ours": (last, False),
        "ours, compiled": (last, True),
        "peer": (last, False),
        "peer, channels-first": (first, False),
        "peer, compiled": (last, True),
    }
    assert list(models.sides_of({"ours": Fake}, torch.float32, compiled=False)) == ["ours"]


def test_a_compiled_peer_meets_our_compiled_net(monkeypatch):
    seconds = {"ours": [1.0, 2.0, 4.0], "ours, compiled": [1.0] * 3}
    seconds |= {"peer": [2.0, 6.0, 8.0], "peer, compiled": [3.0] * 3}
    monkeypatch.setattr(models, "in_turn", lambda *_, **__: seconds)
    found = models.compare(dict.fromkeys(seconds, Fake()), images=4, rounds=3)
    speed = {name: v["our_speed_over_it"]["median"] for name, v in found["train"].items()}
    assert speed == {"ours": 1, "ours, compiled": 1, "peer": 2, "peer, compiled": 3}
    assert found["infer"]["peer"]["images_per_second"] == 4 / 6
    assert found["infer"]["peer"]["our_speed_over_it"]["high"] == 3


def test_what_is_not_compiled_is_left_out_and_any_other_failure_ends_it(capsys):
    def fails():
        raise RuntimeError("no kernel\nfor this")

    assert devices.runs("ours", lambda: None)
    assert not devices.runs("peer, compiled", fails)
    assert capsys.readouterr().out == "  left out, peer, compiled: no kernel\n"
    with pytest.raises(RuntimeError, match="no kernel"):
        devices.runs("peer", fails)


@pytest.mark.filterwarnings("ignore")  # the peers' own
@pytest.mark.parametrize("name", ["unet", "unet_resnet34", "dilated_fcn", "dcgan"])
def test_peers_are_the_same_net(name, monkeypatch):
    def weights(net):
        return sorted(tuple(p.shape) for p in net.parameters() if p.dim() == 4)

    monkeypatch.setattr(peer_nets, "COMMON", (4, 8, 16, 32, 64))
    makes = models.COMPARISONS[name][0]((2, 3, 64, 64))
    found = {}
    for side, make in makes.items():
        made = make(torch.float32, models.LAST)
        nets = (made.made, made.judge) if name == "dcgan" else (made.net,)
        found[side] = [weights(net) for net in nets]
        if name != "dcgan":
            assert made.forward().shape == (2, models.CLASSES, 64, 64)
    if name == "unet_resnet34" and not installed("segmentation_models_pytorch"):
        pytest.skip("its one peer, segmentation_models_pytorch, is not installed")
    assert len(found) >= 2
    assert all(counts == found["ours"] for counts in found.values())


@pytest.mark.parametrize("dtype", models.DTYPES.values())
def test_a_step_changes_the_weights_and_a_pass_does_not(dtype):
    conv = nn.Conv2d(3, models.CLASSES, 1)
    side = Side(conv, torch.randn(1, 3, 4, 4), dtype, models.LAST)
    assert side.image.is_contiguous(memory_format=models.LAST)
    before = conv.weight.detach().clone()
    side.infer()
    torch.testing.assert_close(conv.weight, before, rtol=0, atol=0)
    side.train()
    assert (conv.weight - before).abs().max() > 5e-5  # Adam's first step is its rate, 1e-4


def test_adversaries_learn_the_same_with_and_without_the_spare_gradient():
    learned = []
    for skips in (True, False):
        torch.manual_seed(0)
        made = nn.Sequential(nn.Linear(100, 3), nn.Unflatten(1, (3, 1, 1)))
        judge = nn.Sequential(nn.Flatten(), nn.Linear(3, 1), nn.Flatten(0))
        batch = torch.randn(8, 3, 1, 1)
        before = made[0].weight.detach().clone()
        Adversaries((made, judge), batch, torch.float32, models.LAST, skips=skips).train()
        assert (made[0].weight - before).abs().max() > 1e-4  # Adam's first step is its rate, 2e-4
        learned.append((made[0].weight.detach(), judge[1].weight.detach()))
    for one, other in zip(*learned, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("auto", "low", "median", "high", "right"),
    [
        ("bf16-mixed", 1.1, 1.2, 1.3, "yes"),
        ("bf16-mixed", 0.7, 0.8, 0.9, "**no**"),
        ("32-true", 0.7, 0.8, 0.9, "yes"),
        ("32-true", 1.1, 1.2, 1.3, "**no**"),
        ("32-true", 0.9, 1.1, 1.3, "equal"),
    ],
)
def test_whether_auto_is_right(auto, low, median, high, right):
    assert models.verdict(auto, {"low": low, "median": median, "high": high}) == right


def test_a_slower_net_of_ours_is_bold():
    assert models.cell(SPEED) == "1.20× (1.10 to 1.30)"
    assert models.cell({"median": 0.9, "low": 0.8, "high": 0.99}) == "**0.90× (0.80 to 0.99)**"


def test_one_comparison_is_merged_and_reported(tmp_path, monkeypatch):
    page, out = tmp_path / "page.md", tmp_path / "models.json"
    page.write_text(
        "<!-- begin peers --><!-- end peers --><!-- begin precision --><!-- end precision -->"
        "<!-- begin GPU --><!-- end GPU -->"
    )
    monkeypatch.setattr(models, "PAGE", page)
    monkeypatch.setattr(models, "by_precision", lambda *_: {"a net": SPEED})
    monkeypatch.setattr(
        models, "COMPARISONS", {"x": (lambda device: {"ours": Fake, "peer": Fake}, "X", False, 1)}
    )
    monkeypatch.setattr(
        models,
        "compare",
        lambda sides, *_: {
            part: {name: {"our_speed_over_it": SPEED} for name in sides} for part in models.PARTS
        },
    )

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["models", "--out", str(out), *words])
        models.main()

    run()
    run("--only", "precision")
    record = json.loads(out.read_text())
    assert record["comparisons"].keys() == {"x"}
    assert record["bf16_over_float32"] == {"a net": SPEED}
    run("--report")
    text = page.read_text()
    assert "| X | peer, channels-first | 1.20× (1.10 to 1.30) | 1.20× (1.10 to 1.30) |" in text
    assert "| a net | 1.20× (1.10 to 1.30) |" in text
    out.write_text(json.dumps(record | {"threads": -1}))
    with pytest.raises(SystemExit):
        run("--only", "precision")


def test_the_page_is_what_the_record_gives():
    paths = (ROOT / "benchmarks" / "results").glob("models_*.json")
    (record,) = (r for r in (json.loads(path.read_text()) for path in paths) if "device" not in r)
    page = (ROOT / models.PAGE).read_text()
    assert inserted(page, models.report(record)) == page
