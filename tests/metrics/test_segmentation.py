import pytest
import torch
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix
from torchmetrics.classification import MulticlassJaccardIndex as Jaccard

from upzoo.metrics import (
    ClassCounts,
    SegmentationScores,
    class_accuracy,
    confusion_matrix,
    frequency_weighted_iou,
    global_accuracy,
    mean_iou,
    per_class_iou,
)

# truth (rows) against prediction (columns), and what each score is by hand
HAND = torch.tensor([[50, 10, 0], [5, 20, 5], [0, 0, 10]])


def random_maps(classes=5, void=True, seed=0, size=(3, 37, 29)):
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(classes, size, generator=generator)
    wrong = torch.rand(size, generator=generator) < 0.4
    preds = torch.where(wrong, torch.randint(classes, size, generator=generator), target)
    if void:
        target[torch.rand(size, generator=generator) < 0.1] = 255
    return preds, target


def test_scores_of_a_hand_worked_matrix():
    assert global_accuracy(HAND).item() == pytest.approx(80 / 100)
    assert class_accuracy(HAND).item() == pytest.approx((50 / 60 + 20 / 30 + 10 / 10) / 3)
    iou = [50 / 65, 20 / 40, 10 / 15]
    assert per_class_iou(HAND).tolist() == pytest.approx(iou)
    assert mean_iou(HAND).item() == pytest.approx(sum(iou) / 3)
    weighted = 0.6 * iou[0] + 0.3 * iou[1] + 0.1 * iou[2]
    assert frequency_weighted_iou(HAND).item() == pytest.approx(weighted)


def test_confusion_matrix_counts_truth_in_rows_and_skips_void():
    target = torch.tensor([[[0, 0, 1, 255, 2]]])
    preds = torch.tensor([[[0, 2, 1, 0, 1]]])
    assert confusion_matrix(preds, target, 3).tolist() == [[1, 0, 1], [0, 1, 0], [0, 1, 0]]


@pytest.mark.parametrize("ignore_index", [255, -1])
def test_confusion_matrix_agrees_with_torchmetrics(ignore_index):
    preds, target = random_maps()
    target[target == 255] = ignore_index
    theirs = MulticlassConfusionMatrix(5, ignore_index=ignore_index)(preds, target)
    ours = confusion_matrix(preds, target, 5, ignore_index)
    assert ours.dtype == torch.int64
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_every_integer_type_counts_the_same(dtype):
    preds, target = random_maps(classes=40)  # 40·40 cells overflow a byte
    expected = confusion_matrix(preds, target, 40)
    assert torch.equal(confusion_matrix(preds.to(dtype), target.to(dtype), 40), expected)


def test_data_set_scores_agree_with_torchmetrics():
    scores = SegmentationScores(num_classes=5)
    theirs = {
        "global_accuracy": MulticlassAccuracy(5, average="micro", ignore_index=255),
        "class_accuracy": MulticlassAccuracy(5, average="macro", ignore_index=255),
        "miou": Jaccard(5, average="macro", ignore_index=255),
        "fwiou": Jaccard(5, average="weighted", ignore_index=255),
    }
    for seed in range(3):
        preds, target = random_maps(seed=seed)
        scores.update(preds, target)
        for metric in theirs.values():
            metric.update(preds, target)
    computed = scores.compute()
    assert computed.keys() == theirs.keys()
    for name, metric in theirs.items():
        torch.testing.assert_close(computed[name], metric.compute())
    each = Jaccard(5, average="none", ignore_index=255)
    for seed in range(3):
        each.update(*random_maps(seed=seed))
    torch.testing.assert_close(scores.per_class_iou(), each.compute())


def test_logits_count_as_their_largest_channel():
    preds, target = random_maps()
    logits = torch.nn.functional.one_hot(preds, 5).permute(0, 3, 1, 2) * 3.0 - 7
    expected = confusion_matrix(preds, target, 5)
    assert torch.equal(confusion_matrix(logits, target, 5), expected)
    assert torch.equal(confusion_matrix(logits.contiguous().bfloat16(), target, 5), expected)


def test_absent_classes_are_left_out_of_the_means():
    # class 1 occurs nowhere; class 2 is only predicted: IoU 0, but no true pixel to be right about
    confusion = torch.tensor([[8, 0, 2], [0, 0, 0], [0, 0, 0]])
    iou = per_class_iou(confusion)
    assert iou[1].isnan()
    assert iou[[0, 2]].tolist() == pytest.approx([0.8, 0.0])
    assert mean_iou(confusion).item() == pytest.approx(0.4)
    assert class_accuracy(confusion).item() == pytest.approx(0.8)
    assert frequency_weighted_iou(confusion).item() == pytest.approx(0.8)


def test_nothing_but_void_scores_nan():
    scores = SegmentationScores(num_classes=3)
    scores.update(torch.zeros(1, 4, 4, dtype=torch.long), torch.full((1, 4, 4), 255))
    assert all(value.isnan() for value in scores.compute().values())
    assert scores.per_class_iou().isnan().all()


def test_mean_iou_is_of_the_data_set_and_not_of_the_images():
    # image 1: class 1 is one pixel, missed; image 2: class 1 is everything, found
    target = torch.tensor([[[0, 0, 0, 1]], [[1, 1, 1, 1]]])
    preds = torch.tensor([[[0, 0, 0, 0]], [[1, 1, 1, 1]]])
    scores = SegmentationScores(num_classes=2)
    per_image = []
    for image in range(2):
        scores.update(preds[image : image + 1], target[image : image + 1])
        per_image.append(
            mean_iou(confusion_matrix(preds[image : image + 1], target[image : image + 1], 2))
        )
    assert torch.stack(per_image).tolist() == pytest.approx([(3 / 4 + 0) / 2, 1.0])
    assert torch.stack(per_image).mean().item() == pytest.approx(0.6875)
    assert scores.compute()["miou"].item() == pytest.approx((3 / 4 + 4 / 5) / 2)


def test_processes_add_up_to_one_data_set():
    whole, first, second = (SegmentationScores(num_classes=5) for _ in range(3))
    for seed, part in enumerate((first, second)):
        part.update(*random_maps(seed=seed))
        whole.update(*random_maps(seed=seed))
    other = second.confusion.clone()
    # what a gather over two processes returns
    first.distributed_available_fn = lambda: True
    first.dist_sync_fn = lambda state, group=None: [state, other]
    mine = first.confusion.clone()
    assert torch.equal(first.per_class_iou(), whole.per_class_iou())
    assert torch.equal(first.confusion, mine), "reading the scores must not change the state"
    for name, value in whole.compute().items():
        assert torch.equal(first.compute()[name], value)


def test_reset_forgets():
    scores = SegmentationScores(num_classes=5)
    scores.update(*random_maps(seed=1))
    scores.reset()
    scores.update(*random_maps(seed=2))
    assert torch.equal(scores.confusion, confusion_matrix(*random_maps(seed=2), 5))


@pytest.mark.parametrize(
    ("preds", "target", "message"),
    [
        (torch.zeros(1, 4, 4).long(), torch.zeros(1, 4, 5).long(), r"\(1, 4, 4\).*\(1, 4, 5\)"),
        (torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4).long(), "2 channels.*num_classes=3"),
        (torch.zeros(1, 4, 4), torch.zeros(1, 4, 4).long(), "must be integers.*float32"),
        (torch.full((1, 4, 4), 3), torch.zeros(1, 4, 4).long(), "predictions hold class 3.*0 to 2"),
        (torch.zeros(1, 4, 4).long(), torch.full((1, 4, 4), 7), "target holds class 7"),
        (torch.zeros(1, 4, 4).long(), torch.full((1, 4, 4), -2), "target holds class -2"),
    ],
)
def test_bad_maps_are_refused_in_one_line(preds, target, message):
    with pytest.raises(ValueError, match=message) as error:
        confusion_matrix(preds, target, 3)
    assert "\n" not in str(error.value)


def test_bad_options_are_refused():
    with pytest.raises(ValueError, match="num_classes=0"):
        SegmentationScores(num_classes=0)
    with pytest.raises(ValueError, match="ignore_index=2 is one of the 3 classes"):
        SegmentationScores(num_classes=3, ignore_index=2)


def test_counts_of_images_give_the_scores_of_any_set_of_them():
    preds, target = random_maps(seed=3)
    counts, part = ClassCounts(num_classes=5), SegmentationScores(num_classes=5)
    for at in (slice(0, 1), slice(1, None)):
        counts.update(preds[at], target[at])
    kept = counts.compute()
    assert {name: value.dtype for name, value in kept.items()} == dict.fromkeys(
        ("hits", "truth", "predicted"), torch.int32
    )
    chosen = [0, 1, 1]  # as a bootstrap draws
    part.update(preds[chosen], target[chosen])
    hits, truth, predicted = (value[chosen].sum(0) for value in kept.values())
    torch.testing.assert_close(
        (hits / (truth + predicted - hits)).nanmean(), part.compute()["miou"]
    )
    counts.reset()
    counts.update(preds, target)
    assert all(torch.equal(value, kept[name]) for name, value in counts.compute().items())
