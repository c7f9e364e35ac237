"""The contract that every upsampling operator keeps."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upzoo.counts import check_counts
from upzoo.pointwise import Pointwise
from upzoo.tracing import is_exported, is_traced
from upzoo.upsampling.interpolation import bilinear_additive


class Summary(NamedTuple):
    """What `docs/operators.md` says of an operator, in its symbols.

    Attributes:
        output: the formula of the output.
        parameters: how many with default options, then what the letters stand for.
        source: where it was published.
    """

    output: str
    parameters: str
    source: str


class Upsample(nn.Module):
    """Enlarge a feature map: (B, in_channels, H, W) -> (B, out_channels, scale·H, scale·W).

    A subclass computes the whole enlarged map in `enlarge`; this class checks the shared arguments,
    crops and adds the residual. An operator that needs more than `x` overrides `enlarge_to` instead
    and says so in `needs_switches` or `needs_guide`. An operator owns its initialisation and has no
    bias: the layers around it do.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        scale: integer enlargement, at least 1, the same for height and width.
        residual: add the input, bilinearly enlarged and its channels summed in groups, to the
            output (Wojna et al. 2019, "residual-like connections").

    Raises:
        ValueError: for a channel count or a scale below 1, or one that is no integer.
    """

    #: Its row in `docs/operators.md`; the docstring's first sentence stands there without one.
    summary: ClassVar[Summary | None] = None
    #: Whether `forward` needs the arg-max indices ("switches") of a matching max-pooling.
    needs_switches: ClassVar[bool] = False
    #: Whether `forward` needs a `guide`, the encoder's feature at the enlarged size.
    needs_guide: ClassVar[bool] = False
    #: Whether a constant input comes out constant (away from the border) with default options, as
    #: the operator starts.
    flat: ClassVar[bool] = False
    #: Whether it can be exported to ONNX; where not, the reason.
    no_onnx: ClassVar[str | None] = None
    #: The CUDA backward that `torch.use_deterministic_algorithms(True)` refuses at default options.
    nondeterministic: ClassVar[str | None] = None
    #: Names of tensors in the authors' own code -> ours: `load_state_dict` takes both.
    official: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self, in_channels: int, out_channels: int, scale: int = 2, *, residual: bool = False
    ):
        super().__init__()
        check_counts(
            f"{type(self).__name__}: ",
            in_channels=in_channels,
            out_channels=out_channels,
            scale=scale,
        )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.scale = scale
        self.residual = residual

    def forward(
        self,
        x: Tensor,
        size: Sequence[int] | None = None,
        switches: Tensor | None = None,
        guide: Tensor | None = None,
    ) -> Tensor:
        """Enlarge `x` and keep the top-left `size` of the result.

        An encoder that halves with ceil rounding covers its input from the top left, so cropping
        there keeps every pixel over the one it came from, whatever the size.

        Args:
            x: (B, in_channels, H, W).
            size: height and width to keep, with ceil(size / scale) = (H, W); all by default.
            switches: indices of the matching max-pooling, for operators that need them.
            guide: (B, guide_channels, *size) encoder feature, for operators that need one.

        Returns:
            (B, out_channels, scale·H, scale·W), or (B, out_channels, *size).

        Raises:
            ValueError: for a size that does not map back, or where switches or a guide are missing.
        """
        if size is not None or self.needs_switches or self.needs_guide:
            self.check_input(x, size, switches, guide)
        y = self.enlarge_to(x, size, switches, guide)
        if self.residual:
            y = y + crop(bilinear_additive(x, self.out_channels, self.scale), size)
        return y

    def enlarge_to(
        self,
        x: Tensor,
        size: Sequence[int] | None,
        switches: Tensor | None,
        guide: Tensor | None,
    ) -> Tensor:
        """The enlarged map at `size`: what `forward` returns, the residual aside."""
        return crop(self.enlarge(x), size)

    def enlarge(self, x: Tensor) -> Tensor:
        """The whole map, (B, out_channels, scale·H, scale·W)."""
        raise NotImplementedError

    def scores_channels_first(self, x: Tensor) -> bool:
        """Whether a last map of class scores is made faster channels-first, as a softmax reads it.

        From a channels-last one it takes a copy, and another one backward.
        """
        return False

    def starts(self) -> dict[str, Tensor]:
        """Learned parameters that start as an interpolation, by name, with that start.

        Weight decay pulls them to it (`tasks.optimisation`), every other one to zero.
        """
        return {}

    def check_input(
        self,
        x: Tensor,
        size: Sequence[int] | None,
        switches: Tensor | None,
        guide: Tensor | None,
    ) -> None:
        """Refuse a missing switches or guide, and a size that does not map back, in one line."""
        name = type(self).__name__
        if self.needs_switches and switches is None:
            raise ValueError(
                f"{name}: switches is missing: pass the indices of the matching max-pooling"
            )
        if self.needs_guide and guide is None:
            raise ValueError(f"{name}: guide is missing: pass the encoder's feature at this size")
        # A compiler would turn the comparison into a constraint on dynamic sizes.
        if size is None or is_traced():
            return
        for wanted, n in zip(size, x.shape[-2:], strict=True):
            if -(-wanted // self.scale) != n:
                raise ValueError(
                    f"{name}: size {tuple(size)} does not map back: an input of "
                    f"{tuple(x.shape[-2:])} at scale {self.scale} gives "
                    f"{self.scale * (n - 1) + 1} to {self.scale * n} where {wanted} was asked"
                )

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        """Give tensors under the authors' names ours, then load."""
        for theirs, ours in self.official.items():
            if prefix + theirs in state_dict:
                state_dict[prefix + ours] = state_dict.pop(prefix + theirs)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def extra_repr(self) -> str:
        """Channels and scale, as printed in the module's representation."""
        return f"{self.in_channels}, {self.out_channels}, scale={self.scale}"


def enlarge_scores(up: nn.Module, x: Tensor, size: Sequence[int]) -> Tensor:
    """Class scores enlarged by an operator to the image's size, in the layout that is fastest.

    Args:
        up: the operator.
        x: (B, classes, H, W).
        size: of the image.

    Returns:
        (B, classes, *size).
    """
    first = isinstance(up, Upsample) and up.scores_channels_first(x)
    return up(x.contiguous() if first else x, size=size)


def crop(y: Tensor, size: Sequence[int] | None) -> Tensor:
    """The top-left `size` of `y`; all of it by default."""
    if size is None:
        return y
    h, w = size
    if torch.compiler.is_compiling():
        # A slice asks whether it cuts anything, which would fix the parity of dynamic sizes.
        return F.pad(y, (0, w - y.shape[-1], 0, h - y.shape[-2]))
    if not torch.jit.is_tracing() and y.shape[-2:] == (h, w):
        return y
    return y[..., :h, :w]


def is_channels_last(x: Tensor) -> bool:
    """Whether (B, C, H, W) lies in memory with the channels innermost."""
    if is_exported():  # a condition here would be that a map has more than one pixel
        return False
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def projection(in_channels: int, out_channels: int) -> nn.Module:
    """The 1×1 convolution before an operator that keeps channels; nothing where they agree."""
    if in_channels == out_channels:
        return nn.Identity()
    conv = Pointwise(in_channels, out_channels, bias=False)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="linear")
    return conv


def check_choice(operator: nn.Module, name: str, value: object, choices: Sequence[str]) -> None:
    """Refuse an option that is not among its choices, in one line."""
    if value not in choices:
        raise ValueError(f"{type(operator).__name__}: {name}={value!r} is not one of {choices}")


def check_kernel(
    operator: nn.Module, kernel: int, least: int, *, why: str, odd: bool = False
) -> None:
    """Refuse a kernel that is no integer, below `least`, or even where `odd` is asked."""
    valid = isinstance(kernel, int) and not isinstance(kernel, bool) and kernel >= least
    if not valid or (odd and kernel % 2 == 0):
        kind = "an odd integer" if odd else "an integer"
        raise ValueError(
            f"{type(operator).__name__}: kernel={kernel!r} must be {kind} of at least {least}: "
            f"{why}"
        )
