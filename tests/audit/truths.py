"""How strong a grid a net has over many inputs: no code of the audit's.

Pictures are smooth, as photographs are: behind an activation, white noise turns the unequal
variances of interpolated pixels into unequal means, where a photograph shows nothing. Second
differences along the last axis let no drift count; of a wave of period p they leave
2 − 2·cos(2π / p), by which they are divided again.
"""

import math

import torch

from tests.audit.published import W

VISIBLE = 0.0092  # of the output's spread: 6 dB
DRAWN = ("const", "place")  # what a net has of its own for each place is drawn anew
SURE = 4  # standard errors
BATCH, MOST = 16, 8000


def smooth(shape, generator):
    """Noise of the spectrum of photographs, amplitudes ∝ 1/f, mean 0.7 and deviation 0.3."""
    axes = tuple(range(2, len(shape)))
    waves = torch.meshgrid(*[torch.fft.fftfreq(n) for n in shape[2:]], indexing="ij")
    radius = sum(w.square() for w in waves).sqrt()
    radius[(0,) * len(axes)] = math.inf
    white = torch.fft.fftn(torch.randn(shape, generator=generator), dim=axes)
    noise = torch.fft.ifftn(white / radius, dim=axes).real
    return 0.7 + 0.3 * noise / noise.std()


def outputs(net, shape, generator):
    """(B, C, *spatial) of a batch of inputs."""
    with torch.no_grad():
        if len(shape) == 2 and isinstance(net, torch.nn.Sequential):  # the steps behind a code
            return net[2:](smooth((BATCH, W, 24, 24), generator))
        if len(shape) == 2:
            return net(torch.randn(BATCH, shape[1], generator=generator))
        if len(shape) == 5 and shape[1:3] == (3, 3):  # (B, T, C, H, W)
            films = smooth((3 * BATCH, *shape[2:]), generator).unflatten(0, (BATCH, 3))
            return net(films).flatten(0, 1)
        if shape[-1] == 3:  # (B, H, W, C)
            pictures = smooth((BATCH, 3, *shape[1:3]), generator)
            return net(pictures.movedim(1, -1)).movedim(-1, 1)
        return net(smooth((BATCH, *shape[1:]), generator))


def grid(y, period):
    """The grid of a batch's mean, (B, C, *spatial) -> (C, *periods), along its last axis."""
    y = y.mean(0)
    for dim in range(1, y.ndim - 1):
        n = y.shape[dim]
        y = y.narrow(dim, n // 4 // period * period, n // 2 // period * period)
        y = y.unflatten(dim, (-1, period)).mean(dim)
    n = y.shape[-1]
    y = y.diff(n=2, dim=-1).narrow(-1, n // 4, n // 2 // period * period)
    waves = torch.fft.fft(y.unflatten(-1, (-1, period)).mean(-2))
    frequencies = torch.fft.fftfreq(period, dtype=torch.double)
    gains = 2 - 2 * torch.cos(2 * math.pi * frequencies)
    gains[0] = math.inf  # the mean is no grid
    return torch.fft.ifft(waves / gains).real


def contrast(net, shape, period):
    """A grid over the output's spread, from as many inputs as tell whether it is visible.

    Returns:
        The contrast, and its standard error.
    """
    generator = torch.Generator().manual_seed(3)
    own = [p for name, p in net.named_parameters() if name in DRAWN]
    grids, variances = [], []
    found = error = math.inf
    while len(grids) * BATCH < MOST:
        for parameter in own:
            if parameter.ndim == 4:
                parameter.data = smooth(parameter.shape, generator)
            else:
                parameter.data.normal_(0, parameter.std().item(), generator=generator)
        y = outputs(net, shape, generator).double()
        grids.append(grid(y, period))
        variances.append(y.var(tuple(range(2, y.ndim)), correction=0).mean(0).sum())
        n = len(grids)
        if n < 8:
            continue
        spread = torch.stack(variances).mean()
        every = torch.stack(grids)
        mean = every.mean(0)
        chance = (every - mean).square().sum(0) / (n * (n - 1))
        energy, noise = (e.flatten(1).mean(1).sum() / spread for e in (mean.square(), chance))
        found, error = (energy - noise).clamp(min=0).sqrt().item(), noise.sqrt().item()
        if abs(found - VISIBLE) > SURE * error:
            break
    return found, error
