"""Sizes and crops of transposed convolution: integers in, integers out.

n inputs fill F = (n−1)·s + d·(k−1) + 1 pixels; frameworks differ only in which of them they crop.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from upzoo.counts import is_count

Padding = Literal["same", "valid"] | int
Size = int | Sequence[int] | Tensor


def full_size(n: int, kernel: int, stride: int, dilation: int = 1) -> int:
    """Length of a whole transposed convolution before any crop: (n−1)·s + d·(k−1) + 1.

    >>> full_size(5, kernel=4, stride=2)
    12
    """
    return (n - 1) * stride + dilation * (kernel - 1) + 1


def conv_size(n: int, kernel: int, stride: int, padding: Padding, dilation: int = 1) -> int:
    """Length of a forward convolution over n pixels: what a transposed one's output maps back to.

    >>> conv_size(97, kernel=3, stride=3, padding="same"), conv_size(7, 3, 2, padding=1)
    (33, 4)
    """
    if padding == "same":
        return -(-n // stride)  # ⌈n / s⌉
    p = 0 if padding == "valid" else padding
    # o = ⌊(n + 2p − d·(k−1) − 1) / s⌋ + 1
    return (n + 2 * p - dilation * (kernel - 1) - 1) // stride + 1


def output_sizes(n: int, kernel: int, stride: int, padding: Padding, dilation: int = 1) -> range:
    """The `stride` consecutive lengths that the forward convolution maps back to n.

    >>> output_sizes(25, kernel=3, stride=3, padding="same")
    range(73, 76)
    >>> output_sizes(4, kernel=3, stride=2, padding="valid"), output_sizes(4, 3, 2, padding=1)
    (range(9, 11), range(7, 9))
    """
    if padding == "same":
        least = stride * (n - 1) + 1
    else:
        least = full_size(n, kernel, stride, dilation) - 2 * (0 if padding == "valid" else padding)
    return range(max(least, 1), least + stride)


def default_size(n: int, kernel: int, stride: int, padding: Padding, dilation: int = 1) -> int:
    """Length where none is asked for: Keras's rule for "same" and "valid", PyTorch's for integers.

    >>> default_size(4, 3, 2, "same"), default_size(4, 3, 2, "valid"), default_size(4, 3, 2, 1)
    (8, 9, 7)
    >>> default_size(4, kernel=1, stride=3, padding="valid")  # the gap after the last stamp stays
    12
    """
    if padding == "same":
        return n * stride
    if padding == "valid":
        return (n - 1) * stride + max(dilation * (kernel - 1) + 1, stride)
    return full_size(n, kernel, stride, dilation) - 2 * padding


def same_crop(n: int, kernel: int, stride: int, out: int, dilation: int = 1) -> int:
    """Pixels that TensorFlow's SAME cuts from the start; an odd one is cut from the end.

    >>> same_crop(4, kernel=4, stride=2, out=8), same_crop(4, kernel=3, stride=2, out=8)
    (1, 0)
    """
    # T = max((n−1)·s + d·(k−1) + 1 − out, 0), L = ⌊T/2⌋
    return max(full_size(n, kernel, stride, dilation) - out, 0) // 2


class Axis(NamedTuple):
    """One spatial axis of a transposed convolution: n inputs, `out` outputs, the crop between.

    `before` pixels are cut from the start of the full length and `after` from its end; a negative
    `after` adds zeros there.
    """

    n: int
    kernel: int
    stride: int
    dilation: int
    out: int
    before: int
    after: int


def geometry(
    size: Sequence[int],
    kernel: Sequence[int],
    stride: int | Sequence[int],
    padding: Padding = "same",
    output_size: Size | None = None,
    dilation: int | Sequence[int] = 1,
) -> tuple[Axis, Axis]:
    """Height and width of a transposed convolution, for the arguments of `conv_transpose2d`."""
    if padding not in ("same", "valid") and not (isinstance(padding, int) and padding >= 0):
        raise ValueError(f"padding={padding!r} must be 'same', 'valid' or an integer of at least 0")
    wanted = (None, None) if output_size is None else _height_width(output_size)
    strides, dilations = _both(stride, "stride"), _both(dilation, "dilation")
    axes = []
    for n, k, s, d, out in zip(size, kernel, strides, dilations, wanted, strict=True):
        if out is None:
            out = default_size(n, k, s, padding, d)
        elif not torch.compiler.is_compiling() and out not in output_sizes(n, k, s, padding, d):
            fit = output_sizes(n, k, s, padding, d)
            raise ValueError(
                f"output_size={out}: {out} maps back to {conv_size(out, k, s, padding, d)}, the "
                f"input has {n}: kernel {k}, stride {s}, padding {padding!r} give "
                + (f"{fit[0]} to {fit[-1]}" if fit else "no output at all")
            )
        if padding == "same":
            before = same_crop(n, k, s, out, d)
        else:
            before = 0 if padding == "valid" else padding
        axes.append(Axis(n, k, s, d, out, before, full_size(n, k, s, d) - before - out))
    return axes[0], axes[1]


def _both(value: int | Sequence[int], name: str) -> tuple[int, int]:
    """`value` for height and width."""
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or not all(map(is_count, pair)):
        raise ValueError(f"{name}={value!r} must be an integer of at least 1, or two of them")
    return pair


def _height_width(size: Size) -> tuple[int, int]:
    """Height and width out of an integer, a pair, a (B, C, H, W) shape or a tensor of either."""
    if isinstance(size, Tensor):
        if size.is_floating_point() or size.dim() > 1:
            raise ValueError(
                f"output_size is a {size.dtype} tensor of shape {tuple(size.shape)}: it must hold "
                "two or four integers; for the size of a feature map pass its .shape"
            )
        size = size.tolist()
    pair = [size, size] if isinstance(size, int) else list(size)
    if len(pair) not in (2, 4):
        raise ValueError(f"output_size={size} must be an integer, (h, w) or a shape (B, C, h, w)")
    return pair[-2], pair[-1]
