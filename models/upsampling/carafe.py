"""Content-aware reassembly of features."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upzoo.counts import check_counts
from upzoo.tracing import is_traced
from upzoo.upsampling.base import Summary, Upsample, check_kernel, projection
from upzoo.upsampling.reassembly import memory_format, reassemble

#: Weights of an image that are held at a time where no gradient is to come: 20 MB of float32.
BAND = 5 * 2**20


class Carafe(Upsample):
    """Each output pixel is its own softmax-weighted mean of k×k source pixels (Wang et al. 2019).

    A small net predicts the weights from the input: a 1×1 convolution to `compressed` channels, a
    `kernel_encoder` convolution to scale²·kernel_up² ones, depth to space, softmax (section 3.2).
    The weights sum to 1, so a constant stays one in the interior; pixels beyond the border count
    as zeros, as in the official code, and darken the outermost kernel_up // 2 source pixels.
    It starts near the mean of the neighbourhood: the encoder's weights are N(0, .001²).

    Checkpoints of the official CARAFEPack load as they are, if up_group and encoder_dilation are 1.
    A 1×1 convolution projects first where in_channels ≠ out_channels.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        scale: integer enlargement.
        kernel_up: odd size of the neighbourhood.
        kernel_encoder: odd size of the convolution that predicts; kernel_up − 2 by default.
        compressed: channels that it predicts from.
        residual: add the bilinear-additive enlargement (see `Upsample`).

    Raises:
        ValueError: for a kernel that is even or too small, or fewer than one compressed channel.
    """

    summary = Summary(
        "Σ_n w_n · x_n over k×k neighbours, w = softmax(net(x))",
        "P + (out + 1)·m + (9·m + 1)·s²·k², m = 64, k = 5",
        "Wang et al. 2019",
    )
    flat = True
    official: ClassVar = {
        f"{theirs}.{kind}": f"{ours}.{kind}"
        for theirs, ours in (("channel_compressor", "compress"), ("content_encoder", "encode"))
        for kind in ("weight", "bias")
    }

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scale: int = 2,
        *,
        kernel_up: int = 5,
        kernel_encoder: int | None = None,
        compressed: int = 64,
        residual: bool = False,
    ):
        super().__init__(in_channels, out_channels, scale, residual=residual)
        check_kernel(self, kernel_up, least=3, odd=True, why="kernel_up has a centre and a border")
        self.kernel_up = kernel_up
        self.kernel_encoder = kernel_up - 2 if kernel_encoder is None else kernel_encoder
        check_kernel(
            self, self.kernel_encoder, least=1, odd=True, why="kernel_encoder needs a centre"
        )
        check_counts(f"{type(self).__name__}: ", compressed=compressed)
        self.project = projection(in_channels, out_channels)
        self.compress = nn.Conv2d(out_channels, compressed, 1)
        self.encode = nn.Conv2d(
            compressed,
            scale**2 * kernel_up**2,
            self.kernel_encoder,
            padding=self.kernel_encoder // 2,
        )
        nn.init.xavier_uniform_(self.compress.weight)
        nn.init.normal_(self.encode.weight, std=0.001)
        for conv in (self.compress, self.encode):
            assert conv.bias is not None
            nn.init.zeros_(conv.bias)

    def enlarge(self, x: Tensor) -> Tensor:
        """The whole map, (B, out_channels, scale·H, scale·W).

        Where no gradient is to come, a large map is made in bands of rows, since the weights of
        k² neighbours for every pixel take several times the memory of the map itself.
        """
        x = self.project(x)
        if torch.is_grad_enabled() or is_traced():
            return self._reassembled(x)
        height, width = x.shape[-2:]
        rows = max(1, BAND // (width * (self.scale * self.kernel_up) ** 2))
        if rows >= height:
            return self._reassembled(x)
        halo = max(self.kernel_up, self.kernel_encoder) // 2  # what a row looks at
        made = None
        for start in range(0, height, rows):
            stop, first = min(start + rows, height), max(start - halo, 0)
            band = self._reassembled(x[:, :, first : stop + halo])
            if made is None:
                size = (*band.shape[:2], self.scale * height, band.shape[-1])
                made = torch.empty(
                    size, dtype=band.dtype, device=band.device, memory_format=memory_format(x)
                )
            inner = band[:, :, self.scale * (start - first) :][:, :, : self.scale * (stop - start)]
            made[:, :, self.scale * start : self.scale * stop] = inner
        assert made is not None
        return made

    def _reassembled(self, x: Tensor) -> Tensor:
        logits = F.pixel_shuffle(self.encode(self.compress(x)), self.scale)
        return reassemble(x, kernel_softmax(logits), self.kernel_up, self.scale)

    def extra_repr(self) -> str:
        """Channels, scale and kernels."""
        return (
            f"{super().extra_repr()}, kernel_up={self.kernel_up}, "
            f"kernel_encoder={self.kernel_encoder}"
        )


def kernel_softmax(logits: Tensor) -> Tensor:
    """Softmax over the k² channels of (B, k², h, w), laid out channels-last for `reassemble`."""
    return logits.permute(0, 2, 3, 1).softmax(-1).permute(0, 3, 1, 2)
