"""Deep convolutional generative adversarial net (Radford, Metz and Chintala 2016)."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upzoo.base import Net, NoiseNet
from upzoo.counts import check_counts, is_count
from upzoo.fitting import refuse_needs
from upzoo.tracing import is_exported

#: Side of the coarsest map by side of the image; each ×2 between them is an operator's.
STARTS = {28: 7, 32: 4, 64: 4, 96: 6, 128: 4}


class Generator(NoiseNet):
    """Noise to image: a coarse map, then ×2 by the operator until the image's size.

    The noise becomes the coarse map by a transposed convolution of a single pixel, which is a
    linear layer without bias. Channels halve at every ×2; batch normalisation and a rectifier
    follow each but the last, which gives the image's channels directly, through tanh. An operator
    that has no spatial weights of its own (`interpolate`) is thus a poor generator: there are no
    other convolutions around it. `refine` puts the same convolution behind every operator, which
    compares them alone.

    With `size=64, width=64` and learned transposed convolutions this is netG of PyTorch's example.

    Args:
        upsample: builds an operator from (in_channels, out_channels, scale).
        size: side of the square image: 28 (from a 7×7 map), 96 (from 6×6), 32, 64 or 128
            (from 4×4).
        channels: of the image.
        latent: numbers of noise.
        width: channels before the last ×2.
        slope: of the rectifier below zero; 0 is ReLU.
        stem: kernel of an ordinary convolution on the coarse map, which then has twice the
            channels, as in TensorFlow's tutorial; None for none.
        std: as in `initialise`.
        bias: add a learned bias to the image, before tanh.
        refine: kernel of a convolution behind every operator, of which the last makes the image of
            `width` channels; None for none.
    """

    def __init__(
        self,
        upsample: Callable[[int, int, int], nn.Module],
        size: int,
        channels: int,
        latent: int = 100,
        width: int = 64,
        slope: float = 0.0,
        stem: int | None = None,
        std: float | None = 0.02,
        bias: bool = False,
        refine: int | None = None,
    ):
        super().__init__()
        self.latent = latent
        self.slope = slope
        widths = _widths(size, width)[::-1]  # from coarse to fine
        first = 2 * widths[0] if stem else widths[0]
        self.start = nn.ConvTranspose2d(latent, first, STARTS[size], bias=False)
        self.start_norm = nn.BatchNorm2d(first)
        self.stem: nn.Module = nn.Identity()
        if stem:
            self.stem = nn.Sequential(
                nn.Conv2d(first, widths[0], stem, padding=stem // 2, bias=False),
                nn.BatchNorm2d(widths[0]),
                _rectifier(slope),
            )
        self.norms = nn.ModuleList(nn.BatchNorm2d(w) for w in widths[1:])
        outputs = [*widths[1:], channels]
        self.refines = nn.ModuleList()
        if refine:
            inputs = [*widths[1:], widths[-1]]
            self.refines.extend(
                nn.Conv2d(i, o, refine, padding=refine // 2, bias=False)
                for i, o in zip(inputs, outputs, strict=True)
            )
            outputs = inputs
        initialise(self, std)
        # The operators come last, after `initialise`, since they own their initialisation.
        self.upsamples = nn.ModuleList(
            upsample(i, o, 2) for i, o in zip(widths, outputs, strict=True)
        )
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1)) if bias else None

    def forward(self, z: Tensor) -> Tensor:
        """Noise (B, latent) -> images (B, channels, size, size) in [-1, 1]."""
        x = self._begin(z)  # (B, C, 4, 4)
        x = self.stem(self._rectify(self.start_norm(x)))
        for step, norm in enumerate(self.norms):
            x = self._rectify(norm(self._enlarge(step, x)))
        x = self._enlarge(len(self.norms), x)
        return (x if self.bias is None else x + self.bias).tanh()

    def _begin(self, z: Tensor) -> Tensor:
        """`start`, of one pixel: a matrix product, which is faster so on CPUs."""
        if is_exported():  # a product's layout makes a condition of how many images there are
            return self.start(z[:, :, None, None])
        weight = self.start.weight.permute(0, 2, 3, 1)  # (latent, h, w, C)
        return F.linear(z, weight.flatten(1).T).unflatten(1, weight.shape[1:]).permute(0, 3, 1, 2)

    def _enlarge(self, step: int, x: Tensor) -> Tensor:
        x = self.upsamples[step](x)
        return self.refines[step](x) if self.refines else x

    def _rectify(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, self.slope, inplace=True)


class Discriminator(Net):
    """Image to score: strided convolutions to the coarsest map, then one number.

    Channels double at every halving. All but the first convolution are normalised by batch. The
    padding is (kernel − 1) // 2: for an odd kernel, TensorFlow's SAME seen in a mirror. A kernel
    that the stride of 2 does not divide overlaps unevenly, which puts a checkerboard into the
    gradient that the generator learns from (Odena et al. 2016).

    With `size=64, width=64` this is netD of PyTorch's example.

    Args:
        size: side of the square image: 28, 32, 64, 96 or 128.
        channels: of the image.
        width: channels of the first convolution.
        kernel: 3, 4 or 5.
        slope: of the rectifiers below zero.
        norm: normalise by batch; without it the convolutions have biases.
        dropout: share of values dropped after every rectifier.
        std: as in `initialise`.
        bias: give the first and the last convolution biases, though the others are normalised.
    """

    label = "dcgan_discriminator"
    makes = "scores"

    def __init__(
        self,
        size: int,
        channels: int,
        width: int = 64,
        kernel: int = 4,
        slope: float = 0.2,
        norm: bool = True,
        dropout: float = 0.0,
        std: float | None = 0.02,
        bias: bool = False,
    ):
        super().__init__()
        if kernel not in (3, 4, 5):
            raise ValueError(f"kernel={kernel!r} of the discriminator must be 3, 4 or 5")
        widths = [channels, *_widths(size, width)]
        layers: list[nn.Module] = []
        for i, (a, b) in enumerate(itertools.pairwise(widths)):
            padding = (kernel - 1) // 2
            biased = not norm or (bias and i == 0)
            layers.append(nn.Conv2d(a, b, kernel, stride=2, padding=padding, bias=biased))
            if norm and i > 0:
                layers.append(nn.BatchNorm2d(b))
            layers.append(_rectifier(slope))
            if dropout:
                layers.append(nn.Dropout(dropout))
        layers.append(nn.Conv2d(widths[-1], 1, STARTS[size], bias=bias or not norm))
        self.layers = nn.Sequential(*layers)
        initialise(self, std)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, channels, size, size) in [-1, 1] -> logits (B,) of being real."""
        return self.layers(x).flatten()


class DCGAN(NoiseNet):
    """A generator whose every ×2 is the operator's, and the discriminator that teaches it.

    As a module it is the generator: noise (B, latent) -> images in [-1, 1].

    Args:
        upsample: builds an operator from (in_channels, out_channels, scale).
        in_channels: channels of the image.
        size: (height, width) of the image: square, of 28, 32, 64, 96 or 128 pixels.
        latent: numbers of noise.
        width: channels at half the image's size, in both nets.
        slope: the generator's rectifiers below zero; 0 is ReLU.
        stem: see `Generator`.
        kernel: the discriminator's, 3, 4 or 5.
        discriminator_slope: the discriminator's rectifiers below zero.
        norm: whether the discriminator normalises by batch.
        dropout: the discriminator's.
        std: of the normal start of all weights but the operators'; None: uniform after Glorot.
        refine: see `Generator`.

    Raises:
        ValueError: for a size, an option or an operator that does not fit.
    """

    label = "dcgan"

    def __init__(
        self,
        upsample: Callable[[int, int, int], nn.Module],
        in_channels: int,
        size: Sequence[int],
        latent: int = 100,
        width: int = 64,
        slope: float = 0.0,
        stem: int | None = None,
        kernel: int = 4,
        discriminator_slope: float = 0.2,
        norm: bool = True,
        dropout: float = 0.0,
        std: float | None = 0.02,
        refine: int | None = None,
    ):
        super().__init__()
        side = _side(size)
        check_counts(in_channels=in_channels, latent=latent, width=width)
        for name, kernel_size in (("stem", stem), ("refine", refine)):
            if kernel_size is not None and not (is_count(kernel_size) and kernel_size % 2):
                raise ValueError(
                    f"{name}={kernel_size!r} must be an odd kernel, such as 5, or null"
                )
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout={dropout!r} must be a share from 0 to below 1")
        refuse_needs(
            upsample,
            "DCGAN",
            no_switches="its generator has no pooling",
            no_guide="its generator has no encoder",
        )
        self.size = (side, side)
        self.latent = latent
        # The operators come last: with one seed, all else starts alike whatever they draw.
        self.discriminator = Discriminator(
            side, in_channels, width, kernel, discriminator_slope, norm, dropout, std
        )
        self.generator = Generator(
            upsample, side, in_channels, latent, width, slope, stem, std, refine=refine
        )

    def forward(self, z: Tensor) -> Tensor:
        """Noise (B, latent) -> images (B, in_channels, *size) in [-1, 1]."""
        return self.generator(z)

    @property
    def deployed(self) -> nn.Module:
        """The generator."""
        return self.generator

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile both nets, which are called one by one, in place."""
        self.generator.compile(*args, **kwargs)
        self.discriminator.compile(*args, **kwargs)


def initialise(module: nn.Module, std: float | None) -> None:
    """Start convolutions from N(0, std²), normalisations from N(1, std²), biases from 0.

    Without a `std`: convolutions uniform after Glorot, normalisations at 1, as in Keras.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            if std is None:
                nn.init.xavier_uniform_(layer.weight)
            else:
                nn.init.normal_(layer.weight, 0.0, std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d) and std is not None:
            nn.init.normal_(layer.weight, 1.0, std)


def _widths(size: int, width: int) -> list[int]:
    """Channels at each halving of the image, from fine to coarse: each twice the one before."""
    halvings = (size // STARTS[size]).bit_length() - 1
    return [width * 2**i for i in range(halvings)]


def _rectifier(slope: float) -> nn.Module:
    return nn.LeakyReLU(slope, inplace=True)


def _side(size: Sequence[int]) -> int:
    pair = [size] if isinstance(size, int) else list(size or ())
    if len(pair) != 2 or pair[0] != pair[1] or pair[0] not in STARTS:
        raise ValueError(
            f"size={pair} does not fit DCGAN: set data.size to [s, s], s one of "
            f"{', '.join(map(str, STARTS))}"
        )
    return pair[0]
