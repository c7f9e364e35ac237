"""Prediction on folders as people have them: what is written, what failed, what is left out."""

import numpy as np
import pytest
import torch
from PIL import Image

from data.files import DataError
from tasks.photos import segment_file
from tasks.prediction import plan, write_all

CARD = {"mean": [0.0] * 3, "std": [1.0] * 3, "palette": [[0, 0, 0]] * 3}


def save(path, size=(5, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (200, 0, 0)).save(path)


def segment(source, target):
    segment_file(torch.nn.Identity(), CARD, source, target)


def test_a_folder_is_mirrored_without_what_is_no_image(tmp_path):
    folder = tmp_path / "photos"
    for name in ("a.png", "b/c.JPG", "b/c.png", "x.png/d.png"):
        save(folder / name)
    (folder / "._a.png").write_bytes(b"x")
    pairs, left_out = plan(folder, None)
    targets = [target.relative_to(tmp_path / "photos_masks").as_posix() for _, target in pairs]
    assert targets == ["a.png", "b/c.JPG.png", "b/c.png.png", "x.png/d.png"]
    assert left_out == {"._a.png": "hidden"}
    assert write_all(segment, pairs) == []
    mask = Image.open(tmp_path / "photos_masks" / "b" / "c.png.png")
    assert (mask.size, np.unique(mask).tolist()) == ((5, 4), [0])  # red is the highest channel


def test_results_inside_the_folder_are_not_taken_for_images_the_next_time(tmp_path):
    save(tmp_path / "a.png")
    for _ in range(2):
        pairs, left_out = plan(tmp_path, tmp_path / "masks")
        assert [source.name for source, _ in pairs] == ["a.png"]
        assert left_out == {}
        write_all(segment, pairs)


def test_a_broken_image_stops_nothing(tmp_path):
    for name in ("a.png", "c.png"):
        save(tmp_path / "in" / name)
    (tmp_path / "in" / "b.png").write_bytes((tmp_path / "in" / "a.png").read_bytes()[:45])
    failures = write_all(segment, plan(tmp_path / "in", tmp_path / "out")[0])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "c.png"]
    (failure,) = failures
    assert failure.startswith(f"cannot read the image {tmp_path / 'in' / 'b.png'}: ")
    with pytest.raises(DataError, match=r"b\.png"):
        write_all(segment, plan(tmp_path / "in" / "b.png", tmp_path / "b.png")[0])


def test_a_folder_without_an_image_says_what_it_holds(tmp_path):
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(ValueError, match=r"no image in this folder .*1 × no image \(a\.txt\)"):
        plan(tmp_path, None)
