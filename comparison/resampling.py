"""Intervals over seeds and images at once, from the figures of each image (`runs.per_image`).

A score is uncertain since other seeds would have trained other nets and since the test set might
have held other images. Seeds and images are crossed, as every net is scored on every image, so
both are drawn anew with replacement, independently, and every drawn net is scored on every drawn
image (the pigeonhole bootstrap: Owen 2007, "The pigeonhole bootstrap"; it is a little wide). Images
of one drive are no independent draws: an interval is of scenes like these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

#: Figure → (seeds, images, …); summed over drawn images it is (draws, seeds, …).
Figures = Mapping[str, np.ndarray]
Statistic = Callable[[Figures], np.ndarray]


def draw(figures: Figures, statistic: Statistic, draws: int = 2000, seed: int = 0) -> np.ndarray:
    """The statistic's mean over seeds in every draw, (draws,).

    Variants with equally many seeds and images see the same draws, so that the difference of two
    results is paired.

    Args:
        figures: of one variant at one budget.
        statistic: sums over images -> (draws, seeds).
        draws: how many.
        seed: of the draws.

    Raises:
        ValueError: figures without seeds or images, or of differing numbers.
    """
    shapes = {array.shape[:2] for array in figures.values()}
    if len(shapes) != 1 or 0 in next(iter(shapes)):
        raise ValueError(
            f"figures have {sorted(shapes)} seeds and images: each needs the same, one or more"
        )
    seeds, images = shapes.pop()
    random = np.random.default_rng(seed)
    drawn_seeds = random.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws)
    drawn_images = random.multinomial(images, np.full(images, 1 / images), size=draws)
    sums = {
        name: np.tensordot(drawn_images.astype(float), array, axes=(1, 1))  # (draws, seeds, …)
        for name, array in figures.items()
    }
    return (statistic(sums) * drawn_seeds).sum(axis=1) / seeds


def interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The middle share of draws.

    >>> interval(np.arange(9.0), 0.5)
    (2.0, 6.0)
    """
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mean_iou(sums: Figures) -> np.ndarray:
    """Mean IoU from `hits`, `truth` and `predicted` pixels of each class, (…, C) -> (…).

    >>> mean_iou({k: np.array([[v]]) for k, v in (("hits", 2), ("truth", 3), ("predicted", 3))})
    array([0.5])
    """
    union = sums["truth"] + sums["predicted"] - sums["hits"]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nanmean(sums["hits"] / union, axis=-1)


def drawn_as(figures: Figures, pooled: bool = False) -> tuple[Figures, Statistic]:
    """What to draw of a score, and the statistic that gives it.

    Args:
        figures: of the counts of a mean IoU, or one value an image.
        pooled: the values are PSNR in dB, the score that of the squared error over all images,
            which is no mean of theirs.
    """
    if len(figures) > 1:
        return figures, mean_iou
    (values,) = figures.values()
    return (mean_of(10 ** (-values / 10)), pooled_psnr) if pooled else (mean_of(values), ratio)


def mean_of(values: np.ndarray) -> Figures:
    """Figures of the mean over images that have a value, for `ratio`; nan is none."""
    return {"total": np.nan_to_num(values), "count": np.isfinite(values).astype(float)}


def ratio(sums: Figures) -> np.ndarray:
    """The mean of what `mean_of` made figures of."""
    return sums["total"] / sums["count"]


def pooled_psnr(sums: Figures) -> np.ndarray:
    """PSNR in dB of the mean of squared errors, in units of the peak's square."""
    return -10 * np.log10(ratio(sums))
