"""The mathematics of transposed convolution, as pure functions of tensors.

Every input pixel stamps a scaled kernel on the output, one stride apart, and overlapping stamps
add. `geometry.py` holds the sizes, `phases.py` what each
phase gets, `equivalents.py` computes the same in four other ways, and
`docs/transposed_convolution.md` draws it.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from upzoo.tracing import is_traced
from upzoo.upsampling.geometry import Padding, Size, full_size, geometry, same_crop
from upzoo.upsampling.phases import overlap_counts, phase_gains

__all__ = [
    "bilinear_filter",
    "bilinear_kernel",
    "conv_transpose2d",
    "conv_transpose_same",
    "fold_nearest",
    "full_size",
    "icnr_",
    "overlap_counts",
    "phase_gains",
    "polyphase",
    "replicate_border",
    "same_crop",
    "smooth_kernel",
]


def conv_transpose2d(
    x: Tensor,
    weight: Tensor,
    stride: int | Sequence[int],
    padding: Padding = "same",
    output_size: Size | None = None,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """Transposed convolution by TensorFlow's rules, or by PyTorch's where `padding` is an integer.

    It is the gradient of a forward convolution with regard to its input (Dumoulin & Visin 2016,
    section 4), so the output may have any size that the convolution maps back to the input's.

    Args:
        x: (B, C, H, W).
        weight: (C, out // groups, kh, kw), PyTorch's layout; TensorFlow has (kh, kw, out, C).
        stride: step between the stamps of neighbouring pixels, or one for each axis.
        padding: "same" or "valid" as in TensorFlow, or the pixels to cut from both ends.
        output_size: an integer, (h, w), or a shape whose last two entries count, `skip.shape` for
            instance; also as an integer tensor. By default Keras's size for "same", stride·n, and
            for "valid", and PyTorch's, the smallest, for an integer.
        dilation: step between the taps of the kernel, or one for each axis.
        groups: as in `torch.nn.functional.conv_transpose2d`.

    Returns:
        (B, out, h, w).

    Raises:
        ValueError: for a size that does not map back to the input's.

    >>> x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> conv_transpose2d(x, torch.ones(1, 1, 3, 3), stride=2)
    tensor([[[[ 1.,  1.,  3.,  2.],
              [ 1.,  1.,  3.,  2.],
              [ 4.,  4., 10.,  6.],
              [ 3.,  3.,  7.,  4.]]]])
    """
    axes = geometry(x.shape[-2:], weight.shape[-2:], stride, padding, output_size, dilation)
    y = F.conv_transpose2d(
        x,
        weight,
        stride=[axis.stride for axis in axes],
        dilation=[axis.dilation for axis in axes],
        groups=groups,
        # PyTorch cuts `padding` from both ends. Where the end loses less than the start,
        # `output_padding` leaves it more; where it loses more, the slice takes the rest.
        padding=[axis.before for axis in axes],
        output_padding=[max(axis.before - axis.after, 0) for axis in axes],
    )
    if all(axis.after <= axis.before for axis in axes):
        return y
    return y[..., : axes[0].out, : axes[1].out]


def conv_transpose_same(
    x: Tensor, weight: Tensor, stride: int | tuple[int, int], groups: int = 1
) -> Tensor:
    """Transposed convolution to stride·H × stride·W, cropped as TensorFlow's SAME: as operators do.

    Args:
        x: (B, C, H, W).
        weight: (C, out // groups, kh, kw).
        stride: the enlargement, or one for each axis.
        groups: as in `torch.nn.functional.conv_transpose2d`.

    Returns:
        (B, out, stride·H, stride·W).
    """
    strides = (stride, stride) if isinstance(stride, int) else stride
    # (n − 1)·s + k − n·s = k − s at any size
    surplus = [k - s for k, s in zip(weight.shape[-2:], strides, strict=True)]
    if any(n < 0 or n % 2 for n in surplus):
        return conv_transpose2d(x, weight, strides, "same", groups=groups)
    cut = [n // 2 for n in surplus]
    return F.conv_transpose2d(x, weight, stride=strides, padding=cut, groups=groups)


def bilinear_filter(kernel: int) -> Tensor:
    """FCN's `upsample_filt` in one dimension: 1 − |i − c| / f, f = ⌊(k+1)/2⌋ (Long et al. 2015).

    Its polyphase sums are 1 only for the kernel that belongs to a stride: see `bilinear_kernel`.

    Returns:
        (kernel,) in float64.

    >>> bilinear_filter(4)
    tensor([0.2500, 0.7500, 0.7500, 0.2500], dtype=torch.float64)
    """
    f = (kernel + 1) // 2
    c = f - 1 if kernel % 2 else f - 0.5
    return 1 - (torch.arange(kernel, dtype=torch.float64) - c).abs() / f


def bilinear_kernel(stride: int, kernel: int | None = None) -> Tensor:
    """The bilinear kernel of a stride, zero-padded to `kernel`: all phase sums are exactly 1.

    The filter has 2·stride − stride mod 2 taps (Long et al. 2015, section 3.3). A wider kernel gets
    the same filter with zeros around it, placed where TensorFlow's SAME leaves it aligned; the
    filter of the wider size itself would start with a checkerboard.

    Returns:
        (kernel, kernel) in float64.

    Raises:
        ValueError: for a kernel smaller than the filter.

    >>> bilinear_kernel(2)[0]
    tensor([0.0625, 0.1875, 0.1875, 0.0625], dtype=torch.float64)
    """
    taps = 2 * stride - stride % 2
    kernel = taps if kernel is None else kernel
    if kernel < taps:
        raise ValueError(
            f"kernel={kernel} is too small for bilinear enlargement by {stride}, which has "
            f"{taps} taps: use kernel={taps} or more"
        )
    # SAME cuts ⌊(k−s)/2⌋ pixels in front: that many minus the filter's own are zeros before it.
    before = (kernel - stride) // 2 - (taps - stride) // 2
    line = F.pad(bilinear_filter(taps), (before, kernel - taps - before))
    return torch.outer(line, line)


def smooth_kernel(stride: int, order: int = 0) -> Tensor:
    """The hold kernel of a smoothness order: box ∗ (box / s) ∗ … ∗ (box / s), `order` times.

    Order 0 is the zero-order hold, which is nearest-neighbour enlargement; order 1 is a tent.
    Convolving any kernel with a box of the stride's length makes its phases alike, so that a
    constant leaves no checkerboard (Kinoshita & Kiya 2020). Their kernel is not
    normalised; this one's phase sums are 1.

    Returns:
        (k, k) in float64, k = (order + 1)·(stride − 1) + 1.

    Raises:
        ValueError: for an order below 0.

    >>> smooth_kernel(2, order=1)[1]
    tensor([0.5000, 1.0000, 0.5000], dtype=torch.float64)
    """
    if order < 0:
        raise ValueError(f"order={order} must be at least 0: order 0 is the zero-order hold")
    line = torch.ones(1, 1, stride, dtype=torch.float64)
    box = line / stride
    for _ in range(order):
        line = F.conv1d(line, box, padding=stride - 1)
    return torch.outer(line.flatten(), line.flatten())


def polyphase(weight: Tensor, stride: int) -> Tensor:
    """Split a kernel into its phases: entry (φ, ψ, i, j) is w[φ + i·s, ψ + j·s], zero beyond it.

    Output pixels of phase (φ, ψ) see only those taps, so a transposed convolution is stride²
    ordinary ones with small kernels, interleaved (Shi et al. 2016, appendix).

    Args:
        weight: (..., kh, kw) kernel of a transposed convolution.
        stride: its stride.

    Returns:
        (..., stride, stride, ⌈kh / stride⌉, ⌈kw / stride⌉).

    >>> polyphase(torch.arange(9.0).view(3, 3), 2)[1, 0]
    tensor([[3., 5.],
            [0., 0.]])
    """
    kh, kw = weight.shape[-2:]
    padded = F.pad(weight, (0, -kw % stride, 0, -kh % stride))
    split = padded.unflatten(-1, (-1, stride)).unflatten(-3, (-1, stride))  # (..., i, φ, j, ψ)
    return split.movedim((-3, -1), (-4, -3))


def fold_nearest(weight: Tensor, scale: int) -> Tensor:
    """The kernel that does nearest enlargement and a convolution in one transposed convolution.

    conv2d(nearest(x, s), w, padding=p) = conv_transpose2d(x, fold_nearest(w, s), s, padding=p) with
    p = (k − 1) / 2, borders included. It multiplies ⌈(k+s−1) / s⌉² instead of k² times an output
    and never makes the enlarged map.

    Args:
        weight: (out, in, k, k) of a convolution with zero padding p, k odd.
        scale: the enlargement.

    Returns:
        (in, out, k + scale − 1, k + scale − 1).

    Raises:
        ValueError: for an even kernel.

    >>> fold_nearest(torch.ones(1, 1, 3, 3), 2)[0, 0, 0]
    tensor([1., 2., 2., 1.])
    """
    if weight.shape[-1] % 2 == 0 or weight.shape[-2] % 2 == 0:
        raise ValueError(
            f"kernel {tuple(weight.shape[-2:])} is even: only an odd one has (k − 1) / 2 zeros "
            "on either side"
        )
    turned = weight.flip(-2, -1).transpose(0, 1)
    # K = box(s) ∗ w rotated by 180°: window sums of the padded kernel
    return F.avg_pool2d(F.pad(turned, [scale - 1] * 4), scale, stride=1) * scale**2


def replicate_border(x: Tensor, pixels: int) -> Tensor:
    """Repeat the outermost rows and columns; deterministic, unlike CUDA's replication padding."""
    if x.device.type == "cpu" and not is_traced():  # the gradient of slices takes up to 20 times it
        return F.pad(x, [pixels] * 4, mode="replicate")
    h = [x[..., :1, :]] * pixels + [x] + [x[..., -1:, :]] * pixels
    x = torch.cat(h, dim=-2) if pixels else x
    w = [x[..., :1]] * pixels + [x] + [x[..., -1:]] * pixels
    return torch.cat(w, dim=-1) if pixels else x


def icnr_(weight: Tensor, scale: int, std: float) -> Tensor:
    """Fill a sub-pixel kernel in place so that it starts as nearest-neighbour enlargement.

    All scale² kernels that feed one output channel are the same random one (Aitken et al. 2017).

    Args:
        weight: (out · scale², in, k, k), in the order of `torch.nn.functional.pixel_shuffle`.
        scale: the enlargement.
        std: standard deviation of the entries.
    """
    with torch.no_grad():
        one = torch.randn(weight.shape[0] // scale**2, *weight.shape[1:]) * std
        return weight.copy_(one.repeat_interleave(scale**2, dim=0))
