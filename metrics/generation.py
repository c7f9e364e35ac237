"""How close generated images come to real ones: patches, and features of a net that suits the data.

Inception's features know photographs; digits want those of a digit classifier. Hence the features
are whatever net is handed in, and without one the sliced Wasserstein distance is left.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.image.fid import FrechetInceptionDistance, NoTrainInceptionV3
from torchmetrics.image.kid import KernelInceptionDistance
from torchmetrics.utilities import dim_zero_cat

from upzoo.counts import check_counts
from upzoo.metrics.precision_recall import precision_recall
from upzoo.metrics.sliced_wasserstein import SlicedWasserstein

ROUNDING = 1e-3  # by which images may leave [0, 1]
SHARE = 0.01  # of the generated images that makes a class drawn


class GenerationScores(Metric):
    """Scores of all images seen since the last reset, on all processes together.

    `swd` and `swd_<side>` (sliced Wasserstein, see `sliced_wasserstein`); with features
    also `fid` (Fréchet distance of two Gaussians, Heusel et al. 2017), `kid` (squared MMD with a
    cubic kernel, Bińkowski et al. 2018), `precision` and `recall` (Kynkäänniemi et al. 2019). Where
    the features are a classifier's, `confidence` is the mean probability of the likeliest class of
    generated images, and `classes_drawn` counts the classes that at least 1 % of them are.
    Fréchet distances compare only for equal features and equal numbers of images: fewer images
    raise them. Features of every image are kept, 4 bytes a number.

    Args:
        features: images (B, C, H, W) in [0, 1] -> (B, d) features, or None; a module is put into
            evaluation mode, follows the images' device and is no part of this module's state. A
            classifier's has `classify`, features -> probabilities (B, classes).
        k: neighbours of precision and recall.
        kid_subsets: random subsets that `kid` averages over.
        kid_subset_size: their size, or all images where there are fewer.
        seed: seed of all that is drawn.
        patches: see SlicedWasserstein, as the two that follow.
        directions: -
        capacity: -
        **kwargs: handed to `torchmetrics.Metric`.

    Raises:
        ValueError: an option below 1.
    """

    is_differentiable = False
    full_state_update = False
    real_features: list[Tensor]
    fake_features: list[Tensor]

    def __init__(
        self,
        features: Callable[[Tensor], Tensor] | None = None,
        *,
        k: int = 3,
        kid_subsets: int = 100,
        kid_subset_size: int = 1000,
        seed: int = 0,
        patches: int = 128,
        directions: int = 512,
        capacity: int = 65536,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_counts(k=k, kid_subsets=kid_subsets)
        if kid_subset_size < 2:
            raise ValueError(f"kid_subset_size={kid_subset_size} must be 2 or more")
        # in a tuple, so that a module's weights do not enter checkpoints and optimisers
        self._features = (features.eval() if isinstance(features, nn.Module) else features,)
        self.k = k
        self.kid_subsets = kid_subsets
        self.kid_subset_size = kid_subset_size
        self.seed = seed
        self.swd = SlicedWasserstein(patches, directions, capacity, seed, **kwargs)
        self.add_state("real_features", [], dist_reduce_fx="cat")
        self.add_state("fake_features", [], dist_reduce_fx="cat")

    @property
    def has_features(self) -> bool:
        """Whether images are compared in features too."""
        return self._features[0] is not None

    def update(self, images: Tensor, real: bool) -> None:
        """Add a batch of real or of generated images, (B, C, H, W) floats in [0, 1].

        Raises:
            ValueError: another range, another size than before, or features that are no (B, d).
        """
        low, high = (bound.item() for bound in images.aminmax())
        if not (low >= -ROUNDING and high <= 1 + ROUNDING):
            raise ValueError(f"images range from {low:g} to {high:g}: bring them to [0, 1]")
        self.swd.update(images, real)
        (extract,) = self._features
        if extract is None:
            return
        if isinstance(extract, nn.Module):
            extract.to(images.device)
        with torch.autocast(images.device.type, enabled=False):
            extracted = extract(images.float()).float()
        if extracted.ndim != 2 or len(extracted) != len(images):
            raise ValueError(
                f"features {tuple(extracted.shape)} of {len(images)} images must be (B, d): "
                "pool or flatten them"
            )
        (self.real_features if real else self.fake_features).append(extracted)

    def compute(self) -> dict[str, Tensor]:
        """Return every score as a scalar by its name.

        Raises:
            ValueError: fewer images of a kind than the scores need.
        """
        scores = self.swd.compute()
        if self._features[0] is None:
            return scores
        real, fake = dim_zero_cat(self.real_features), dim_zero_cat(self.fake_features)
        scores["precision"], scores["recall"] = precision_recall(real, fake, self.k)
        scores["fid"] = frechet_distance(real, fake)
        size = min(self.kid_subset_size, len(real), len(fake))
        scores["kid"] = kernel_distance(real, fake, self.kid_subsets, size, self.seed)
        classify: Callable[[Tensor], Tensor] | None = getattr(self._features[0], "classify", None)
        if classify is not None:
            highest, likeliest = classify(fake).max(1)
            scores["confidence"] = highest.mean()
            drawn = likeliest.bincount() >= SHARE * len(fake)
            scores["classes_drawn"] = drawn.sum().float()
        return scores

    def reset(self) -> None:
        """Forget all images."""
        super().reset()
        self.swd.reset()


class _Given(nn.Module):
    """Stands where torchmetrics expects an extractor: the features are extracted already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


def frechet_distance(real: Tensor, fake: Tensor) -> Tensor:
    """‖μ − μ'‖² + tr(Σ + Σ' − 2(ΣΣ')^½) of two sets of features (n, d), by torchmetrics.

    >>> x = torch.tensor([[0.0], [2.0]])
    >>> frechet_distance(x, x + 3)
    tensor(9.)
    """
    metric = FrechetInceptionDistance(_Given(real.shape[1]), sync_on_compute=False).to(real.device)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    return metric.compute()


def kernel_distance(
    real: Tensor, fake: Tensor, subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> Tensor:
    """Unbiased squared MMD with the kernel (x·y/d + 1)³, a mean over subsets, by torchmetrics."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the features are kept: they are anyway
        metric = KernelInceptionDistance(
            _Given(real.shape[1]), subsets, subset_size, sync_on_compute=False
        ).to(real.device)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return metric.compute()[0]


class _Inception(nn.Module):
    """Images in [0, 1], grey or colour, to the bytes in colour that Inception takes."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        colour = images.expand(-1, 3, -1, -1)
        return self.net((colour * 255).round().byte())


def inception_features() -> nn.Module:
    """Inception-v3's 2048 pooled features, with the weights of the original FID, by torchmetrics.

    Raises:
        ValueError: torch-fidelity or its weights cannot be had.
    """
    try:
        return _Inception(NoTrainInceptionV3("inception-v3-compat", ["2048"]))
    except ModuleNotFoundError:
        reason = "torch-fidelity is missing, install it with `pip install torch-fidelity`"
    except (OSError, RuntimeError) as error:
        reason = f"its weights could not be fetched ({' '.join(str(error).split())})"
    raise ValueError(
        f"no Inception features: {reason}; or take a classifier of this data, or no features at all"
    )
