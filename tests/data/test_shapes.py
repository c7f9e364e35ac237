"""Shapes: determinism, anti-aliasing, geometry and the mix of classes."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from data.drawing import CLASSES, SHARES, distance, draw, line, paint, star
from data.shapes import Shapes


@pytest.fixture(scope="module")
def scenes():
    return [draw((0, 0, index), 128, 128) for index in range(120)]


def pixels(extent):
    axis = np.arange(-extent, extent + 1, dtype=np.float32)
    return axis, axis[:, None]


def test_scene_depends_on_its_key_alone():
    image, mask = draw((3, 1, 7), 64, 96)
    draw((3, 1, 8), 64, 96)
    again, mask_again = draw((3, 1, 7), 64, 96)
    assert image.shape == (3, 64, 96)
    assert mask.shape == (64, 96)
    np.testing.assert_array_equal(image, again)
    np.testing.assert_array_equal(mask, mask_again)
    for key in ((4, 1, 7), (3, 2, 7), (3, 1, 8)):
        assert (draw(key, 64, 96)[0] != image).mean() > 0.5


def test_another_process_draws_the_same():
    code = (
        "from data.drawing import draw;"
        "print(*(array.astype(int).sum() for array in draw((0, 0, 5), 48, 64)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [int(word) for word in out.stdout.split()] == [
        int(array.astype(int).sum()) for array in draw((0, 0, 5), 48, 64)
    ]


def test_every_class_occurs_and_none_dominates(scenes):
    counts = np.stack([np.bincount(mask.ravel(), minlength=9) for _, mask in scenes])
    share = counts.sum(0) / counts.sum()
    assert counts.shape[1] == len(CLASSES) == len(SHARES) == 9
    assert 0.65 < share[0] < 0.85
    assert share[1:7].min() > 0.015
    assert share[1:7].max() < 0.10
    assert 0.004 < share[7] < 0.03
    assert 0.001 < share[8] < 0.01
    assert ((counts > 0).mean(0) > 0.6).all()


def test_colour_does_not_tell_the_class(scenes):
    images = np.stack([image for image, _ in scenes]).astype(float)
    masks = np.stack([mask for _, mask in scenes])
    means = [images.transpose(0, 2, 3, 1)[masks == index].mean() for index in range(9)]
    spread = [images.transpose(0, 2, 3, 1)[masks == index].std() for index in range(9)]
    assert max(means) - min(means) < 0.5 * min(spread)


def test_disc_edges_are_anti_aliased_and_the_mask_is_half_coverage(monkeypatch):
    monkeypatch.setattr("data.drawing.fill", lambda *_: np.float32(200))
    image, mask = np.zeros((3, 60, 60), np.float32), np.zeros((60, 60), np.uint8)
    paint(np.random.default_rng(0), image, mask, "disc", 12.0)
    coverage = image[0] / 200
    inner = (coverage > 0) & (coverage < 1)
    assert inner.sum() > 40
    np.testing.assert_array_equal(mask == 1, coverage >= 0.5)
    # the coverage of a whole disc adds up to its area, pixel mask alike within its edge
    assert coverage.sum() == pytest.approx(math.pi * 12**2, rel=2e-3)
    assert (mask == 1).sum() == pytest.approx(math.pi * 12**2, rel=0.04)


@pytest.mark.parametrize(
    ("points", "inner", "area"),
    [
        (3, 0.5, 3 * math.sqrt(3) / 4),
        (4, math.sqrt(0.5), 2.0),
        # ten triangles of sides 1 and 0.45 about an angle of 36 degrees
        (5, 0.45, 10 * 0.5 * 0.45 * math.sin(math.pi / 5)),
    ],
)
def test_star_is_the_polygon_it_claims(points, inner, area):
    x, y = pixels(40)
    inside = np.clip(0.5 - star(x + 0 * y, y + 0 * x, 30.0, points, inner), 0, 1)
    assert inside.sum() == pytest.approx(area * 30**2, rel=0.01)


def test_square_distance_is_the_distance_to_its_sides():
    x, y = pixels(10)
    found = star(x + 0 * y, y + 0 * x, math.sqrt(2) * 8, 4, math.sqrt(0.5))
    # its tips lie on the axes, its sides at distance 8 from the origin
    expected = (np.abs(x) + np.abs(y)) / math.sqrt(2) - 8
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("seed", range(6))
def test_lines_are_one_to_three_pixels_wide(seed):
    x, y = pixels(40)
    inside = line(np.random.default_rng(seed), 30.0, x + 0 * y, y + 0 * x) < 0
    length = inside.any(0).sum()
    assert 54 <= length <= 60
    assert 1 <= inside[:, 20:61].sum(0).mean() <= 3 * math.sqrt(1 + (0.25 * 4 * math.pi) ** 2)


def test_every_kind_stays_within_its_radius():
    x, y = pixels(20)
    outside = np.hypot(x, y) > 15.5
    for kind in CLASSES[1:]:
        for seed in range(8):
            field = distance(np.random.default_rng(seed), kind, 15.0, x, y)
            assert field.shape == (41, 41)
            assert field.dtype == np.float32
            assert (field[outside] > -0.5).all(), kind
            assert (field < 0).any(), kind


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_the_same_whatever_the_workers(workers):
    data = Shapes(
        size=(32, 48),
        train=10,
        val=4,
        test=4,
        batch_size=4,
        num_workers=workers,
        augment={"flip": 0.5, "colour": 0.3, "scale": [0.8, 1.2]},
        seed=3,
    )
    images = torch.cat([batch["image"] for batch in data.train_dataloader()])
    masks = torch.cat([batch["mask"] for batch in data.val_dataloader()])
    reference = Shapes(
        size=(32, 48),
        train=10,
        val=4,
        test=4,
        batch_size=8,
        seed=3,
        augment={"flip": 0.5, "colour": 0.3, "scale": [0.8, 1.2]},
    )
    (expected,) = reference.train_dataloader()
    assert torch.equal(images, expected["image"])
    for index in range(4):
        np.testing.assert_array_equal(masks[index], draw((0, 1, index), 32, 48, 1.5)[1])


def test_batch_contract_and_values():
    data = Shapes(size=(32, 48), train=4, val=2, test=3)
    sample = data.prepared("test")[1]
    image, mask = draw((0, 2, 1), 32, 48, 1.5)
    assert sample["image"].dtype == torch.float32
    assert sample["mask"].dtype == torch.int64
    torch.testing.assert_close(
        sample["image"], torch.from_numpy((image / 255 - 0.5) / 0.25).float(), atol=1e-5, rtol=0
    )
    np.testing.assert_array_equal(sample["mask"], mask)
    assert len(data.test_dataloader().dataset) == 3


def test_attributes_are_there_before_setup():
    data = Shapes()
    assert data.num_classes == len(data.palette) == 9
    assert (data.in_channels, data.ignore_index, data.test_split) == (3, 255, "test")
    assert data.splits == {}


def test_fingerprint_is_the_drawing_not_the_run():
    mark = Shapes(train=10).fingerprint()
    assert Shapes(train=10, seed=5, batch_size=2).fingerprint() == mark
    assert (
        len(
            {
                mark,
                Shapes(train=11).fingerprint(),
                Shapes(train=10, drawing_seed=1).fingerprint(),
                Shapes(train=10, size=(64, 64)).fingerprint(),
            }
        )
        == 4
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": 0}, "train=0 must be 1 scene or more"),
        ({"size": (8, 64)}, r"size=\[8, 64\] is too small for shapes: use 16 or more"),
        ({"size": (64,)}, r"size=\[64\] must be \[height, width\]"),
        ({"batch_size": 0}, "batch_size=0 must be a whole number of 1 or more"),
        ({"num_workers": -1}, "num_workers=-1 must be a whole number of 0 or more"),
        ({"drawing_seed": -1}, "drawing_seed=-1 must be"),
        ({"augment": {"flips": 1}}, "augment.flips is unknown: use scale, flip, colour"),
        ({"augment": {"flip": 2}}, "augment.flip=2 must lie in 0 .. 1"),
        ({"augment": {"scale": [2, 1]}}, r"augment.scale=\[2, 1\] must be \[low, high\]"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message) as caught:
        Shapes(**options)
    assert "\n" not in str(caught.value)


def test_batch_larger_than_the_data():
    data = Shapes(size=(32, 32), train=5, val=1, test=1, batch_size=6)
    with pytest.raises(
        ValueError, match="batch_size=6 is larger than the 5 training images of shapes"
    ):
        data.train_dataloader()


@pytest.mark.parametrize("zoom", [1.0, 1.5, 3.0])
def test_zoom_enlarges_objects_and_keeps_the_edge_one_pixel_wide(zoom):
    image = np.zeros((3, 128, 128), np.float32)
    mask = np.zeros((128, 128), np.uint8)
    # The centre is drawn: repeat until the whole disc lies inside.
    for seed in range(100):
        image[:], mask[:] = 0, 0
        paint(np.random.default_rng(seed), image, mask, "disc", 8.0, zoom)
        rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
        if min(rows[0], columns[0]) > 1 and max(rows[-1], columns[-1]) < 126:
            break
    assert (mask > 0).sum() == pytest.approx(np.pi * (8 * zoom) ** 2, rel=0.04)
    touched = image.any(0)  # one pixel more than the mask, not `zoom` of them
    assert touched.any(1).sum() - len(rows) <= 2


def test_zoom_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"zoom=0 must be a number from 0.5 to 16"):
        Shapes(zoom=0)
