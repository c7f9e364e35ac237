"""What generator and discriminator minimise, and what must stay as it is meanwhile."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def non_saturating(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of real against fake; the generator wants its own called real.

    Goodfellow et al. 2014, section 3: the generator maximises log D(G(z)).
    """
    # −log σ(x) = softplus(−x), −log(1 − σ(x)) = softplus(x)
    return F.softplus(-real).mean() + F.softplus(fake).mean(), F.softplus(-fake).mean()


def hinge(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """A margin of 1 on both sides (Lim and Ye 2017, Miyato et al. 2018)."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean(), -fake.mean()


def least_squares(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Half the squared distance to 1 for real and 0 for fake (Mao et al. 2017)."""
    return ((real - 1).square().mean() + fake.square().mean()) / 2, (fake - 1).square().mean() / 2


#: (real logits, fake logits) -> (the discriminator's loss, the generator's loss).
LOSSES: dict[str, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "non_saturating": non_saturating,
    "hinge": hinge,
    "least_squares": least_squares,
}


def r1(logits: Tensor, images: Tensor) -> Tensor:
    """E‖∇D(x)‖² over real images (Mescheder et al. 2018), to be weighted by γ/2.

    Batch normalisation couples the images of a batch, and then so does this gradient.

    Args:
        logits: (B,) of the images.
        images: (B, C, H, W) that require gradients.
    """
    (gradient,) = torch.autograd.grad(logits.float().sum(), images, create_graph=True)
    return gradient.float().square().sum((1, 2, 3)).mean()


@contextmanager
def frozen(net: nn.Module) -> Iterator[None]:
    """Build a graph through `net` in which its own parameters get no gradients."""
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in net.parameters():
            parameter.requires_grad_(True)


@contextmanager
def untracked(net: nn.Module) -> Iterator[None]:
    """Leave the running statistics of batch normalisation as they are."""
    norms = [m for m in net.modules() if isinstance(m, _BatchNorm)]  # synchronised ones too
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
