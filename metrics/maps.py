"""Class maps: the one form in which every segmentation score takes predictions and truth."""

from __future__ import annotations

from torch import Tensor


def class_maps(
    preds: Tensor, target: Tensor, num_classes: int, ignore_index: int
) -> tuple[Tensor, Tensor]:
    """Turn logits into their most likely class and check both maps.

    Args:
        preds: class maps (B, H, W) or logits (B, C, H, W).
        target: true classes (B, H, W), `ignore_index` where the truth is void.
        num_classes: C.
        ignore_index: the value that marks void in `target`.

    Returns:
        Both as integer class maps (B, H, W).

    Raises:
        ValueError: shapes that differ, a number of channels other than C, a class outside 0…C−1.
    """
    if preds.ndim == 4:
        if preds.shape[1] != num_classes:
            raise ValueError(
                f"logits have {preds.shape[1]} channels, but num_classes={num_classes}: "
                "give as many channels as classes"
            )
        preds = preds.max(dim=1).indices  # several times quicker than argmax on a CPU
    if preds.ndim != 3 or preds.shape != target.shape:
        raise ValueError(
            f"predictions {tuple(preds.shape)} and target {tuple(target.shape)} must both be "
            "(B, H, W), or logits (B, C, H, W) beside (B, H, W)"
        )
    if preds.is_floating_point() or target.is_floating_point():
        raise ValueError(
            f"class maps must be integers, not {preds.dtype} and {target.dtype}: "
            "call .argmax(dim=1) on scores"
        )
    _check_range(preds, num_classes, "predictions hold")
    _check_range(target.masked_fill(target == ignore_index, 0), num_classes, "target holds")
    return preds, target


def _check_range(classes: Tensor, num_classes: int, who: str) -> None:
    if classes.numel() == 0:
        return
    low, high = classes.aminmax()
    if low < 0 or high >= num_classes:
        wrong = int(low if low < 0 else high)
        raise ValueError(
            f"{who} class {wrong}, but num_classes={num_classes} allows 0 to {num_classes - 1} "
            "(and ignore_index in the target)"
        )


def check_classes(num_classes: int, ignore_index: int) -> None:
    """Refuse a number of classes below 1 and a void value that is also a class."""
    if num_classes < 1:
        raise ValueError(f"num_classes={num_classes} is too small: give 1 or more")
    if 0 <= ignore_index < num_classes:
        raise ValueError(
            f"ignore_index={ignore_index} is one of the {num_classes} classes: "
            "give a value outside them, such as 255"
        )
