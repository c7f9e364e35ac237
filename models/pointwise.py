"""1×1 convolutions that are fast on one thread, too."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upzoo.tracing import is_compiled_for_cpu, is_traced


class Pointwise(nn.Conv2d):
    """A 1×1 convolution, (B, in_channels, H, W) -> (B, out_channels, H, W).

    On one thread of a CPU, torch computes float32 ones not by oneDNN but by products of its own,
    which take 1.5 to 1.7 times as long forward and backward where channels lie innermost. A dilated
    convolution it always leaves to oneDNN, and a kernel of one weight is the same at any dilation.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        bias: whether to add a learned bias.
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True):
        super().__init__(in_channels, out_channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, H, W)."""
        return F.conv2d(x, self.weight, self.bias, dilation=2 if _leaves_onednn(x) else 1)


def _leaves_onednn(x: Tensor) -> bool:
    if is_compiled_for_cpu(x):
        return True  # no question about layout and threads, which a compiled net must not fix
    if is_traced():
        return False
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return last and x.device.type == "cpu" and torch.get_num_threads() == 1
