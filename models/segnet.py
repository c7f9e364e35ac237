"""SegNet-Basic, the small SegNet of the published comparison of decoders."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upzoo.deconvnet import DeconvNet


class SegNetBasic(DeconvNet):
    """Four stages of one 7×7 convolution to 64 channels (Badrinarayanan et al. 2017, section 3).

    Convolution, batch norm and ReLU in the encoder, no ReLU in the decoder, no biases but the
    classifier's. Exactly the layers of the released Caffe net, whose biases its batch norm cancels:
    1,416,075 parameters for 11 classes, where the paper's table says 1.425 million.

    With max-unpooling it is the table's SegNet-Basic. Any other operator changes only the
    enlarging and keeps the decoder's 64-channel convolutions. The paper's own alternatives change
    more: FCN-Basic enlarges 11 class scores and adds skips, and "bilinear interpolation" has no
    learned decoder, 0.65 and 0.625 million parameters.

    Args:
        upsample: builds an operator from (in_channels, out_channels, scale).
        num_classes: classes to score.
        in_channels: channels of the image.
        width: channels of every stage.
        mean: of the images' normalisation, one for each channel.
        std: of the images' normalisation, one for each channel.

    Raises:
        ValueError: for an option out of range, or an operator that needs a guiding feature.
    """

    def __init__(
        self,
        upsample: Callable[[int, int, int], nn.Module],
        num_classes: int,
        in_channels: int = 3,
        width: int = 64,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
    ):
        stages = (1, 1, 1, 1)
        super().__init__(
            upsample, num_classes, in_channels, width, stages, stages, kernel=7, decoder_relu=False
        )
        for name, values in (("mean", mean), ("std", std)):
            if len(values) != in_channels:
                raise ValueError(
                    f"{name}={list(values)} must have in_channels={in_channels} numbers: those "
                    "that the data normalise by"
                )
        self.prepare = ContrastNorm(mean, std)

    @property
    def label(self) -> str:
        """Short name."""
        return "segnet_basic"


class ContrastNorm(nn.Module):
    """x / (1 + 10⁻⁴/5 · Σ x²)^¾ of an image x in 0 … 255, the sum over five channels around.

    The response normalisation that the released net begins with; it dims bright pixels about
    threefold. Its image is not normalised, so the data's normalisation is undone first.

    Args:
        mean: of the normalisation, one for each channel.
        std: of the normalisation, one for each channel.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        # The config holds them: no need to store them with the weights.
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) normalised -> (B, C, H, W), all at least 0."""
        pixels = 255 * (x * self.std + self.mean)
        return F.local_response_norm(pixels, size=5, alpha=1e-4, beta=0.75, k=1.0)
