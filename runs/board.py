"""Tags of what TensorBoard shows. It sorts them: the scores come first, the details last."""

from __future__ import annotations

from upzoo.metrics.catalogue import SCORES

TEST, MORE_SCORES, CLASSES, COSTS = "1_test", "5_more_scores", "6_classes", "9_costs"
PICTURES, TRAINING, ARTIFACTS = "3_pictures", "4_training", "8_artifacts"
#: Split → the section of its scores.
SPLITS = {"test": TEST, "val": "2_validation"}
#: The first part of other names → the section that they are shown in.
SECTIONS = {
    "predictions": PICTURES,
    "reconstructions": PICTURES,
    "enlarged": PICTURES,
    "samples": PICTURES,
    "projections": PICTURES,
    "train": TRAINING,
    "throughput": TRAINING,
    "upsampling": "7_kernels",
    "artifacts": ARTIFACTS,
    "usage": COSTS,
}


def tag(name: str) -> str:
    """The tag of what is logged under a name; names of other people's callbacks stay.

    >>> tag("test/miou"), tag("val/fwiou"), tag("test_set14/psnr")
    ('1_test/miou', '5_more_scores/fwiou_val', '5_more_scores/psnr_test_set14')
    >>> tag("artifacts/checkerboard_db"), tag("artifacts_gradient/period2_mean")
    ('2_validation/checkerboard_db', '8_artifacts_gradient/period2_mean')
    >>> tag("val_iou/sky"), tag("train/loss"), tag("predictions/validation")
    ('6_classes_val_iou/sky', '4_training/loss', '3_pictures/predictions_validation')
    """
    group, _, own = name.partition("/")
    first, _, rest = group.partition("_")
    if group == "artifacts" and is_headline(own):
        return f"{SPLITS['val']}/{own}"
    if first in SPLITS and own:
        if rest in ("iou", "f1"):
            return f"{CLASSES}_{group}/{own}"
        if rest == "artifacts":
            return f"{ARTIFACTS}_{first}/{own}"
        if own == "loss":
            return f"{TRAINING}/loss_{group}"
        headline = is_headline(own) and not rest
        return f"{SPLITS[first]}/{own}" if headline else f"{MORE_SCORES}/{own}_{group}"
    if first not in SECTIONS or not own:
        return name
    section = SECTIONS[first] + (f"_{rest}" if rest else "")
    return f"{section}/{first}_{own}" if section == PICTURES else f"{section}/{own}"


def is_headline(score: str) -> bool:
    """Whether a score is among those that a page opens on: quality, boundaries, checkerboard."""
    known = SCORES.get(score)
    return known is not None and (
        known.kind in ("quality", "boundary", "sharpness") or score == "checkerboard_db"
    )
