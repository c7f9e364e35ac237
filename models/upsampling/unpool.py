"""Unpooling: values back to where the encoder's maxima came from."""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.upsampling.base import Upsample, crop, projection
from models.upsampling.windows import is_channels_last, join, pixels


class MaxUnpool(Upsample):
    """Put every value where the matching max-pooling found its maximum, zeros elsewhere.

    The switches are the indices that `F.max_pool2d(…, kernel_size=scale, stride=scale,
    ceil_mode=True, return_indices=True)` returns (Zeiler & Fergus 2014, section 2.1;
    Badrinarayanan et al. 2017, section 3). They count pixels of the map that was pooled, of width
    `size[1]`: where that is no multiple of scale, `size` must be given.

    The switches belong to out_channels channels: a 1×1 convolution projects to as many first, where
    in_channels ≠ out_channels. Every output is computed from its own window alone, without the
    scatter of `F.max_unpool2d`, which is not deterministic on CUDA.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output and of the switches.
        scale: integer enlargement, and the pooling's window and stride.
        residual: add the bilinear-additive enlargement (see `Upsample`).
    """

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
        h, w = x.shape[-2:]
        width = self.scale * w if size is None else size[1]
        last = is_channels_last(x)
        rows = torch.arange(self.scale * h, device=x.device).view(h, self.scale, 1, 1)
        columns = torch.arange(self.scale * w, device=x.device).view(w, self.scale)
        places = rows * width + columns  # (H, s, W, s)
        # y[r, c] = x[r // s, c // s] where the switch there is r · width + c, else 0
        here = pixels(switches, last) == (places[..., None] if last else places)
        return crop(join(torch.where(here, pixels(x, last), 0), last), size)
