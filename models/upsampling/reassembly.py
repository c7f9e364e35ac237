"""Content-aware reassembly: each output pixel weighs a neighbourhood of the pixel it came from.

CARAFE, FADE and SAPA share two maps, both zero-padded, with (h, w) = (⌊y / s⌋, ⌊x / s⌋):

    reassemble:  out[c, y, x] = Σ_t weight[t, y, x] · feature[c, h + dy(t), w + dx(t)]
    similarity:  sim[t, y, x] = Σ_c query[c, y, x] · key[c, h + dy(t), w + dx(t)]

The readable forms unfold and enlarge, which holds k²·s² copies of the input. The fast ones lay the
pixels out as one list with a row of zeros around it: k neighbours in a line are then k rows of a
view with overlapping strides, and every map is k batched matrix products with no copy at all.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from upzoo.tracing import is_exported, is_traced


def neighbours(x: Tensor, kernel: int, scale: int) -> Tensor:
    """The neighbourhood of every output pixel's source, (B, C, k², scale·H, scale·W)."""
    C, H, W = x.shape[1:]
    if is_exported():
        # Unfolding would make it a condition that the map has more than one pixel; a convolution
        # with one-hot kernels does not.
        places = torch.eye(kernel**2, dtype=x.dtype, device=x.device).view(-1, 1, kernel, kernel)
        patches = F.conv2d(x.contiguous(), places.repeat(C, 1, 1, 1), padding=kernel // 2, groups=C)
    else:
        patches = F.unfold(x, kernel, padding=kernel // 2).unflatten(-1, (H, W))
    # (B, C·k², H, W)
    patches = F.interpolate(patches, size=[scale * H, scale * W], mode="nearest")
    return patches.unflatten(1, (-1, kernel**2))


def reassemble_reference(x: Tensor, weight: Tensor, kernel: int, scale: int) -> Tensor:
    """`reassemble`, written as its definition (Wang et al. 2019, equation 4)."""
    # out[c] = Σ_t weight[t] · neighbour[c, t]
    y = (neighbours(x, kernel, scale) * weight.to(x.dtype).unsqueeze(1)).sum(2)
    return y.contiguous(memory_format=memory_format(x))


def similarity_reference(query: Tensor, key: Tensor, kernel: int, scale: int) -> Tensor:
    """`similarity`, written as its definition (Lu et al. 2022, SAPA, equation 4)."""
    # sim[t] = Σ_c query[c] · neighbour[c, t]
    return (neighbours(key, kernel, scale) * query.unsqueeze(2)).sum(1)


def reassemble(x: Tensor, weight: Tensor, kernel: int, scale: int) -> Tensor:
    """Sum the k×k neighbours of every output pixel's source with that pixel's own weights.

    Pixels beyond the border are zeros, as in the official code of CARAFE.

    Args:
        x: (B, C, H, W).
        weight: (B, k², scale·H, scale·W), neighbours row by row.
        kernel: k, odd.
        scale: the enlargement.

    Returns:
        (B, C, scale·H, scale·W), in the memory format of `x`.
    """
    if unfolding_is_faster(x, kernel, scale):
        return reassemble_reference(x, weight, kernel, scale)
    return reassemble_lines(x, weight, kernel, scale)


def similarity(query: Tensor, key: Tensor, kernel: int, scale: int) -> Tensor:
    """Inner products of every output pixel with the k×k neighbours of its source.

    Keys beyond the border are zeros: their similarity is 0.

    Args:
        query: (B, C, scale·H, scale·W).
        key: (B, C, H, W), of the same type.
        kernel: k, odd.
        scale: the enlargement.

    Returns:
        (B, k², scale·H, scale·W), neighbours row by row.
    """
    if unfolding_is_faster(key, kernel, scale):
        return similarity_reference(query, key, kernel, scale)
    return similarity_lines(query, key, kernel, scale)


def memory_format(x: Tensor) -> torch.memory_format:
    """Channels-last where `x` is, contiguous otherwise."""
    last = not is_exported() and x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


def unfolding_is_faster(x: Tensor, kernel: int, scale: int) -> bool:
    """Whether to take the readable form: where it is small, recorded, or fused by a compiler."""
    if is_traced() or x.is_meta:
        return True
    return x.numel() * (kernel * scale) ** 2 < 2**18


def reassemble_lines(x: Tensor, weight: Tensor, kernel: int, scale: int) -> Tensor:
    """`reassemble` with no copy of a neighbourhood."""
    return _Reassemble.apply(x, weight.to(x.dtype), kernel, scale)


def similarity_lines(query: Tensor, key: Tensor, kernel: int, scale: int) -> Tensor:
    """`similarity` with no copy of a neighbourhood."""
    return _Similarity.apply(query, key, kernel, scale)


class _Reassemble(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, kernel: int, scale: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.kernel, ctx.scale = kernel, scale
        w = _split_weight(weight, kernel, scale)
        return _join(_gather(x, w), x.shape, x, scale)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        g = _split(grad, ctx.scale)
        dx = dw = None
        if ctx.needs_input_grad[0]:
            dx = _scatter(g, _split_weight(weight, ctx.kernel, ctx.scale), x)
        if ctx.needs_input_grad[1]:
            dw = _join(_correlate(x, g, ctx.kernel).flatten(2), x.shape, weight, ctx.scale)
        return dx, dw, None, None


class _Similarity(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, kernel: int, scale: int) -> Tensor:
        ctx.save_for_backward(query, key)
        ctx.kernel, ctx.scale = kernel, scale
        sim = _correlate(key, _split(query, scale), kernel).flatten(2)
        return _join(sim, key.shape, query, scale)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, key = ctx.saved_tensors
        w = _split_weight(grad, ctx.kernel, ctx.scale)
        dq = dk = None
        if ctx.needs_input_grad[0]:
            dq = _join(_gather(key, w), key.shape, query, ctx.scale)
        if ctx.needs_input_grad[1]:
            dk = _scatter(_split(query, ctx.scale), w, key)
        return dq, dk, None, None


# What follows works on n = B·H·W source pixels, s² output pixels of each: weights w (n, s², k, k),
# output pixels g (n, s², C). X[d] (n, k, C) are the neighbours in line d. The maps are the three
# derivatives of Σ g · w · X:  _gather: Σ_d w[d] X[d],  _correlate: w[d] = g X[d]ᵀ,  _scatter: to x.


def _gather(x: Tensor, w: Tensor) -> Tensor:
    """Weighted sums of neighbours: (B, C, H, W) and (n, s², k, k) -> (n, s², C)."""
    kernel = w.shape[-1]
    pixels = _list(x, kernel)
    with torch.autocast(x.device.type, enabled=False):
        y = torch.bmm(w[:, :, 0], _line(pixels, x.shape, kernel, 0))
        for d in range(1, kernel):
            y = y.baddbmm_(w[:, :, d], _line(pixels, x.shape, kernel, d))
    return y


def _correlate(x: Tensor, g: Tensor, kernel: int) -> Tensor:
    """Inner products with neighbours: (B, C, H, W) and (n, s², C) -> (n, s², k, k)."""
    pixels = _list(x, kernel)
    w = g.new_empty(*g.shape[:2], kernel, kernel)
    with torch.autocast(x.device.type, enabled=False):
        for d in range(kernel):
            w[:, :, d] = torch.bmm(g, _line(pixels, x.shape, kernel, d).mT)
    return _blank_border(w, x.shape)


def _scatter(g: Tensor, w: Tensor, like: Tensor) -> Tensor:
    """Spread (n, s², C) over neighbours with weights (n, s², k, k); (B, C, H, W) as `like`.

    Turned round so that nothing is written twice: each pixel gathers from the k² pixels whose
    neighbour it is, all s² phases of k of them in one product.
    """
    B, C, H, W = like.shape
    n, q, k, _ = w.shape
    around = k // 2 * (W + 1)
    g = F.pad(g.reshape(n, q * C), (0, 0, around, around))
    w = F.pad(w.reshape(n, q * k * k), (0, 0, around, around))
    y = None
    with torch.autocast(g.device.type, enabled=False):
        for d in range(k):
            # The u-th pixel of a line d − r below has this one as its neighbour (k−1−d, k−1−u).
            first = d * W
            gs = g.as_strided((n, k * q, C), (q * C, C, 1), first * q * C)
            corner = first * q * k * k + (k - 1 - d) * k + k - 1
            ws = w.as_strided((n, k, q), (q * k * k, q * k * k - 1, k * k), corner)
            ws = ws.reshape(n, 1, k * q)
            y = torch.bmm(ws, gs) if y is None else y.baddbmm_(ws, gs)
    assert y is not None
    return y.view(B, H, W, C).permute(0, 3, 1, 2)


def _list(x: Tensor, kernel: int) -> Tensor:
    """All pixels in one list, with zeros before and after: (B·H·W + 2·r·(W+1), C), r = ⌊k/2⌋."""
    around = kernel // 2 * (x.shape[-1] + 1)
    return F.pad(x.permute(0, 2, 3, 1).reshape(-1, x.shape[1]), (0, 0, around, around))


def _line(pixels: Tensor, shape: torch.Size, kernel: int, d: int) -> Tensor:
    """The k neighbours of every pixel in line d of its neighbourhood, (n, k, C), without a copy."""
    B, C, H, W = shape
    return pixels.as_strided((B * H * W, kernel, C), (C, C, 1), d * W * C)


def _split(x: Tensor, scale: int) -> Tensor:
    """(B, C, s·H, s·W) -> (B·H·W, s², C), a copy: the s² pixels that come from each."""
    y = x.unflatten(3, (-1, scale)).unflatten(2, (-1, scale))  # (B, C, H, s, W, s)
    y = y.permute(0, 2, 4, 3, 5, 1).clone(memory_format=torch.contiguous_format)
    return y.view(-1, scale**2, x.shape[1])


def _split_weight(weight: Tensor, kernel: int, scale: int) -> Tensor:
    """(B, k², s·H, s·W) -> (B·H·W, s², k, k), zero for neighbours beyond the border."""
    B, _, h, w = weight.shape
    split = _split(weight, scale).unflatten(2, (kernel, kernel))
    return _blank_border(split, torch.Size((B, 1, h // scale, w // scale)))


def _blank_border(w: Tensor, shape: torch.Size) -> Tensor:
    """Zero, in place, the weights of neighbours that the list of pixels wraps round the border."""
    B, _, H, W = shape
    reach = w.shape[-1] // 2
    grid = w.view(B, H, W, *w.shape[1:])
    for d in range(min(reach, H)):
        grid[:, d, ..., : reach - d, :] = 0
        grid[:, H - 1 - d, ..., reach + 1 + d :, :] = 0
    for d in range(min(reach, W)):
        grid[:, :, d, ..., : reach - d] = 0
        grid[:, :, W - 1 - d, ..., reach + 1 + d :] = 0
    return w


def _join(y: Tensor, shape: torch.Size, like: Tensor, scale: int) -> Tensor:
    """(B·H·W, s², C) -> (B, C, s·H, s·W), in the memory format of `like`; H, W from `shape`."""
    B, H, W = shape[0], shape[-2], shape[-1]
    C = y.shape[-1]
    y = y.view(B, H, W, scale, scale, C)
    if memory_format(like) is torch.channels_last:
        y = y.transpose(2, 3).reshape(B, scale * H, scale * W, C)
        return y.permute(0, 3, 1, 2)
    return y.permute(0, 5, 1, 3, 2, 4).contiguous().view(B, C, scale * H, scale * W)
