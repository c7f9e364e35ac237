"""Intervals of shipped scores: over images by hand, over seeds from records, in card and list."""

import json
import math

import pytest
import torch

from release import card, interval, listing
from tests.conftest import ROOT


def figures(right):
    """Each image has 100 pixels of one class, of which `right` are hit."""
    hits = torch.tensor(right)[:, None]
    return {"hits": hits, "truth": torch.full_like(hits, 100), "predicted": hits}


def test_images_that_are_alike_leave_no_doubt():
    found = interval.over_images(figures([80] * 40), "test")
    assert (found["count"], found["score"], found["split"]) == (40, "miou", "test")
    assert found["low"] == found["high"] == pytest.approx(0.8)


def test_an_interval_over_images_is_that_of_their_mean():
    right = [60, 100] * 50  # mean 80, of 100 images with a standard deviation of 20: error 2
    found = interval.over_images(figures(right), "test")
    assert found["low"] == pytest.approx(0.8 - 1.96 * 0.02, abs=0.004)
    assert found["high"] == pytest.approx(0.8 + 1.96 * 0.02, abs=0.004)
    psnr = interval.over_images({"psnr": torch.tensor([29.0, 31.0] * 50)}, "test")
    assert psnr["high"] == pytest.approx(30 + 1.96 * 0.1, abs=0.02)


def test_psnr_of_all_images_is_no_mean_of_theirs():
    """Squared errors of 0.001 and 0.0001: their mean is 0.00055, which is 32.6 dB, not 35."""
    found = interval.over_images({"psnr": torch.tensor([30.0, 40.0] * 50)}, "test", pooled=True)
    error = 1.96 * 0.00045 / 10  # of the mean of 100 images
    assert found["low"] == pytest.approx(-10 * math.log10(0.00055 + error), abs=0.05)
    assert found["high"] == pytest.approx(-10 * math.log10(0.00055 - error), abs=0.05)


def test_every_shipped_score_lies_in_its_interval_over_images():
    listed = json.loads((ROOT / "checkpoints/manifest.json").read_text())["checkpoints"]
    checked = 0
    for name, entry in listed.items():
        if images := entry["images"]:
            score = entry["scores"][images["score"]]
            assert images["low"] <= score <= images["high"], name
            checked += 1
    assert checked >= 5


def test_few_images_and_other_figures_have_none():
    assert interval.over_images(figures([80] * 5), "set5") is None
    assert interval.over_images({}, "test") is None


def test_every_card_has_a_picture_and_says_how_certain_its_scores_are():
    listed = json.loads((ROOT / "checkpoints/manifest.json").read_text())["checkpoints"]
    for name, entry in listed.items():
        text = (ROOT / "checkpoints" / name / card.FILE).read_text(encoding="utf-8")
        assert text.split("\n\n")[1].startswith(f"![{name}: "), name
        assert (ROOT / "checkpoints" / name / "picture.png").stat().st_size < 150_000
        if entry["seeds"]:
            assert card.over_seeds(entry["seeds"]) in text
        else:
            assert "ne seed" in text
        if entry["images"]:
            assert card.over_images(entry["images"]) in text


def test_a_card_is_told_an_interval_in_its_place():
    text = f"# a\n\n| |\n\n{card.SHIPPED} `test` is old.\nMore.\n\n## Training\n"
    images = {"count": 99, "score": "miou", "split": "test", "low": 0.25, "high": 0.5}
    told = card.with_interval(text, {"data": {"split": "test"}, "images": images})
    assert told.startswith("# a\n\n| |\n\nOf the rounded weights")
    assert "old" not in told
    assert "More" not in told
    assert "Mean IoU, % 25.0 to 50.0 (95 %).\n\n## Training" in told


def test_a_list_says_what_its_intervals_are_of():
    entry = {"seeds": None, "images": None}
    images = {"count": 233, "score": "miou", "split": "test", "low": 0.531, "high": 0.56}
    assert listing._intervals({"a": entry}) == "one seed"
    assert listing._intervals({"a": {"images": images}}) == "one seed, interval over its 233 images"
    assert listing.interval({"images": images}) == "53.1 – 56.0"
