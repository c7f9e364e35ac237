"""Precision and recall of generated images, from k-nearest-neighbour manifolds of their features.

Kynkäänniemi et al., "Improved precision and recall metric for assessing generative models" (2019):
the manifold of a set is the union of balls around its points, each as wide as the distance to its
k-th nearest neighbour. Precision is the share of generated points within the real manifold (are
they plausible?), recall the share of real points within the generated one (is everything covered?).
"""

from __future__ import annotations

import torch
from torch import Tensor

ROWS_AT_ONCE = 1024


def neighbour_radii(points: Tensor, k: int) -> Tensor:
    """Distance of each point (n, d) to its k-th nearest neighbour, itself not counted: (n,)."""
    radii = [
        # the nearest is the point itself; quicker than kthvalue
        torch.cdist(some, points).topk(k + 1, dim=1, largest=False).values[:, -1]
        for some in points.split(ROWS_AT_ONCE)
    ]
    return torch.cat(radii)


def share_within(points: Tensor, centres: Tensor, radii: Tensor) -> Tensor:
    """Share of the points (n, d) that lie in one of the balls around the centres (m, d)."""
    inside = [
        (torch.cdist(some, centres) <= radii).any(dim=1) for some in points.split(ROWS_AT_ONCE)
    ]
    return torch.cat(inside).float().mean()


def precision_recall(real: Tensor, fake: Tensor, k: int = 3) -> tuple[Tensor, Tensor]:
    """Precision and recall, both shares of 1.

    Distances are taken in float64, 1024 rows at a time: float32 would blur those of near twins.

    Args:
        real: (n, d) features of real images.
        fake: (m, d) features of generated images; about as many, since recall grows with m.
        k: the neighbour whose distance is the radius; the paper's is 3.

    Returns:
        Two scalars.

    Raises:
        ValueError: sets of other shapes, k below 1, or no more than k points in a set.

    Example:
        >>> real = torch.tensor([[0.0], [1.0], [2.0], [9.0]])
        >>> fake = torch.tensor([[0.5], [1.5], [20.0], [21.0]])
        >>> precision_recall(real, fake, k=1)
        (tensor(0.5000), tensor(0.7500))
    """
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1]:
        raise ValueError(
            f"features {tuple(real.shape)} and {tuple(fake.shape)} must be (n, d) and (m, d)"
        )
    if not 1 <= k < min(len(real), len(fake)):
        raise ValueError(
            f"k={k} neighbours do not fit {len(real)} real and {len(fake)} generated images: "
            "give more images than k, and k of at least 1"
        )
    centre = real.double().mean(dim=0)  # small numbers round less
    real, fake = real.double() - centre, fake.double() - centre
    precision = share_within(fake, real, neighbour_radii(real, k))
    recall = share_within(real, fake, neighbour_radii(fake, k))
    return precision, recall
