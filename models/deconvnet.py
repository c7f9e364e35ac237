"""A symmetric encoder and decoder that carries the switches of its poolings."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from upzoo.base import Net
from upzoo.counts import check_counts, is_count
from upzoo.pointwise import Pointwise


class DeconvNet(Net):
    """Stages of convolutions and 2×2 max-poolings, undone in mirrored order by the operator.

    The decoder's stage takes its input to the size that the encoder's had before it pooled, and
    convolves it down to the channels of the next finer stage. All that the decoder learns of the
    encoder besides its deepest map is where the maxima lay, where the operator asks for these
    switches (Zeiler & Fergus 2014; Noh et al. 2015; Badrinarayanan et al. 2017). The widths never
    depend on the operator.

    VGG-16's stages, as in DeconvNet and SegNet: width=64, multipliers=(1, 2, 4, 8, 8),
    convs=(2, 2, 3, 3, 3). Noh's fully connected layers between the halves are left out, as SegNet's
    authors did, so any image of at least one pixel fits.

    Args:
        upsample: builds an operator from (in_channels, out_channels, scale).
        num_classes: channels of the output: classes to score, or those of the image to rebuild it.
        in_channels: channels of the image.
        width: channels at the multiplier 1.
        multipliers: of `width`, one for each stage, from the image down.
        convs: number of convolutions in each stage, of the encoder and of the decoder alike.
        kernel: size of the convolutions, odd.
        from_depth: decode from this stage on and leave out those below it; None takes all stages.
        decoder_relu: whether the decoder's convolutions are rectified, as the encoder's are.

    Raises:
        ValueError: for an option out of range, or an operator that needs a guiding feature.
    """

    def __init__(
        self,
        upsample: Callable[[int, int, int], nn.Module],
        num_classes: int,
        in_channels: int = 3,
        width: int = 32,
        multipliers: Sequence[int] = (1, 2, 4, 8),
        convs: Sequence[int] = (2, 2, 2, 2),
        kernel: int = 3,
        from_depth: int | None = None,
        decoder_relu: bool = True,
    ):
        super().__init__()
        _check(num_classes, in_channels, width, multipliers, convs, kernel, from_depth)
        _refuse_guided(upsample)
        #: What the image goes through before the first stage.
        self.prepare: nn.Module = nn.Identity()
        #: Channels of each stage, from the image down.
        self.widths = tuple(width * multiplier for multiplier in multipliers[:from_depth])
        self.encoders, self.decoders = nn.ModuleList(), nn.ModuleList()
        above = in_channels
        for channels, count in zip(self.widths, convs, strict=False):
            self.encoders.append(_stage([above] + [channels] * count, kernel, relu=True))
            out = above if self.decoders else channels
            self.decoders.append(_stage([channels] * count + [out], kernel, relu=decoder_relu))
            above = channels
        self.head = Pointwise(self.widths[0], num_classes)
        _initialise(self)
        # The operators come last: with one seed, all else starts alike whatever they draw.
        self.upsamples = nn.ModuleList(upsample(c, c, 2) for c in self.widths)

    @property
    def label(self) -> str:
        """Short name."""
        return "deconvnet"

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, num_classes, H, W)."""
        x = self.prepare(x)
        sizes, switches = [], []
        for encoder, up in zip(self.encoders, self.upsamples, strict=True):
            x = encoder(x)
            sizes.append(x.shape[-2:])
            x, places = pool(x) if up.needs_switches else (pool_plainly(x), None)
            switches.append(places)
        for stage in reversed(range(len(sizes))):
            x = self.upsamples[stage](x, size=sizes[stage], switches=switches[stage])
            x = self.decoders[stage](x)
        return self.head(x)


def pool(x: Tensor) -> tuple[Tensor, Tensor]:
    """Maxima of 2×2 windows and their switches, (B, C, ⌈H/2⌉, ⌈W/2⌉) both."""
    return F.max_pool2d(x, 2, ceil_mode=True, return_indices=True)


def pool_plainly(x: Tensor) -> Tensor:
    """The same maxima without switches."""
    return F.max_pool2d(x, 2, ceil_mode=True)


def _stage(widths: Sequence[int], kernel: int, relu: bool) -> nn.Sequential:
    """Convolution, batch norm and ReLU from each width to the next."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        conv = nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False)
        layers += [conv, nn.BatchNorm2d(after)]
        if relu:
            layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def _initialise(net: nn.Module) -> None:
    """He's normal start for every convolution: variance 2 / (k²·in_channels), bias zero."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _check(
    num_classes: int,
    in_channels: int,
    width: int,
    multipliers: Sequence[int],
    convs: Sequence[int],
    kernel: int,
    from_depth: int | None,
) -> None:
    check_counts(num_classes=num_classes, in_channels=in_channels, width=width)
    for name, values in (("multipliers", multipliers), ("convs", convs)):
        if not values or not all(map(is_count, values)):
            raise ValueError(
                f"{name}={list(values)} must hold an integer of at least 1 for each stage"
            )
    if len(convs) != len(multipliers):
        raise ValueError(
            f"convs={list(convs)} must have one number for each of the {len(multipliers)} stages "
            f"of multipliers={list(multipliers)}"
        )
    if not is_count(kernel) or kernel % 2 == 0:
        raise ValueError(f"kernel={kernel} must be odd: an even one would shift the map")
    if from_depth is not None and not (is_count(from_depth) and from_depth <= len(multipliers)):
        raise ValueError(
            f"from_depth={from_depth} must be a stage from 1 to {len(multipliers)}, "
            "or null for the deepest"
        )


def _refuse_guided(upsample: Callable[..., nn.Module]) -> None:
    """Refuse operators that need a guiding feature, before anything is built."""
    operator = getattr(upsample, "func", upsample)  # the class inside a partial
    if getattr(operator, "needs_guide", False):
        raise ValueError(
            f"DeconvNet does not take {operator.__name__}: it needs the encoder's feature as a "
            "guide, and this net has no skips: what it rebuilds would leak past the bottleneck; "
            "choose another operator, or model=unet"
        )
