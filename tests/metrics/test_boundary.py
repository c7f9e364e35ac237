import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation, distance_transform_edt, generate_binary_structure

from upzoo.metrics import BoundaryF1, boundary_f1
from upzoo.metrics.boundary import boundary, dilate


def random_maps(classes, seed, void=0.0, size=(3, 40, 53), blobs=6):
    """Blocky truth, and a prediction that is the truth shifted, with some blocks changed."""
    generator = torch.Generator().manual_seed(seed)
    grid = (size[0], -(-size[1] // blobs) + 1, -(-size[2] // blobs) + 1)
    coarse = torch.randint(classes, grid, generator=generator)
    changed = torch.where(
        torch.rand(grid, generator=generator) < 0.2,
        torch.randint(classes, grid, generator=generator),
        coarse,
    )

    def enlarge(grid, shift):
        whole = grid.repeat_interleave(blobs, 1).repeat_interleave(blobs, 2)
        return whole[:, shift : shift + size[1], shift : shift + size[2]].clone()

    target, preds = enlarge(coarse, 0), enlarge(changed, 2)
    target[torch.rand(size, generator=generator) < void] = 255
    return preds, target


def reference(preds, target, classes, radius):
    """Boundary F1 of one image, class by class, with exact Euclidean distances."""
    preds, target = preds.numpy(), target.numpy()
    labelled = target != 255
    cross = generate_binary_structure(2, 1)

    def contour(segments, c):
        others = labelled & (segments != c)
        return labelled & (segments == c) & binary_dilation(others, cross)

    def distance(marked):
        return distance_transform_edt(~marked) if marked.any() else np.full(marked.shape, np.inf)

    judged = distance(target == 255) > radius
    scores = []
    for c in range(classes):
        true, predicted = contour(target, c), contour(preds, c)
        found = (distance(predicted) <= radius)[true & judged]
        right = (distance(true) <= radius)[predicted & judged]
        if not found.size:
            scores.append(math.nan)
        elif not right.size or not right.any() or not found.any():
            scores.append(0.0)
        else:
            precision, recall = right.mean(), found.mean()
            scores.append(2 * precision * recall / (precision + recall))
    return scores


@pytest.mark.parametrize(
    ("classes", "tolerance", "void"),
    [(2, 0.0, 0.0), (4, 0.0075, 0.01), (4, 0.03, 0.002), (5, 0.05, 0.001), (33, 0.04, 0.0)],
)
def test_agrees_with_distance_transforms(classes, tolerance, void):
    preds, target = random_maps(classes, seed=classes, void=void)
    ours = boundary_f1(preds, target, classes, tolerance=tolerance)
    radius = tolerance * math.hypot(40, 53)
    theirs = [reference(p, t, classes, radius) for p, t in zip(preds, target, strict=True)]
    torch.testing.assert_close(ours, torch.tensor(theirs, dtype=torch.float32), equal_nan=True)
    assert ours.nanmean() < 0.99, "maps this alike would test nothing"


@pytest.mark.parametrize("radius", [0, 0.9, 1, 1.5, 2, 3.75, 4.5, 5, 13.2, 70])
def test_dilation_is_an_exact_disc(radius):
    marked = torch.rand(31, 45, generator=torch.Generator().manual_seed(1)) < 0.004
    expected = distance_transform_edt(~marked.numpy()) <= radius
    assert np.array_equal(dilate(marked, radius).numpy(), expected)


def test_dilation_keeps_bits_apart():
    bits = torch.zeros(9, 9, dtype=torch.int32)
    bits[2, 2], bits[6, 5] = 1, 1 << 30
    spread = dilate(bits, 3)
    for bit, (y, x) in ((1, (2, 2)), (1 << 30, (6, 5))):
        rows, columns = torch.meshgrid(torch.arange(9), torch.arange(9), indexing="ij")
        assert torch.equal(spread & bit != 0, (rows - y) ** 2 + (columns - x) ** 2 <= 9)


def test_boundary_lies_on_both_sides_but_not_at_the_edge_or_void():
    classes = torch.tensor([[[0, 0, 1], [0, 0, 1], [0, 0, 255]]])
    marked = boundary(classes, classes != 255)
    assert marked.int().tolist() == [[[0, 1, 1], [0, 1, 1], [0, 0, 0]]]


def square(top, left, size=20, side=6, grid=(40, 40)):
    classes = torch.zeros(1, *grid, dtype=torch.long)
    classes[:, top : top + size, left : left + side] = 1
    return classes


def test_hand_worked_precision_and_recall():
    # truth: column 5 of 12 ends class 0. Prediction: the same, and a far false strip of class 1.
    truth = torch.zeros(1, 3, 12, dtype=torch.long)
    truth[..., 10:] = 1
    preds = truth.clone()
    preds[..., 2] = 1
    # class 1: predicted boundary 3 (strip) + 3, of which 3 right; true boundary 3, all found
    # class 0: predicted 6 (beside the strip) + 3, of which 3 right; true boundary 3, all found
    expected = [[2 * (1 / 3) / (4 / 3), 2 * (1 / 2) / (3 / 2)]]
    assert boundary_f1(preds, truth, 2, tolerance=0.1).tolist()[0] == pytest.approx(expected[0])
    # the other way round: precision and recall change places, F1 stays
    assert boundary_f1(truth, preds, 2, tolerance=0.1).tolist()[0] == pytest.approx(expected[0])


@pytest.mark.parametrize(("shift", "perfect"), [(1, True), (2, True), (3, True), (4, False)])
def test_a_shift_within_the_tolerance_is_forgiven(shift, perfect):
    tolerance = 3.5 / math.hypot(40, 40)
    scores = boundary_f1(square(10 + shift, 10), square(10, 10), 2, tolerance=tolerance)
    assert (scores == 1).all() == perfect


def test_worse_shifts_score_less_and_wider_tolerances_more():
    truth = square(5, 17)
    by_shift = [
        boundary_f1(square(5 + d, 17), truth, 2, tolerance=0.03).mean() for d in range(2, 12)
    ]
    assert all(a >= b for a, b in pairwise(by_shift))
    assert by_shift[0] > by_shift[-1]
    by_tolerance = [
        boundary_f1(square(12, 17), truth, 2, tolerance=t / 100).mean() for t in range(20)
    ]
    assert all(a <= b for a, b in pairwise(by_tolerance))
    assert by_tolerance[0] < by_tolerance[-1] == 1


def test_the_default_tolerance_is_the_papers():
    # 360×480: 0.0075 · 600 = 4.5 pixels, so 4 are forgiven and 5 are not
    truth = square(100, 100, 150, 150, (360, 480))
    near, far = (square(100, 100 + d, 150, 150, (360, 480)) for d in (4, 5))
    assert boundary_f1(near, truth, 2).tolist() == [[1.0, 1.0]]
    assert (boundary_f1(far, truth, 2) < 1).all()


def test_classes_that_only_one_map_has():
    truth, preds = square(10, 10), square(10, 10)
    truth[:, 30:] = 2  # class 2 only in the truth, class 3 only in the prediction
    preds[:, 2:4, 30:] = 3
    scores = boundary_f1(preds, truth, 5)[0]
    assert scores[1] == 1
    assert scores[2] == 0
    assert scores[3].isnan(), "a class that the truth lacks is not scored for itself"
    assert scores[4].isnan()
    clean = preds.masked_fill(preds == 3, 0)
    assert scores[0] < boundary_f1(clean, truth, 5)[0, 0], "but its false contour costs class 0"


def test_no_guess_in_the_void_changes_the_score():
    truth = random_maps(4, seed=3)[1]
    truth[:, 5:17, 20:40] = 255
    generator = torch.Generator().manual_seed(0)
    preds = random_maps(4, seed=3)[0]
    guess = torch.where(truth == 255, torch.randint(4, truth.shape, generator=generator), preds)
    assert not torch.equal(guess, preds)
    before = boundary_f1(preds, truth, 4, tolerance=0.04)
    assert torch.equal(boundary_f1(guess, truth, 4, tolerance=0.04), before)


def test_a_contour_along_void_is_no_boundary():
    truth = torch.zeros(1, 20, 20, dtype=torch.long)
    truth[..., 9:11] = 255
    truth[..., 11:] = 1
    scores = boundary_f1(truth.masked_fill(truth == 255, 1), truth, 2)
    assert scores.isnan().all()


def test_averages_are_over_an_images_classes_and_over_a_classs_images():
    two, three = square(10, 10), square(10, 10)
    three[:, 33:] = 2
    preds = torch.cat([two, two])  # image 1 is right; image 2 misses class 2
    score = BoundaryF1(num_classes=4)
    score.update(preds[:1], two)
    score.update(preds[1:], three)
    partial = boundary_f1(two, three, 4)[0, 0].item()
    assert 0 < partial < 1
    image_two = (partial + 1 + 0) / 3
    assert score.compute()["boundary_f1"].item() == pytest.approx((1 + image_two) / 2)
    per_class = score.per_class_f1()
    assert per_class[:3].tolist() == pytest.approx([(1 + partial) / 2, 1, 0])
    assert per_class[3].isnan()
    mean = ((1 + partial) / 2 + 1 + 0) / 3
    assert score.compute()["boundary_f1_class"].item() == pytest.approx(mean)


def test_images_without_a_boundary_are_not_counted():
    score = BoundaryF1(num_classes=2)
    blank = torch.zeros(1, 40, 40, dtype=torch.long)
    with pytest.warns(UserWarning, match="compute.*before.*update"):
        assert score.compute()["boundary_f1"].isnan()
    score.update(blank, blank)
    assert score.image_count == 0
    score.update(torch.cat([blank, square(9, 9)]), torch.cat([blank, square(9, 9)]))
    assert score.image_count == 1
    assert score.compute()["boundary_f1"] == 1


def test_processes_add_up_and_batches_do_not_matter():
    preds, target = random_maps(4, seed=7, void=0.001)
    whole, first, second = (BoundaryF1(num_classes=4, tolerance=0.03) for _ in range(3))
    whole.update(preds, target)
    first.update(preds[:1], target[:1])
    second.update(preds[1:], target[1:])
    first.merge_state(second)
    for name, value in whole.compute().items():
        torch.testing.assert_close(first.compute()[name], value)
    torch.testing.assert_close(first.per_class_f1(), whole.per_class_f1())


@pytest.mark.parametrize("tolerance", [-0.1, math.inf, math.nan])
def test_bad_tolerance_is_refused(tolerance):
    with pytest.raises(ValueError, match="is no share of the diagonal"):
        BoundaryF1(num_classes=3, tolerance=tolerance)


def test_figures_of_images_are_what_the_mean_is_of():
    torch.manual_seed(0)
    preds, target = torch.randint(3, (2, 4, 12, 12)).unbind()
    target[1] = 255  # nothing to judge
    score = BoundaryF1(num_classes=3, tolerance=0.1)
    score.update(preds[:3], target[:3])
    score.update(preds[3:], target[3:])
    images = score.per_image_f1()
    assert images.isnan().tolist() == [False, True, False, False]
    torch.testing.assert_close(images.nanmean(), score.compute()["boundary_f1"])
    expected = boundary_f1(preds, target, 3, tolerance=0.1).nanmean(1)
    torch.testing.assert_close(images, expected, equal_nan=True)
    score.reset()
    score.update(preds[:1], target[:1])
    torch.testing.assert_close(score.per_image_f1(), expected[:1])
