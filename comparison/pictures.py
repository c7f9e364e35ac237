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
from comparison.groups import Arm, Group
from runs import console

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor, nn

#: Generated images in a block, and of them in a row.
DRAWN, ACROSS = 16, 4
TILE = 64  # pixels of a spectrum's side, at most
COLUMNS = 5


@dataclass(frozen=True)
class Block:
    """A picture (H, W, 3) uint8 and its power spectrum in dB, centred, (N, N), or None."""

    title: str
    picture: np.ndarray
    spectrum: np.ndarray | None


def drawable(group: Group) -> tuple[int, list[Arm]]:
    """The seed for which most arms have their model file beside the record, and these arms."""
    seeds = Counter(
        seed for arm in group.arms for seed, run in arm.runs.items() if model_file(arm, seed)
    )
    if not seeds:
        return 0, []
    seed = min(seeds, key=lambda s: (-seeds[s], s))
    return seed, [arm for arm in group.arms if model_file(arm, seed)]


def model_file(arm: Arm, seed: int) -> Any:
    """Where the weights of a run are; None where they are not."""
    run = arm.runs.get(seed)
    if run is None or run.record.checkpoint is None:
        return None
    path = run.folder / run.record.checkpoint
    return path if path.exists() else None


def write(group: Group, count: int, folder: Path) -> list[Path]:
    """Write so many sheets of a group; says which arms are in none, and why."""
    from tasks.rebuild import rebuild_data

    seed, arms = drawable(group)
    if not count or not arms:
        if count:
            print(f"no pictures of {group.title}: no model files beside the records")
        return []
    without = [arm.label for arm in group.arms if arm not in arms]
    if without:
        print(f"no pictures of {', '.join(without)} in {group.title}: no model file of seed {seed}")
    try:
        data = rebuild_data({"config": arms[0].runs[seed].record.config})
        shown = [blocks(group, arms, seed, data, index) for index in range(count)]
    except Exception as error:
        line = console.explain(error)
        if line is None:
            raise
        print(f"no pictures of {group.title}: {line}")
        return []
    title = f"{group.title}: the same input through each operator"
    said = f"seed {seed}; below, the log power spectrum, frequency 0 in the centre"
    return [
        plot.save(
            sheet(each, title, said),
            folder / f"{group.name}-pictures{index if count > 1 else ''}.png",
        )
        for index, each in enumerate(shown)
    ]


def blocks(group: Group, arms: Sequence[Arm], seed: int, data: Any, index: int) -> list[Block]:
    """What is shown: the data's own first, then a block for each arm.

    Args:
        group: says which split.
        arms: with model files of that seed.
        seed: of the runs.
        data: has `prepared(split)`, mean and std, and for segmentation a palette.
        index: which sample of the split, or which noise.
    """
    from upzoo import checkpoint

    nets = {arm.label: checkpoint.load(model_file(arm, seed))[0] for arm in arms}
    dataset = data.prepared(group.split)
    first = next(iter(nets.values()))
    if hasattr(first, "latent"):
        return _generated(nets, dataset, data, index)
    sample = dataset[index % len(dataset)]
    rebuilt = "psnr" in arms[0].runs[seed].values  # the data may have masks all the same
    return _rebuilt(nets, sample, data) if rebuilt else _segmented(nets, sample, data)


def _generated(nets: Mapping[str, nn.Module], dataset: Any, data: Any, index: int) -> list[Block]:
    import torch

    start = index * DRAWN % max(len(dataset) - DRAWN, 1)
    count = min(DRAWN, len(dataset))
    real = torch.stack([dataset[start + i]["image"] for i in range(count)])
    made = [_grid("real", _colours(real, data) * 2 - 1)]
    for label, net in nets.items():
        generator = torch.Generator().manual_seed(index)
        z = torch.randn(DRAWN, net.latent, generator=generator)  # type: ignore[call-overload]
        made.append(_grid(label, _apply(net, z)))
    return made


def _segmented(nets: Mapping[str, nn.Module], sample: Any, data: Any) -> list[Block]:
    import torch

    image, mask = sample["image"][None], sample["mask"]
    palette = torch.tensor(data.palette, dtype=torch.uint8)
    void = torch.full((256 - len(palette), 3), 128, dtype=torch.uint8)
    colours = torch.cat((palette, void))
    seen = _colours(image, data)
    made = [
        Block("input", _pixels(seen[0]), spectrum(seen)),
        Block("truth", colours[mask].numpy(), None),
    ]
    for label, net in nets.items():
        logits = _apply(net, image)
        made.append(Block(label, colours[logits[0].argmax(0)].numpy(), spectrum(logits)))
    return made


def _rebuilt(nets: Mapping[str, nn.Module], sample: Any, data: Any) -> list[Block]:
    from upzoo.bicubic import enlarge

    image = sample["image"][None]
    shown = {"input": image}
    if "target" in sample:  # super-resolution: a small input beside large images shows little
        target = sample["target"][None]
        scale = target.shape[-1] // image.shape[-1]
        shown = {"original": target, "bicubic": enlarge(image, scale)}
    shown |= {label: _apply(net, image) for label, net in nets.items()}
    colours = {label: _colours(each, data) for label, each in shown.items()}
    return [Block(label, _pixels(c[0]), spectrum(c)) for label, c in colours.items()]


def _apply(net: nn.Module, inputs: Tensor) -> Tensor:
    import torch

    with torch.inference_mode():
        return net(inputs).float()


def _colours(images: Tensor, data: Any) -> Tensor:
    """Normalised images (B, C, H, W) as colours in 0 … 1."""
    from data.transforms import denormalise

    return denormalise(images, data.mean, data.std).clamp(0, 1)


def _grid(title: str, images: Tensor) -> Block:
    from panels.samples import sample_grid

    picture = sample_grid(images, ACROSS).permute(1, 2, 0).numpy()
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


def sheet(shown: Sequence[Block], title: str, said: str) -> Figure:
    """Blocks in rows of five: a title, the picture, and the spectrum on a scale common to all."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    tall, wide = shown[0].picture.shape[:2]
    cell = plot.WIDTH / COLUMNS - 12
    block = cell * tall / wide + 0.62 * cell + 34
    height = 60 + rows * block
    figure = Figure((plot.WIDTH / plot.DPI, height / plot.DPI), dpi=plot.DPI, facecolor="white")
    FigureCanvasAgg(figure)
    plot.title(figure, title, said)
    values = np.concatenate([b.spectrum.ravel() for b in shown if b.spectrum is not None])
    low, high = np.percentile(values, (2, 99.8))
    for index, each in enumerate(shown):
        left = 14 + index % columns * (cell + 8)
        top = 56 + index // columns * block
        axes = _box(figure, left, top + 18, cell, cell * tall / wide)
        axes.imshow(each.picture)
        axes.set_title(
            plot.cut(each.title, 29),
            fontsize=8,
            color=plot.INK,
            loc="left",
            pad=3,
            parse_math=False,
        )
        if each.spectrum is not None:
            side = 0.58 * cell
            axes = _box(figure, left, top + 22 + cell * tall / wide, side, side)
            axes.imshow(each.spectrum, cmap="magma", vmin=low, vmax=high, interpolation="nearest")
    return figure


def _box(figure: Figure, left: float, top: float, width: float, height: float) -> Any:
    """Bare axes at a place in pixels from the top left."""
    total = figure.get_size_inches()[1] * plot.DPI
    place = (left / plot.WIDTH, 1 - (top + height) / total, width / plot.WIDTH, height / total)
    axes = figure.add_axes(place)
    axes.set_axis_off()
    return axes
