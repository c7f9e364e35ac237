"""What the backbones share: their contract, their start, their refusals."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from torch import Tensor, nn

from upzoo.closest import did_you_mean
from upzoo.counts import check_counts


class Backbone(nn.Module):
    """An encoder: (B, in_channels, H, W) -> `{stride: feature}`, from fine to coarse.

    The feature at stride s has `channels[s]` channels and ⌈H/s⌉×⌈W/s⌉ pixels, and covers the image
    from the top left, so that a decoder only ever crops. Every backbone takes the same three
    arguments first; its own options are keyword-only.

    Args:
        in_channels: channels of the image.
        weights: name of released weights to start from; None starts at random. `build_backbone`
            takes a file of weights too, for every backbone.
        width: base number of channels, where a backbone has one; None is its own default.
    """

    channels: dict[int, int]
    #: Whether it halves by max-pooling alone and has `with_switches`, as `Plain`.
    has_switches: ClassVar[bool] = False

    def __init__(self, in_channels: int = 3, weights: str | None = None, width: int | None = None):
        super().__init__()
        check_counts(in_channels=in_channels, **({} if width is None else {"width": width}))

    def translate(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of a file by this backbone's names, where released files have others."""
        return dict(state)

    def unused_names(self) -> set[str]:
        """Names in released files, beside a classifier's, that this encoder does not need."""
        return set()

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """(B, in_channels, H, W) -> features by stride."""
        raise NotImplementedError

    def with_switches(self, x: Tensor) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
        """The same features, and by stride the indices of the maxima of each that is pooled."""
        raise NotImplementedError


def initialise(net: nn.Module) -> None:
    """He's normal start for every convolution: variance 2 / (k²·out_channels), bias zero."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def refuse_width(name: str, width: int | None) -> None:
    """Refuse a width for a net whose widths are given elsewhere."""
    if width is not None:
        raise ValueError(
            f"width={width}: backbone {name!r} has fixed widths: leave width=null, "
            "or take compact or vgg16"
        )


def unknown(what: str, value: str, known: Iterable[str], where: str = "") -> ValueError:
    """The one-line error for a name that is not known, with close matches and what exists.

    Args:
        what: the option and its value, such as "backbone='vg16'".
        value: the value alone, to find close matches.
        known: the names that exist.
        where: where all of them are listed, said instead of the list when it is long.
    """
    known = list(known)
    listed = where or f"choose from {', '.join(known) if known else 'nothing but null'}"
    return ValueError(f"{what} is unknown: {did_you_mean(value, known, 3)}{listed}")
