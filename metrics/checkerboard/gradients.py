"""Checkerboards in gradients: what strided convolutions and pooling put into ∂(vᵀf)/∂x.

The gradient of a strided convolution is a transposed convolution with the same kernel and stride.
A 3×3 kernel at stride 2 hands the gradient to a pixel four times, twice or once, by its phase.
Saliency maps, adversarial examples and a generator under its discriminator see that grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from upzoo.metrics.checkerboard.grid import phase_means
from upzoo.metrics.checkerboard.response import Net, main_map
from upzoo.upsampling.phases import over, unevenness


class GradientPhases(NamedTuple):
    """How a gradient differs from phase to phase.

    Attributes:
        energy_ratio: largest over smallest of E[g² | φ]: 1 where no phase is favoured, infinite
            where one gets nothing. Few entries a phase lift it above 1 by chance.
        mean: √Var_φ E[g | φ] / σ_g, the grid's share of the gradient's own spread.
    """

    energy_ratio: float
    mean: float


def input_gradient(net: Net, x: Tensor, seed: int = 0) -> Tensor:
    """∂(vᵀf(x))/∂x for random signs v, drawn from `seed` alone.

    Parameters get no gradient: their `.grad` stays as it is.

    Args:
        net: from (B, C, *spatial) to a tensor of any shape, or a dict or tuple that holds one.
        x: (B, C, *spatial).
        seed: of v.

    Returns:
        (B, C, *spatial).
    """
    generator = torch.Generator().manual_seed(seed)
    gradients = []
    for image in x.detach().split(1):  # one by one, to need the memory of one
        with torch.enable_grad():
            leaf = image.clone().requires_grad_()
            y = main_map(net(leaf))
            signs = torch.randint(0, 2, y.shape, generator=generator) * 2 - 1
            # every entry of v is +1 or −1, so that E[v vᵀ] = I
            gradients += torch.autograd.grad(y, leaf, signs.to(y))
    return torch.cat(gradients)


def phase_energies(gradient: Tensor, period: int) -> Tensor:
    """E[g² | φ] over images, channels and cells: (B, C, *spatial) -> (period, ...) float64.

    Example:
        >>> phase_energies(torch.tensor([[[1.0, 2.0, 1.0, 4.0]]]), 2)
        tensor([ 1., 10.], dtype=torch.float64)
    """
    return phase_means(gradient.double().square(), period).mean((0, 1))


def gradient_phases(
    net: Net, x: Tensor, periods: Sequence[int] = (2,), *, margin: int = 0, seed: int = 0
) -> dict[int, GradientPhases]:
    """Phase figures of the input gradient, by period.

    Args:
        net: as for `input_gradient`.
        x: (B, C, *spatial) inputs; more pixels, images and channels give surer figures.
        periods: in input pixels: 2 up to the product of the net's strides.
        margin: input pixels to leave out along the border.
        seed: of the random signs.

    Raises:
        ValueError: for a period that does not fit in the input.
    """
    g = input_gradient(net, x, seed).double()
    for dim in range(2, g.ndim):
        g = g.narrow(dim, margin, max(g.shape[dim] - 2 * margin, 0))
    for period in periods:
        if period < 2 or period > min(g.shape[2:]):
            raise ValueError(
                f"period={period} must lie between 2 and the {min(g.shape[2:])} pixels inside "
                f"the margin"
            )
    spread = g.std(correction=0).item()
    return {period: _figures(g, period, spread) for period in periods}


def _figures(g: Tensor, period: int, spread: float) -> GradientPhases:
    # √Var_φ E[g | φ], channels kept apart: their means differ for other reasons
    means = phase_means(g, period).mean(0).flatten(1)
    grid = means.var(1, correction=0).mean().sqrt().item()
    energies: Any = phase_energies(g, period)
    return GradientPhases(unevenness(energies), over(grid, spread))
