"""Upsampling by similarity-aware point affiliation."""

from typing import ClassVar

from torch import Tensor, nn

from upzoo.counts import check_counts
from upzoo.upsampling.base import Summary, check_kernel, projection
from upzoo.upsampling.carafe import kernel_softmax
from upzoo.upsampling.guided import GuidedUpsample
from upzoo.upsampling.interpolation import resize
from upzoo.upsampling.reassembly import reassemble, similarity


class Sapa(GuidedUpsample):
    """Weights by the likeness of a guide's pixel to its source's neighbours (Lu et al. 2022, SAPA).

    With LayerNorm over channels LN, x the input, e the guide and n the k×k neighbours:

        weight = softmax_n(⟨Q LN(e), K LN(x)ₙ⟩),  out = reassemble(x, weight)       SAPA-B
        query = g · Q LN(e) + (1 − g) · ↑ P x,  g = ↑ σ(w · LN(x))                 SAPA-G

    Neighbours beyond the border are zeros with similarity 0, as in the official code, whose
    checkpoints load as they are: SAPA, and SAPAExp with q_mode "encoder_only" or "gate". A 1×1
    convolution projects the input first where in_channels ≠ out_channels.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        scale: integer enlargement.
        guide_channels: channels of the guide.
        kernel_up: odd size of the neighbourhood.
        embedding: channels that are compared: the rank of the bilinear form.
        gated: SAPA-G, whose queries also see the input; SAPA-B otherwise.
        residual: add the bilinear-additive enlargement (see `Upsample`).

    Raises:
        ValueError: for a kernel that is even or too small, or a count of channels below 1.
    """

    summary = Summary(
        "Σ_n w_n · x_n, w = softmax⟨Q guide, K x_n⟩",
        "P + 2·(guide + out) + (guide + out + 2)·m, m = 64",
        "Lu et al. 2022",
    )
    flat = True
    official: ClassVar = {
        f"{theirs}.{kind}": f"{ours}.{kind}"
        for theirs, ours in (
            ("norm_y", "norm_guide"),
            ("norm_x", "norm"),
            ("q", "query"),
            ("qy", "query"),
            ("qx", "query_input"),
            ("k", "key"),
        )
        for kind in ("weight", "bias")
    }

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scale: int = 2,
        *,
        guide_channels: int,
        kernel_up: int = 5,
        embedding: int = 64,
        gated: bool = False,
        residual: bool = False,
    ):
        super().__init__(
            in_channels, out_channels, scale, guide_channels=guide_channels, residual=residual
        )
        check_kernel(self, kernel_up, least=3, odd=True, why="kernel_up has a centre and a border")
        check_counts(f"{type(self).__name__}: ", embedding=embedding)
        self.kernel_up = kernel_up
        self.gated = gated
        self.project = projection(in_channels, out_channels)
        self.norm_guide = nn.LayerNorm(guide_channels)
        self.norm = nn.LayerNorm(out_channels)
        self.query = nn.Linear(guide_channels, embedding)
        self.key = nn.Linear(out_channels, embedding)
        linear = [self.query, self.key]
        if gated:
            self.query_input = nn.Linear(out_channels, embedding)
            self.gate = nn.Linear(out_channels, 1)
            linear += [self.query_input, self.gate]
        for layer in linear:
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def enlarge_guided(self, x: Tensor, guide: Tensor) -> Tensor:
        """The whole map, of a guide (B, guide_channels, scale·H, scale·W)."""
        x = self.project(x)
        pixels = x.permute(0, 2, 3, 1)  # (B, H, W, C)
        normed = self.norm(pixels)
        query = self.query(self.norm_guide(guide.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
        if self.gated:
            gate = self._enlarged(self.gate(normed).sigmoid())
            query = gate * query + (1 - gate) * self._enlarged(self.query_input(pixels))
        key = self.key(normed).permute(0, 3, 1, 2)
        weight = kernel_softmax(similarity(query, key, self.kernel_up, self.scale))
        return reassemble(x, weight, self.kernel_up, self.scale)

    def _enlarged(self, pixels: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, C, scale·H, scale·W) by the nearest neighbour."""
        return resize(pixels.permute(0, 3, 1, 2), self.scale, "nearest")

    def extra_repr(self) -> str:
        """Channels, scale, kernel and whether it is gated."""
        return f"{super().extra_repr()}, kernel_up={self.kernel_up}, gated={self.gated}"
