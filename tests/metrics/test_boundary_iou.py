"""Boundary IoU against the definition, pixel by pixel."""

import pytest
import torch
import torch.nn.functional as F

from upzoo.metrics.boundary_iou import (
    BoundaryIoU,
    band,
    boundary_counts,
    boundary_iou,
    window_maximum,
)

VOID = 255


def maps(void: bool, seed: int = 0, size=(3, 11, 14), classes: int = 4):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(classes, (size[0], 3, 4), generator=generator)
    target = coarse.repeat_interleave(4, 1).repeat_interleave(4, 2)[:, : size[1], : size[2]].clone()
    wrong = torch.rand(size, generator=generator) < 0.1
    preds = torch.where(wrong, torch.randint(classes, size, generator=generator), target)
    if void:
        target[:, 2:5, 3:9] = VOID
    return preds, target


def in_band(classes, labelled, y: int, x: int, width: int) -> bool:
    """Whether one pixel of a map is in its class's band, by the definition."""
    if not labelled[y, x]:
        return False
    height, length = classes.shape
    for j in range(y - width, y + width + 1):
        for i in range(x - width, x + width + 1):
            if not (0 <= j < height and 0 <= i < length):
                return True
            if labelled[j, i] and classes[j, i] != classes[y, x]:
                return True
    return False


@pytest.mark.parametrize("void", [False, True])
@pytest.mark.parametrize("width", [1, 2, 3])
def test_counts_by_brute_force(void, width):
    preds, target = maps(void)
    ratio = width / (11**2 + 14**2) ** 0.5
    expected = torch.zeros(3, 2, 4, dtype=torch.int64)
    for image, (p, t) in enumerate(zip(preds, target, strict=True)):
        labelled = t != VOID
        for y in range(11):
            for x in range(14):
                true = int(t[y, x]) if in_band(t, labelled, y, x, width) else None
                found = int(p[y, x]) if in_band(p, labelled, y, x, width) else None
                for c in {true, found} - {None}:
                    expected[image, 0, c] += true == found
                    expected[image, 1, c] += 1
    counts = boundary_counts(preds, target, 4, VOID, ratio)
    assert torch.equal(counts, expected)
    score = BoundaryIoU(4, VOID, ratio)
    score.update(preds[:1], target[:1])
    score.update(preds[1:], target[1:])
    total = expected.sum(0)
    torch.testing.assert_close(score.compute()["boundary_iou"], (total[0] / total[1]).nanmean())


def test_two_percent_of_a_camvid_image_are_twelve_pixels():
    # class 1 from column 100 on: its band is columns 100 … 111, and 12 pixels along the edges
    target = torch.zeros(1, 360, 480, dtype=torch.long)
    target[..., 100:] = 1
    found = band(target, torch.ones_like(target, dtype=torch.bool), 12)[0]
    assert found[180].nonzero().flatten().tolist() == [
        *range(12),
        *range(88, 112),
        *range(468, 480),
    ]
    union = boundary_counts(target, target, 2)[0, 1]
    assert union.tolist() == [360 * 100 - 336 * 76, 360 * 380 - 336 * 356]


def test_a_guess_inside_void_changes_nothing():
    preds, target = maps(void=True)
    other = torch.where(target == VOID, (preds + 1) % 4, preds)
    assert torch.equal(boundary_counts(preds, target, 4), boundary_counts(other, target, 4))


def test_logits_are_taken_too():
    preds, target = maps(void=False)
    logits = torch.nn.functional.one_hot(preds, 4).permute(0, 3, 1, 2).float()
    assert torch.equal(boundary_counts(logits, target, 4), boundary_counts(preds, target, 4))


def test_perfect_is_one_and_a_class_that_is_nowhere_is_left_out():
    _, target = maps(void=False)
    counts = boundary_counts(target, target, 6).sum(0)
    iou = boundary_iou(counts)
    assert iou[:4].tolist() == [1, 1, 1, 1]
    assert iou[4:].isnan().all()


@pytest.mark.parametrize("ratio", [0, -1, float("inf"), float("nan")])
def test_a_ratio_that_is_none_is_refused(ratio):
    with pytest.raises(ValueError, match=r"ratio=.* is no share of the diagonal"):
        BoundaryIoU(3, ratio=ratio)


@pytest.mark.parametrize(("size", "reach"), [(9, 1), (9, 3), (9, 12), (1, 2), (40, 12)])
def test_window_maximum_is_that_of_max_pool(size, reach):
    values = torch.randint(0, 200, (2, 3, size), generator=torch.Generator().manual_seed(size))
    pooled = F.max_pool1d(values.float(), 2 * reach + 1, 1, reach)
    assert torch.equal(window_maximum(values.to(torch.uint8), -1, reach).float(), pooled)
