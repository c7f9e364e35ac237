"""Upsampling that fuses the assets of decoder and encoder."""

from typing import ClassVar

from torch import Tensor, nn

from upzoo.counts import check_counts
from upzoo.upsampling.base import Summary, check_kernel, projection
from upzoo.upsampling.carafe import kernel_softmax
from upzoo.upsampling.guided import GuidedUpsample
from upzoo.upsampling.interpolation import resize
from upzoo.upsampling.reassembly import reassemble


class Fade(GuidedUpsample):
    """Reassembly with weights from both sides, and a gate for the guide (Lu et al. 2022, FADE).

    With nearest-neighbour enlargement ↑, x the input and e the guide:

        weight = softmax(conv₃(W_e e) + ↑ conv₃(W_x x))        "semi-shift convolution", section 3.3
        gate = ↑ σ(w · x)
        out = gate · e + (1 − gate) · reassemble(x, weight)    section 3.4

    Both terms share conv₃, with its bias, as in the official code. A 1×1 convolution projects the
    input first where in_channels ≠ out_channels, and the gated guide where its channels differ.
    Pixels beyond the border count as zeros, as in CARAFE. Checkpoints of both official forms load
    as they are; those of FADE-Lite, whose convolutions are depthwise, do not.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        scale: integer enlargement; the paper has 2.
        guide_channels: channels of the guide.
        kernel_up: odd size of the neighbourhood.
        compressed: channels that the weights are predicted from.
        residual: add the bilinear-additive enlargement (see `Upsample`).

    Raises:
        ValueError: for a kernel that is even or too small, or a count of channels below 1.
    """

    summary = Summary(
        "gate · guide + (1 − gate) · reassembly with weights from both",
        "P + (guide + out + 1)·m + (9·m + 1)·k² + out + 1, m = 64, k = 5",
        "Lu et al. 2022",
    )
    official: ClassVar = {
        # FADE_L2H
        "ker_generator.compressor_en.weight": "compress_guide.weight",
        "ker_generator.compressor_en.bias": "compress_guide.bias",
        "ker_generator.compressor_de.weight": "compress.weight",
        "ker_generator.content_encoder.weight": "encode.weight",
        "ker_generator.content_encoder.bias": "encode.bias",
        # FADE_H2L, the same function in another order
        "kernel_generator.conv1_en.weight": "compress_guide.weight",
        "kernel_generator.conv1_en.bias": "compress_guide.bias",
        "kernel_generator.conv1_de.weight": "compress.weight",
        "kernel_generator.conv2_kernels": "encode.weight",
        "kernel_generator.conv2_bias": "encode.bias",
        "gate_generator.conv.weight": "gate.weight",
        "gate_generator.conv.bias": "gate.bias",
    }

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scale: int = 2,
        *,
        guide_channels: int,
        kernel_up: int = 5,
        compressed: int = 64,
        residual: bool = False,
    ):
        super().__init__(
            in_channels, out_channels, scale, guide_channels=guide_channels, residual=residual
        )
        check_kernel(self, kernel_up, least=3, odd=True, why="kernel_up has a centre and a border")
        check_counts(f"{type(self).__name__}: ", compressed=compressed)
        self.kernel_up = kernel_up
        self.project = projection(in_channels, out_channels)
        self.align = projection(guide_channels, out_channels)
        self.compress_guide = nn.Conv2d(guide_channels, compressed, 1)
        self.compress = nn.Conv2d(out_channels, compressed, 1, bias=False)
        self.encode = nn.Conv2d(compressed, kernel_up**2, 3, padding=1)
        self.gate = nn.Conv2d(out_channels, 1, 1)
        for conv in (self.compress_guide, self.compress, self.encode, self.gate):
            nn.init.xavier_uniform_(conv.weight)
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)

    def enlarge_guided(self, x: Tensor, guide: Tensor) -> Tensor:
        """The whole map, of a guide (B, guide_channels, scale·H, scale·W)."""
        x = self.project(x)
        logits = self.encode(self.compress_guide(guide)) + resize(
            self.encode(self.compress(x)), self.scale, "nearest"
        )
        y = reassemble(x, kernel_softmax(logits), self.kernel_up, self.scale)
        gate = resize(self.gate(x).sigmoid(), self.scale, "nearest")
        # gate · e + (1 − gate) · y
        return y + gate * (self.align(guide) - y)

    def extra_repr(self) -> str:
        """Channels, scale and kernel."""
        return f"{super().extra_repr()}, kernel_up={self.kernel_up}"
