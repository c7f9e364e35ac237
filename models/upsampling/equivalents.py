"""Four other ways to compute a transposed convolution, and three to its weight's gradient.

Slow and plain, to be read and to be tested against. All take the axes of `geometry` and agree with
`conv_transpose2d` (of one group) to rounding:

>>> from upzoo.upsampling.geometry import geometry
>>> x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
>>> w = torch.arange(9.0).view(1, 1, 3, 3)
>>> ways = (by_forward_gradient, by_zero_insertion, by_matrix, by_scatter)
>>> axes = geometry(x.shape[2:], w.shape[2:], stride=2)
>>> [torch.equal(way(x, w, axes), conv_transpose2d(x, w, stride=2)) for way in ways]
[True, True, True, True]
"""

from collections.abc import Iterator, Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from upzoo.upsampling.functional import conv_transpose2d
from upzoo.upsampling.geometry import Axis, Padding, full_size


def by_forward_gradient(x: Tensor, weight: Tensor, axes: tuple[Axis, Axis]) -> Tensor:
    """What `x` becomes when it goes back through a convolution as the gradient of its output.

    This is the definition, in TensorFlow and in Dumoulin & Visin (2016, section 4). The crop of the
    transposed convolution is the padding of the forward one.
    """
    h, w = axes
    image = x.new_zeros(len(x), weight.shape[1], h.out, w.out, requires_grad=True)
    padded = F.pad(image, (w.before, w.after, h.before, h.after))
    y = F.conv2d(padded, weight, stride=(h.stride, w.stride), dilation=(h.dilation, w.dilation))
    # The convolution is linear: its gradient does not depend on the image.
    return torch.autograd.grad(y, image, grad_outputs=x)[0]


def by_zero_insertion(x: Tensor, weight: Tensor, axes: tuple[Axis, Axis]) -> Tensor:
    """Spread the pixels with s−1 zeros between, then convolve by the kernel turned by 180°.

    The padding is "full": d·(k−1) zeros, so that every stamp is whole. In and out channels swap.
    """
    h, w = axes
    spread = x.new_zeros(*x.shape[:2], (h.n - 1) * h.stride + 1, (w.n - 1) * w.stride + 1)
    spread[..., :: h.stride, :: w.stride] = x
    full = F.conv2d(
        spread,
        weight.flip(-2, -1).transpose(0, 1),
        padding=(h.dilation * (h.kernel - 1), w.dilation * (w.kernel - 1)),
        dilation=(h.dilation, w.dilation),
    )
    return crop(full, axes)


def by_matrix(x: Tensor, weight: Tensor, axes: tuple[Axis, Axis]) -> Tensor:
    """Multiply by Cᵀ, where the forward convolution multiplies by C: see `conv_matrix`."""
    # y = Cᵀ·x, with images as rows: yᵀ = xᵀ·C
    y = x.flatten(1) @ conv_matrix(weight, axes)
    return y.view(len(x), weight.shape[1], axes[0].out, axes[1].out)


def by_scatter(x: Tensor, weight: Tensor, axes: tuple[Axis, Axis]) -> Tensor:
    """Let every pixel stamp the kernel, times its value, on a canvas where stamps add up."""
    h, w = axes
    full = x.new_zeros(
        len(x), weight.shape[1], *(full_size(a.n, a.kernel, a.stride, a.dilation) for a in axes)
    )
    for i, j in product(range(h.n), range(w.n)):
        stamps = torch.einsum("bc,coyx->boyx", x[..., i, j], weight)
        full[..., stamped(i, h), stamped(j, w)] += stamps
    return crop(full, axes)


def conv_matrix(weight: Tensor, axes: tuple[Axis, Axis]) -> Tensor:
    """The matrix C of the forward convolution whose transpose `conv_transpose2d` multiplies by.

    Args:
        weight: (C, out, kh, kw).
        axes: height and width, from `geometry`.

    Returns:
        (C·H·W, out·h·w): a row for each pixel of the small map, a column for each of the large.

    >>> from upzoo.upsampling.geometry import geometry
    >>> line = geometry((1, 3), (1, 3), stride=(1, 2), padding="valid")
    >>> conv_matrix(torch.tensor([[[[1.0, 2.0, 3.0]]]]), line)
    tensor([[1., 2., 3., 0., 0., 0., 0.],
            [0., 0., 1., 2., 3., 0., 0.],
            [0., 0., 0., 0., 1., 2., 3.]])
    """
    h, w = axes
    matrix = weight.new_zeros(weight.shape[0], h.n, w.n, weight.shape[1], h.out, w.out)
    for (i, a, p), (j, b, q) in product(meetings(h), meetings(w)):
        matrix[:, i, j, :, p, q] = weight[:, :, a, b]
    return matrix.flatten(3).flatten(0, 2)


def weight_gradient_by_autograd(
    x: Tensor,
    gradient: Tensor,
    kernel: Sequence[int],
    stride: int | Sequence[int],
    padding: Padding = "same",
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """Gradient of `conv_transpose2d` with regard to its weight, as autograd finds it.

    Args:
        x: (B, C, H, W) input.
        gradient: (B, out, h, w), the loss's gradient with regard to the output.
        kernel: height and width of the kernel.
        stride: as in the forward pass.
        padding: as in the forward pass.
        dilation: as in the forward pass.

    Returns:
        (C, out, kh, kw).
    """
    weight = x.new_zeros(x.shape[1], gradient.shape[1], *kernel, requires_grad=True)
    y = conv_transpose2d(x, weight, stride, padding, gradient.shape, dilation)
    return torch.autograd.grad(y, weight, grad_outputs=gradient)[0]


def weight_gradient_by_convolution(x: Tensor, gradient: Tensor, axes: tuple[Axis, Axis]) -> Tensor:
    """Slide the input over the output's gradient: dW[t] = Σᵢ x[i]·g[s·i + d·t − L].

    A convolution with the batch in the place of the channels, in which stride and dilation have
    exchanged their roles. `axes` are those of the forward pass, from `geometry`.
    """
    h, w = axes
    whole = F.pad(gradient, (w.before, w.after, h.before, h.after))
    return F.conv2d(
        whole.transpose(0, 1),  # (out, B, …)
        x.transpose(0, 1),  # (C, B, H, W)
        stride=(h.dilation, w.dilation),
        dilation=(h.stride, w.stride),
    ).transpose(0, 1)


def weight_gradient_by_outer_products(
    x: Tensor, gradient: Tensor, axes: tuple[Axis, Axis]
) -> Tensor:
    """Sum, over pixels, the outer product of the pixel and the gradient under its stamp.

    As one product of matrices: X·Gᵀ, a column for each pixel. `axes` are those of the forward
    pass, from `geometry`.
    """
    h, w = axes
    whole = F.pad(gradient, (w.before, w.after, h.before, h.after))
    pixels, patches = [], []
    for i, j in product(range(h.n), range(w.n)):
        pixels.append(x[..., i, j])  # (B, C)
        patches.append(whole[..., stamped(i, h), stamped(j, w)].flatten(1))  # (B, out·kh·kw)
    product_of_all = torch.cat(pixels).T @ torch.cat(patches)
    return product_of_all.view(x.shape[1], gradient.shape[1], h.kernel, w.kernel)


def crop(full: Tensor, axes: tuple[Axis, Axis]) -> Tensor:
    """Cut the full output to size; a negative crop adds zeros."""
    h, w = axes
    return F.pad(full, (-w.before, -w.after, -h.before, -h.after))


def stamped(i: int, axis: Axis) -> slice:
    """The pixels of the full output that input `i` stamps: i·s, i·s + d, …, i·s + d·(k−1)."""
    start = i * axis.stride
    return slice(start, start + axis.dilation * (axis.kernel - 1) + 1, axis.dilation)


def meetings(axis: Axis) -> Iterator[tuple[int, int, int]]:
    """Every (input i, tap a, output p) that meet after the crop: p = s·i + d·a − L."""
    for i, a in product(range(axis.n), range(axis.kernel)):
        p = axis.stride * i + axis.dilation * a - axis.before
        if 0 <= p < axis.out:
            yield i, a, p
