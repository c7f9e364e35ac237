"""What a feature map responds to, projected back to the image through the switches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data.pixels import denormalise
from panels import canvas
from upzoo.deconvnet import DeconvNet, pool
from upzoo.upsampling.unpool import MaxUnpool

TILE = 112  # pixels, about the longer side of a tile
GAP, HEAD, MARGIN = 4, 30, 64


@torch.no_grad()
def project(
    net: DeconvNet, images: Tensor, stage: int, channel: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Project a feature map's strongest activation back to the image (Zeiler & Fergus 2014).

    Everything else in the stage is set to zero; then, down to the image: unpool through the
    switches, rectify where the net does, filter with the transposed kernels (section 2.1). A batch
    norm is a scale and a shift; of its transpose only the scale γ / √(σ² + ε) is left.

    Args:
        net: a DeconvNet in evaluation mode.
        images: (B, in_channels, H, W), normalised.
        stage: 1 is the encoder's first; its feature is taken before it is pooled.
        channel: of that feature.

    Returns:
        The projections (B, in_channels, H, W), the activations (B,) and their positions (B, 2),
        row and column in the stage's map.

    Raises:
        ValueError: for a stage or a channel that the net does not have, or a net that trains.
    """
    _check(net, stage, channel)
    x, switches, sizes = encode(net, images, stage)
    strongest, where = x[:, channel].flatten(1).max(1)
    positions = torch.stack([where // x.shape[-1], where % x.shape[-1]], dim=1)

    y = torch.zeros_like(x)
    batch = torch.arange(len(x), device=x.device)
    y[batch, channel, positions[:, 0], positions[:, 1]] = strongest
    y = transpose(net.encoders[stage - 1], y)
    for below in reversed(range(stage - 1)):
        channels = y.shape[1]
        y = MaxUnpool(channels, channels, 2)(y, sizes[below], switches[below])
        y = transpose(net.encoders[below], y)
    return y, strongest, positions


def encode(
    net: DeconvNet, images: Tensor, stage: int
) -> tuple[Tensor, list[Tensor], list[torch.Size]]:
    """A stage's feature before it is pooled; switches and sizes of the poolings above it."""
    x, switches, sizes = net.prepare(images), [], []
    for encoder in net.encoders[: stage - 1]:
        x = encoder(x)
        sizes.append(x.shape[-2:])
        x, places = pool(x)
        switches.append(places)
    return net.encoders[stage - 1](x), switches, sizes


@torch.no_grad()
def strongest_activations(net: DeconvNet, images: Tensor, stage: int) -> Tensor:
    """Largest value of every channel of a stage in every image, (B, channels)."""
    # one by one, to need no more memory than training does
    return torch.cat([encode(net, image[None], stage)[0].amax(dim=(2, 3)) for image in images])


def transpose(layers: nn.Module, y: Tensor) -> Tensor:
    """The transpose of a stage's layers, from its output back to its input; ReLU stays ReLU.

    Raises:
        ValueError: for a layer that is no convolution, batch norm or ReLU.
    """
    for layer in reversed(list(layers.children())):
        if isinstance(layer, nn.ReLU):
            y = F.relu(y)
        elif isinstance(layer, nn.BatchNorm2d):
            assert layer.running_var is not None
            scale = layer.weight * torch.rsqrt(layer.running_var + layer.eps)
            y = y * scale.view(-1, 1, 1)
        elif isinstance(layer, nn.Conv2d):
            assert not isinstance(layer.padding, str)
            y = F.conv_transpose2d(y, layer.weight, padding=layer.padding)
        else:
            raise ValueError(f"{type(layer).__name__}: no transpose of this layer is known")
    return y


def receptive_field(net: DeconvNet, stage: int) -> tuple[int, int, int]:
    """Which pixels a stage's unit sees: `size` of them from `step`·position − `before` on.

    Returns:
        (size, step, before), the same for rows and columns.
    """
    size, step, before = 1, 1, 0
    for depth, encoder in enumerate(net.encoders[:stage]):
        if depth:  # the 2×2 pooling before it
            size, step = size + step, 2 * step
        for conv in encoder.children():
            if isinstance(conv, nn.Conv2d):
                size += (conv.kernel_size[0] - 1) * step
                before += int(conv.padding[0]) * step
    return size, step, before


def projection_panel(
    net: DeconvNet,
    images: Tensor,
    stage: int,
    channels: Sequence[int],
    mean: Sequence[float] = (0.485, 0.456, 0.406),
    std: Sequence[float] = (0.229, 0.224, 0.225),
    count: int = 4,
) -> Tensor:
    """Draw one row per channel: projections from the images that excite it most, and their crops.

    A crop is what the unit sees of its image. A projection is grey where it is zero and shows its
    own range; it lives on the input of the first convolution, so its colours are relative.

    Args:
        net: a DeconvNet in evaluation mode.
        images: (B, 1 or 3, H, W), normalised by `mean` and `std`.
        stage: 1 is the encoder's first.
        channels: of that stage's feature.
        mean: of the normalisation, one per channel.
        std: of the normalisation, one per channel.
        count: images to show of each channel.

    Returns:
        (3, height, width) uint8, for `SummaryWriter.add_image`.

    Raises:
        ValueError: for a stage, a channel or images that do not fit.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3) or 0 in images.shape or not channels:
        raise ValueError(
            f"images are {tuple(images.shape)} for {len(channels)} channels, expected "
            "(B, 1 or 3, H, W) and at least one channel"
        )
    for channel in channels:
        _check(net, stage, channel)
    order = strongest_activations(net, images, stage).argsort(dim=0, descending=True, stable=True)
    rows = [_row(net, images[order[:count, c]], stage, c) for c in channels]
    projections, crops = map(torch.stack, zip(*rows, strict=True))  # (R, count, C, h, w)
    # grey ± the projection over its largest value
    largest = projections.abs().amax(dim=(2, 3, 4), keepdim=True).clamp(min=1e-12)
    projections = 0.5 + 0.5 * projections / largest
    crops = denormalise(crops, mean, std)
    titles = (f"stage {stage}: projections", "images")
    return page((projections, crops), titles, [f"{channel}" for channel in channels])


def page(
    blocks: Sequence[Tensor], titles: Sequence[str], names: Sequence[str] = (), tile: int = TILE
) -> Tensor:
    """Set blocks of pictures side by side on a white page, a title over each, a name by each row.

    Args:
        blocks: (rows, columns, 1 or 3, h, w) colours in 0 … 1, clipped.
        titles: one for each block.
        names: one for each row, or none at all.
        tile: about the longer side of a picture, in pixels; small ones are enlarged by a whole
            factor.

    Returns:
        (3, height, width) uint8.
    """
    left, tiles = MARGIN if names else GAP, [_tiles(block, tile) for block in blocks]
    rows, _, h, w, _ = tiles[0].shape
    widths = [block.shape[1] * (w + GAP) for block in tiles]
    wide = left + sum(widths) + 2 * GAP * (len(tiles) - 1)
    sheet = np.full((HEAD + rows * (h + GAP), wide, 3), 255, dtype=np.uint8)
    drawn = canvas.figure(sheet.shape[1], sheet.shape[0])
    for row, name in enumerate(names):
        canvas.write(drawn, MARGIN / 2, HEAD + row * (h + GAP) + h / 2, name, ha="center")
    for block, width, title in zip(tiles, widths, titles, strict=True):
        middle = left + (width - GAP) / 2
        canvas.write(drawn, middle, HEAD / 2, title, px=15, ha="center", weight="bold")
        for row, column in np.ndindex(*block.shape[:2]):
            top, start = HEAD + row * (h + GAP), left + column * (w + GAP)
            sheet[top : top + h, start : start + w] = block[row, column]
        left += width + 2 * GAP
    return canvas.over(sheet, drawn)


def _row(net: DeconvNet, images: Tensor, stage: int, channel: int) -> tuple[Tensor, Tensor]:
    """A channel's projections and what it sees of the images, (B, C, h, w) both."""
    projections, _, positions = project(net, images, stage, channel)
    size, step, before = receptive_field(net, stage)
    height, width = images.shape[-2:]
    h, w = min(size, height), min(size, width)
    pairs = []
    for image, projection, position in zip(images, projections, positions, strict=True):
        top, left = (position * step - before).tolist()
        # at an edge the window is moved into the image
        top, left = max(0, min(top, height - h)), max(0, min(left, width - w))
        window = (..., slice(top, top + h), slice(left, left + w))
        pairs.append((projection[window].cpu(), image[window].cpu()))
    windows, crops = zip(*pairs, strict=True)
    return torch.stack(windows), torch.stack(crops)


def _tiles(block: Tensor, tile: int) -> np.ndarray:
    """A block as uint8 (rows, columns, h, w, 3), enlarged by a whole factor to about `tile`."""
    factor = max(1, round(tile / max(block.shape[-2:])))
    pixels = (255 * block.detach().cpu().float().clamp(0, 1)).round().byte()
    pixels = pixels.expand(-1, -1, 3, -1, -1).repeat_interleave(factor, -2)
    return pixels.repeat_interleave(factor, -1).movedim(2, -1).numpy()


def _check(net: DeconvNet, stage: int, channel: int) -> None:
    if net.training:
        raise ValueError("the net is in training mode, its batch norms mix images: call net.eval()")
    if not 1 <= stage <= len(net.encoders):
        raise ValueError(f"stage={stage} must be one of the net's, 1 to {len(net.encoders)}")
    channels = net.widths[stage - 1]
    if not 0 <= channel < channels:
        raise ValueError(f"channel={channel} must be one of stage {stage}'s, 0 to {channels - 1}")
