"""The same image, or the same noise, through every operator, with its spectrum under it.

torch is imported inside functions: a comparison of records alone does not wait for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from comparison import plot
from comparison.groups import Group, Variant
from panels import style
from runs import console

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor, nn

#: Generated images in a block, and of them in a row.
SAMPLES, SAMPLES_ACROSS = 16, 4
TILE = 64  # pixels of a spectrum's side, at most
CROP = 72  # pixels of an enlarged image's part that is shown, in which single pixels can be seen
COLUMNS = 5
FOOT = 40  # pixels of the spectra's colour scale


@dataclass(frozen=True)
class Block:
    """A picture (H, W, 3) uint8 and its power spectrum in dB, centred, (N, N), or None."""

    title: str
    picture: np.ndarray
    spectrum: np.ndarray | None


def drawable(group: Group) -> tuple[int, list[Variant]]:
    """The seed for which most variants have their model file beside the record, and those."""
    seeds = Counter(seed for v in group.variants for seed in v.runs if model_file(v, seed))
    if not seeds:
        return 0, []
    seed = min(seeds, key=lambda s: (-seeds[s], s))
    return seed, [variant for variant in group.variants if model_file(variant, seed)]


def model_file(variant: Variant, seed: int) -> Any:
    """Where the weights of a run are; None where they are not."""
    run = variant.runs.get(seed)
    if run is None or run.record.checkpoint is None:
        return None
    path = run.folder / run.record.checkpoint
    return path if path.exists() else None


def write(group: Group, count: int, folder: Path) -> list[Path]:
    """Write so many sheets of a group; says which variants are in none, and why."""
    seed, variants = drawable(group)
    if not count or not variants:
        if count:
            print(f"no pictures of {group.title}: no model files beside the records")
        return []
    without = [variant.label for variant in group.variants if variant not in variants]
    if without:
        print(f"no pictures of {', '.join(without)} in {group.title}: no model file of seed {seed}")
    from tasks.rebuild import rebuild_data

    try:
        data = rebuild_data({"config": variants[0].runs[seed].record.config})
        shown = [blocks(group, variants, seed, data, index) for index in range(count)]
    except Exception as error:
        line = console.explain(error)
        if line is None:
            raise
        print(f"no pictures of {group.title}: {line}")
        return []
    title = f"{group.title}: the same input through each operator"
    part = f"{CROP}×{CROP} pixels where the original has most detail; " if data.scale > 1 else ""
    seconds = [v.runs[seed].record.cost["train_seconds"] for v in variants]
    known = [each for each in seconds if each]
    trained = f", trained for {min(known):.0f} to {max(known):.0f} s" if known else ""
    classes = hasattr(data, "palette") and not data.scale > 1 and _segments(variants[0], seed)
    what = "logits" if classes else "whole images"
    subtitle = (
        f"seed {seed}{trained}; {part}below, power spectra of the {what}, frequency 0 centred"
    )
    legend = (data.classes, data.palette) if classes else None
    return [
        plot.save(
            sheet(each, title, subtitle, legend),
            folder / f"{group.name}-pictures{index if count > 1 else ''}.png",
        )
        for index, each in enumerate(shown)
    ]


def blocks(
    group: Group, variants: Sequence[Variant], seed: int, data: Any, index: int
) -> list[Block]:
    """What is shown: the data's own first, then a block for each variant.

    Args:
        group: says which split.
        variants: with model files of that seed.
        seed: of the runs.
        data: has `prepared(split)`, mean and std, and for segmentation a palette.
        index: which sample of the split, or which noise.
    """
    from upzoo import checkpoint

    nets = {variant.label: checkpoint.load(model_file(variant, seed))[0] for variant in variants}
    dataset = data.prepared(group.split)
    first = next(iter(nets.values()))
    if first.takes == "noise":
        return _generated(nets, dataset, data, index)
    sample = dataset[index % len(dataset)]
    segments = _segments(variants[0], seed)
    return _segmented(nets, sample, data) if segments else _rebuilt(nets, sample, data)


def _segments(variant: Variant, seed: int) -> bool:
    """Whether its net gives classes; the data of one that rebuilds images may have masks, too."""
    return "miou" in variant.runs[seed].values


def _generated(nets: Mapping[str, nn.Module], dataset: Any, data: Any, index: int) -> list[Block]:
    import torch

    start = index * SAMPLES % max(len(dataset) - SAMPLES, 1)
    count = min(SAMPLES, len(dataset))
    real = torch.stack([dataset[start + i]["image"] for i in range(count)])
    blocks = [_grid("real", _colours(real, data) * 2 - 1)]
    for label, net in nets.items():
        generator = torch.Generator().manual_seed(index)
        z = torch.randn(SAMPLES, net.latent, generator=generator)  # type: ignore[call-overload]
        blocks.append(_grid(label, _apply(net, z)))
    return blocks


def _segmented(nets: Mapping[str, nn.Module], sample: Any, data: Any) -> list[Block]:
    import torch

    image, mask = sample["image"][None], sample["mask"]
    palette = torch.tensor(data.palette, dtype=torch.uint8)
    void = torch.full((256 - len(palette), 3), 128, dtype=torch.uint8)
    colours = torch.cat((palette, void))
    colours_in = _colours(image, data)
    blocks = [
        Block("input", _pixels(colours_in[0]), spectrum(colours_in)),
        Block("truth", colours[mask].numpy(), None),
    ]
    for label, net in nets.items():
        logits = _apply(net, image)
        blocks.append(Block(label, colours[logits[0].argmax(0)].numpy(), spectrum(logits)))
    return blocks


def _rebuilt(nets: Mapping[str, nn.Module], sample: Any, data: Any) -> list[Block]:
    from upzoo.bicubic import enlarge

    image = sample["image"][None]
    shown = {"input": image}
    where: tuple[Any, ...] = (...,)
    if "target" in sample:  # super-resolution: a small input beside large images shows little
        target = sample["target"][None]
        scale = target.shape[-1] // image.shape[-1]
        shown = {"original": target, "bicubic": enlarge(image, scale)}
        where = (..., *most_detail(target[0], CROP, scale))
    shown |= {label: _apply(net, image) for label, net in nets.items()}
    colours = {label: _colours(each, data) for label, each in shown.items()}
    return [Block(label, _pixels(c[0][where]), spectrum(c)) for label, c in colours.items()]


def most_detail(image: Tensor, side: int, step: int) -> tuple[slice, slice]:
    """Rows and columns of the square in which neighbouring pixels differ most.

    Args:
        image: (C, H, W).
        side: of the square in pixels; less where the image is smaller.
        step: squares start at its multiples.
    """
    import torch.nn.functional as F

    side = min(side, *image.shape[-2:])
    steps = (image.diff(dim=-1)[:, :-1].abs() + image.diff(dim=-2)[:, :, :-1].abs()).mean(0)
    means = F.avg_pool2d(F.pad(steps, (0, 1, 0, 1))[None], side, step)[0]
    row, column = divmod(int(means.argmax()), means.shape[1])
    top, left = step * row, step * column
    return slice(top, top + side), slice(left, left + side)


def _apply(net: nn.Module, inputs: Tensor) -> Tensor:
    import torch

    with torch.inference_mode():
        return net(inputs).float()


def _colours(images: Tensor, data: Any) -> Tensor:
    """Normalised images (B, C, H, W) as colours in 0 … 1."""
    from data.pixels import denormalise

    return denormalise(images, data.mean, data.std).clamp(0, 1)


def _grid(title: str, images: Tensor) -> Block:
    from panels.samples import sample_grid

    picture = sample_grid(images, SAMPLES_ACROSS).permute(1, 2, 0).numpy()
    return Block(title, picture, spectrum(images))


def _pixels(colours: Tensor) -> np.ndarray:
    """(C, H, W) in 0 … 1 -> (H, W, 3) uint8."""
    return (colours.expand(3, -1, -1) * 255).round().byte().permute(1, 2, 0).numpy()


def spectrum(images: Tensor) -> np.ndarray:
    """Power spectrum over images and channels, in dB of its mean, frequency 0 in the centre.

    Args:
        images: (B, C, H, W).

    Returns:
        (N, N) with N the shorter side, 64 at most; tiles of that size are averaged.
    """
    import torch

    from upzoo.metrics.checkerboard.power import power_spectrum

    power = power_spectrum(images, min(TILE, *images.shape[-2:])).mean(0)
    power = torch.fft.fftshift(power / power.mean())
    return (10 * power.clamp_min(1e-8).log10()).numpy()


def sheet(
    shown: Sequence[Block],
    title: str,
    subtitle: str,
    legend: tuple[Sequence[str], Sequence[Sequence[int]]] | None = None,
) -> Figure:
    """Blocks in rows of five: a title, the picture, and the spectrum on a scale common to all.

    Args:
        shown: the blocks.
        title: of the sheet.
        subtitle: below it.
        legend: names of classes and their colours, below the blocks.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    from panels import legend as legends

    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    tall, wide = shown[0].picture.shape[:2]
    cell = plot.WIDTH / COLUMNS - 12
    block = cell * tall / wide + 0.62 * cell + 34
    names, colours = legend or ((), ())
    lines = legends.places(plot.WIDTH, names)[1] * legends.LINE if names else 0
    height = 60 + rows * block + FOOT + lines
    figure = Figure((plot.WIDTH / style.DPI, height / style.DPI), dpi=style.DPI, facecolor="white")
    FigureCanvasAgg(figure)
    plot.title(figure, title, subtitle)
    values = np.concatenate([b.spectrum.ravel() for b in shown if b.spectrum is not None])
    low, high = np.percentile(values, (2, 99.8))
    for index, each in enumerate(shown):
        left = 14 + index % columns * (cell + 8)
        top = 56 + index // columns * block
        axes = _box(figure, left, top + 18, cell, cell * tall / wide)
        small = wide <= cell  # its pixels are to be seen
        axes.imshow(each.picture, interpolation="nearest" if small else "auto")
        axes.set_title(
            plot.cut(each.title, 29),
            fontsize=8,
            color=style.INK,
            loc="left",
            pad=3,
            parse_math=False,
        )
        if each.spectrum is not None:
            side = 0.58 * cell
            axes = _box(figure, left, top + 22 + cell * tall / wide, side, side)
            scale = axes.imshow(
                each.spectrum, cmap=style.POWER, vmin=low, vmax=high, interpolation="nearest"
            )
    bar = (40 / plot.WIDTH, (FOOT + lines - 12) / height, 0.2, 8 / height)
    drawn = figure.colorbar(scale, cax=figure.add_axes(bar), orientation="horizontal")
    drawn.set_ticks([low, high], labels=[f"{low:.0f} dB", f"{high:.0f} dB of the mean power"])
    drawn.ax.tick_params(labelsize=7.5, length=2)
    for name, colour, (x, line) in zip(
        names, colours, legends.places(plot.WIDTH, names)[0], strict=True
    ):
        y = 1 - (height - lines + (line + 0.5) * legends.LINE) / height
        side = legends.SWATCH
        place = (x / plot.WIDTH, y - side / 2 / height), side / plot.WIDTH, side / height
        swatch = Rectangle(
            *place, transform=figure.transFigure, edgecolor=style.GREY, linewidth=0.5
        )
        red, green, blue = (level / 255 for level in colour)
        swatch.set_facecolor((red, green, blue))
        figure.add_artist(swatch)
        figure.text((x + side + 6) / plot.WIDTH, y, name, fontsize=9, va="center", color=style.INK)
    return figure


def _box(figure: Figure, left: float, top: float, width: float, height: float) -> Any:
    """Bare axes at a place in pixels from the top left."""
    total = figure.get_size_inches()[1] * style.DPI
    place = (left / plot.WIDTH, 1 - (top + height) / total, width / plot.WIDTH, height / total)
    axes = figure.add_axes(place)
    axes.set_axis_off()
    return axes
