"""Unpooling: values back to where the encoder's maxima came from."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from upzoo.tracing import is_traced
from upzoo.upsampling.base import Summary, Upsample, is_channels_last, projection


class MaxUnpool(Upsample):
    """Put every value where the matching max-pooling found its maximum, zeros elsewhere.

    The switches are the indices that `F.max_pool2d(…, kernel_size=scale, stride=scale,
    ceil_mode=True, return_indices=True)` returns (Zeiler & Fergus 2014;
    Badrinarayanan et al. 2017, section 3). They count pixels of the map that was pooled, of width
    `size[1]`: where that is no multiple of scale, `size` must be given.

    The switches belong to out_channels channels: a 1×1 convolution projects to as many first, where
    in_channels ≠ out_channels. Windows that do not overlap never write to one place twice, so that
    `scatter` is deterministic on CUDA, where `F.max_unpool2d` refuses to be.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output and of the switches.
        scale: integer enlargement, and the pooling's window and stride.
        residual: add the bilinear-additive enlargement (see `Upsample`).
    """

    summary = Summary(
        "x at the pooling's maxima, 0 elsewhere",
        "P",
        "Zeiler & Fergus 2014; Badrinarayanan et al. 2017",
    )
    needs_switches = True

    def __init__(
        self, in_channels: int, out_channels: int, scale: int = 2, *, residual: bool = False
    ):
        super().__init__(in_channels, out_channels, scale, residual=residual)
        self.project = projection(in_channels, out_channels)

    def enlarge_to(
        self,
        x: Tensor,
        size: Sequence[int] | None,
        switches: Tensor | None,
        guide: Tensor | None,
    ) -> Tensor:
        """(B, in_channels, H, W) with switches (B, out_channels, H, W) -> the map at `size`.

        Raises:
            ValueError: for switches of another shape.
        """
        assert switches is not None  # `forward` refuses it
        x = self.project(x)
        if switches.shape != x.shape:
            raise ValueError(
                f"MaxUnpool: switches of {tuple(switches.shape)} do not fit the projected input "
                f"of {tuple(x.shape)}: out_channels must be the channels of the pooled map"
            )
        h, w = size or (self.scale * x.shape[-2], self.scale * x.shape[-1])
        if torchs_own_is_faster(x, self.scale):
            return F.max_unpool2d(x, switches, (self.scale, self.scale), output_size=(h, w))
        if is_channels_last(x):
            flat, places = x.permute(0, 2, 3, 1).flatten(1, 2), switches.permute(0, 2, 3, 1)
            blank = x.new_zeros(x.shape[0], h * w, self.out_channels)
            y = blank.scatter_(1, places.flatten(1, 2), flat).unflatten(1, (h, w))  # (B, h, w, C)
            return y.permute(0, 3, 1, 2)
        blank = x.new_zeros(x.shape[0], self.out_channels, h * w)
        return blank.scatter_(2, switches.flatten(2), x.flatten(2)).unflatten(2, (h, w))


def torchs_own_is_faster(x: Tensor, scale: int) -> bool:
    """Whether torch's unpooling is faster than a scatter, as measured on a CPU.

    Its gradient is slow for large maps, and where all must be deterministic it refuses to run.
    """
    if is_traced() or not x.is_cpu or torch.are_deterministic_algorithms_enabled():
        return False
    return scale > 2 or not torch.is_grad_enabled() or x.numel() < 2**17
