"""Boundary F1: how well the contours of a segmentation fit, to within a few pixels.

Csurka et al., "What is a good evaluation measure for semantic segmentation?" (BMVC 2013), section
3.2, with the averages of SegNet (Badrinarayanan et al. 2017, section 4.1). What the papers leave
open is decided so:

* A boundary pixel of class c is a pixel of c with one of its 4 neighbours in another class. The
  image's edge is no boundary. A boundary matches one of the same class at a Euclidean distance of
  at most the tolerance θ.
* Void takes no part. A pair of neighbours of which the truth calls one void makes no boundary, in
  truth or prediction. A boundary pixel closer to void than θ is not judged either, since its match
  may lie in the void; so no guess inside the void can change the score, and every judged pixel has
  its whole tolerance disc labelled. (A data set that rings each object with void, as PASCAL VOC
  does, leaves this score little to judge.)
* A class counts in an image when the truth has a judged boundary of it there. If the prediction
  then has none, its F1 is 0. A class that only the prediction has is not counted for itself: its
  false contour lowers the precision of the classes that it was drawn into.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from upzoo.metrics.maps import check_classes, class_maps

#: Words that carry a bit for each class: their type, and how many bits they have.
SMALL, LARGE = (torch.int16, 15), (torch.int32, 31)


def boundary(classes: Tensor, labelled: Tensor) -> Tensor:
    """Mark pixels with a 4-neighbour of another class, both of them labelled.

    Args:
        classes: (B, H, W) integers.
        labelled: (B, H, W) bool, false where the truth is void.

    Returns:
        (B, H, W) bool.

    Example:
        >>> boundary(torch.tensor([[[0, 0, 1, 1]]]), torch.ones(1, 1, 4, dtype=torch.bool)).int()
        tensor([[[0, 1, 1, 0]]], dtype=torch.int32)
    """
    edge = torch.zeros_like(labelled)
    for dim in (1, 2):
        size = classes.shape[dim] - 1
        first, second = (classes.narrow(dim, start, size) for start in (0, 1))
        both = labelled.narrow(dim, 0, size) & labelled.narrow(dim, 1, size)
        differ = (first != second).logical_and_(both)
        edge.narrow(dim, 0, size).logical_or_(differ)
        edge.narrow(dim, 1, size).logical_or_(differ)
    return edge


def dilate(bits: Tensor, radius: float) -> Tensor:
    """Spread every bit of every pixel over the disc dx² + dy² ≤ radius² around it, exactly.

    The disc is a stack of horizontal runs, and the run of a row holds that of the next row out, so
    a radius of r costs about 4·r bitwise operations on whole maps, for all bits at once.

    Args:
        bits: (..., H, W) integers or booleans.
        radius: in pixels.

    Returns:
        (..., H, W), the type of `bits`.

    Example:
        >>> dilate(torch.tensor([[0, 0, 0], [0, 4, 0], [1, 0, 0]]), 1)
        tensor([[0, 4, 0],
                [5, 4, 4],
                [1, 5, 0]])
    """
    height, width = bits.shape[-2:]
    run, half, out = bits.clone(), 0, torch.zeros_like(bits)
    for dy in range(math.floor(radius), -1, -1):
        # half-width of the disc's row dy: √(r² − dy²), with a margin for its rounding
        reach = min(math.floor(math.sqrt(radius**2 - dy**2 + 1e-9)), width - 1)
        for shift in range(half + 1, reach + 1):
            run[..., shift:].bitwise_or_(bits[..., : width - shift])
            run[..., : width - shift].bitwise_or_(bits[..., shift:])
        half = reach
        if dy < height:
            out[..., dy:, :].bitwise_or_(run[..., : height - dy, :])
            out[..., : height - dy, :].bitwise_or_(run[..., dy:, :])
    return out


def boundary_f1(
    preds: Tensor,
    target: Tensor,
    num_classes: int,
    ignore_index: int = 255,
    tolerance: float = 0.0075,
) -> Tensor:
    """Harmonic mean of boundary precision and recall, for each image and class.

    Precision is the share of the predicted boundary within the tolerance of the true one, recall
    the share of the true boundary within the tolerance of the predicted one.

    Args:
        preds: class maps (B, H, W) or logits (B, C, H, W).
        target: true classes (B, H, W), `ignore_index` where void.
        num_classes: C.
        ignore_index: the value that marks void in `target`.
        tolerance: θ as a share of the image's diagonal; 0.0075 of 360×480 pixels is 4.5 pixels.

    Returns:
        (B, C) float32, nan where the truth has no judged boundary of the class.

    Raises:
        ValueError: shapes that differ or classes outside 0…C−1.

    Example:
        >>> truth, shifted = torch.tensor([[[0, 0, 0, 1, 1]]]), torch.tensor([[[0, 0, 1, 1, 1]]])
        >>> boundary_f1(shifted, truth, num_classes=3)
        tensor([[0., 0., nan]])
        >>> boundary_f1(shifted, truth, num_classes=3, tolerance=0.2)
        tensor([[1., 1., nan]])
    """
    preds, target = class_maps(preds, target, num_classes, ignore_index)
    radius = tolerance * math.hypot(*target.shape[-2:])
    labelled = target != ignore_index
    judged = ~dilate(~labelled, radius)
    true, predicted = ((maps, boundary(maps, labelled)) for maps in (target, preds))
    found, drawn = (
        _matches(*side, *other, judged, num_classes, radius)
        for side, other in ((true, predicted), (predicted, true))
    )
    recall = found[..., 1] / found.sum(dim=-1)
    precision = drawn[..., 1] / drawn.sum(dim=-1).clamp(min=1)
    # F1 = 2·P·R / (P + R), and 0 where nothing matches
    return 2 * precision * recall / (precision + recall).masked_fill(recall == 0, 1)


def _matches(
    classes: Tensor,
    contour: Tensor,
    others: Tensor,
    other_contour: Tensor,
    judged: Tensor,
    num_classes: int,
    radius: float,
) -> Tensor:
    """Count the judged pixels of a contour that miss and match another: (B, C, 2)."""
    # few pixels are on a contour: those alone are looked up
    places = (contour & judged).flatten().nonzero().squeeze(1)
    classes = classes.flatten()[places].long()
    near = torch.zeros_like(classes)
    # each class is a bit of a word, so that one dilation serves all classes of the word
    word, bits = SMALL if num_classes <= SMALL[1] else LARGE
    for first in range(0, num_classes, bits):
        own = others.to(word) - first
        of_word = other_contour & (own >= 0) & (own < bits)
        spread = dilate(of_word.to(word) << own.clamp(0, bits - 1), radius).flatten()[places]
        place = classes - first
        inside = (place >= 0) & (place < bits)
        near |= (spread.long() >> place.clamp(0, bits - 1)) & inside
    image = places // contour[0].numel()
    cell = (image * num_classes + classes) * 2 + near
    counts = torch.bincount(cell, minlength=len(contour) * num_classes * 2)
    return counts.view(len(contour), num_classes, 2)


class BoundaryF1(Metric):
    """Boundary F1 over every image seen since the last reset, on all processes together.

    Args:
        num_classes: C.
        ignore_index: the value that marks void in the target.
        tolerance: θ as a share of the image's diagonal.
        **kwargs: handed to `torchmetrics.Metric`.

    Raises:
        ValueError: no class, a void value that is one of the classes, a negative tolerance.

    Example:
        >>> score = BoundaryF1(num_classes=2)
        >>> truth = torch.tensor([[[0, 0, 0, 1, 1, 1]]])
        >>> score.update(truth, truth)
        >>> score.compute()
        {'boundary_f1': tensor(1.), 'boundary_f1_class': tensor(1.)}
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    class_sum: Tensor
    class_count: Tensor
    image_sum: Tensor
    image_count: Tensor
    images: list[Tensor]

    def __init__(
        self,
        num_classes: int,
        ignore_index: int = 255,
        tolerance: float = 0.0075,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_classes(num_classes, ignore_index)
        if not 0 <= tolerance < math.inf:
            raise ValueError(
                f"tolerance={tolerance} is no share of the diagonal: give 0 or more, such as 0.0075"
            )
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.tolerance = tolerance
        counts = torch.zeros(num_classes, dtype=torch.int64)
        self.add_state("class_sum", torch.zeros(num_classes), dist_reduce_fx="sum")
        self.add_state("class_count", counts, dist_reduce_fx="sum")
        self.add_state("image_sum", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("image_count", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("images", [], dist_reduce_fx="cat")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add a batch: class maps (B, H, W) or logits (B, C, H, W), and the truth (B, H, W)."""
        scores = boundary_f1(preds, target, self.num_classes, self.ignore_index, self.tolerance)
        counted = ~scores.isnan()
        self.class_sum += scores.nansum(dim=0)
        self.class_count += counted.sum(dim=0)
        self.images.append(scores.nanmean(dim=1))
        self.image_sum += scores.nanmean(dim=1).nansum()
        self.image_count += counted.any(dim=1).sum()

    def compute(self) -> dict[str, Tensor]:
        """Return two averages of the images' per-class F1, both shares of 1.

        `boundary_f1` is SegNet's: the mean over an image's classes, then over images.
        `boundary_f1_class` is the mean over a class's images, then over classes.
        """
        return {
            "boundary_f1": self.image_sum / self.image_count,
            "boundary_f1_class": (self.class_sum / self.class_count).nanmean(),
        }

    def per_image_f1(self) -> Tensor:
        """Return each image's mean F1 over its classes, (N,), on this process; nan without any."""
        return torch.cat(self.images) if isinstance(self.images, list) else self.images

    def per_class_f1(self) -> Tensor:
        """Return each class's mean F1 over its images, (C,), over all processes; nan if unseen."""
        with self.sync_context(dist_sync_fn=self.dist_sync_fn):
            return self.class_sum / self.class_count
