"""U-Net as others built it, for weights that were trained so."""

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from upzoo.backbones import Plain
from upzoo.unet import UNet


class PortedUNet(UNet):
    """`UNet` with the two things that popular ports do otherwise.

    Args:
        upsample: builds an operator from (in_channels, out_channels, scale).
        num_classes: classes to score.
        in_channels: channels of the image.
        backbone: as in `UNet`.
        widths: as in `UNet`.
        decoder_widths: as in `UNet`.
        keep: as in `UNet`.
        bias: as in `UNet`.
        floor: poolings of backbone "plain" round down, and enlarged maps are padded with zeros at
            the bottom and the right to the skip's size: the last row and column of an odd side are
            seen by the finer levels only. By default, as in `UNet`, poolings round up and enlarged
            maps are cropped.
        head_kernel: odd size of the convolution that scores the classes, padded with zeros.

    Raises:
        ValueError: for an even head_kernel, `floor` with another backbone or with an operator that
            unpools, and what `UNet` refuses.
    """

    def __init__(
        self,
        upsample: Callable[..., nn.Module],
        num_classes: int,
        in_channels: int = 3,
        backbone: str = "plain",
        widths: Sequence[int] | None = None,
        decoder_widths: Sequence[Sequence[int]] | None = None,
        keep: bool = False,
        bias: bool = False,
        floor: bool = False,
        head_kernel: int = 1,
    ):
        if head_kernel < 1 or head_kernel % 2 == 0:
            raise ValueError(f"head_kernel={head_kernel} must be an odd integer of at least 1")
        super().__init__(
            upsample,
            num_classes,
            in_channels,
            backbone,
            widths=widths,
            decoder_widths=decoder_widths,
            keep=keep,
            bias=bias,
        )
        self.floor = floor
        if floor and (not isinstance(self.backbone, Plain) or self.needs_switches):
            raise ValueError(
                "floor=true fits backbone 'plain' and operators that do not unpool: leave it out"
            )
        if isinstance(self.backbone, Plain):
            self.backbone.floor = floor
        if head_kernel > 1:
            below = self.head.in_channels
            self.head = nn.Conv2d(below, num_classes, head_kernel, padding=head_kernel // 2)

    def enlarge(self, step: int, y: Tensor, finer: Tensor, switches: Tensor | None) -> Tensor:
        """The map below at the size of the finer one, with its bias."""
        if not self.floor:
            return super().enlarge(step, y, finer, switches)
        h, w = 2 * y.shape[-2], 2 * y.shape[-1]
        y = self.upsamples[step](y, guide=finer[..., :h, :w])
        if self.biases:
            y = y + self.biases[step]
        # Centred, as the ports say: what is missing is one pixel at most, and ⌊1/2⌋ is none.
        return F.pad(y, (0, finer.shape[-1] - w, 0, finer.shape[-2] - h))
