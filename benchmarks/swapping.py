"""A checkerboard taken out of a trained net, and what that cost: `python -m benchmarks.swapping`.

The net is the shipped U-Net with transposed convolutions on the drawn scenes of `shapes`. Its
kernels are levelled (`upzoo.correct`), and that copy is distilled on the old net's own outputs for
training scenes, without labels (`upzoo.distil`). Or its operators are replaced by another
(`upzoo.swap`), and the copy learns from the old net, from the corrected and distilled one, or from
labels as in training. Scores are those of the test scenes; nothing is chosen by them.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import upzoo
from data.shapes import Shapes
from upzoo import zoo
from upzoo.metrics.segmentation import confusion_matrix, mean_iou

NET = "unet_transposed_conv.shapes"
STEPS, LEARN, BATCH, LR = 300, 400, 4, 1e-3
LABELLED, LABEL_BATCH, LABEL_LR = 2000, 8, 4e-3  # all scenes of the training, half of its rate
TESTED = 400
HERE = Path(__file__).parent
RECORD, FIGURE = HERE / "results" / "swapping.json", HERE.parent / "docs/figures/swapping.png"
SIZE, ZOOM = (64, 64), 2.0  # of the scenes that it was trained on
COLUMNS = 4  # of the figure
SHOWN, CUT = 0, slice(8, 56)  # a test scene, and the part of it that is drawn


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operator", default="resize_conv")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--json", type=Path, default=RECORD)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    given = parser.parse_args()
    torch.manual_seed(0)
    net, _ = zoo.read(NET)
    net = net.eval()
    images, masks = scenes("test", TESTED)
    all_scenes = scenes("train", LABELLED)
    learn = all_scenes[0][:LEARN]
    started = time.process_time()
    fixed, changes = upzoo.correct(net, example=images[:2])
    swapped, swaps = upzoo.swap(net, given.operator, example=learn[:8])
    frozen = [c.name for c in changes if c.skipped is None]
    batches = learn.split(BATCH)
    steps = given.steps
    better, of_corrected = upzoo.distil(fixed, net, batches, steps, frozen=frozen, lr=LR)
    with_grid, of_old = upzoo.distil(swapped, net, batches, steps, lr=LR)
    without_grid, of_better = upzoo.distil(swapped, better, batches, steps, lr=LR)
    nets = {
        "as it was": net,
        "as it was, trained on labels": trained(net, *all_scenes, steps),
        "corrected": fixed,
        "corrected, distilled": better,
        "swapped": swapped,
        "swapped, distilled from the old net": with_grid,
        "swapped, distilled from the corrected one": without_grid,
        "swapped, trained on labels": trained(swapped, *all_scenes, steps),
    }
    rows = {name: measured(each, net, images, masks) for name, each in nets.items()}
    result = {
        "net": NET,
        "operator": given.operator,
        "steps": given.steps,
        "batch": BATCH,
        "learning_rate": LR,
        "training_scenes": LEARN,
        "labels": {"scenes": LABELLED, "batch": LABEL_BATCH, "learning_rate": LABEL_LR},
        "test_scenes": len(images),
        "start": [s.start for s in swaps.replaced],
        "start_error": [s.error for s in swaps.replaced],
        "distilled": {
            "corrected": of_corrected._asdict(),
            "swapped, from the old net": of_old._asdict(),
            "swapped, from the corrected one": of_better._asdict(),
        },
        "nets": rows,
        "processor_seconds": time.process_time() - started,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    print(json.dumps(result, indent=2))
    given.json.write_text(json.dumps(result, indent=2) + "\n")
    draw(nets, rows, images[SHOWN : SHOWN + 1], given.figure)


def scenes(split: str, count: int) -> tuple[Tensor, Tensor]:
    """Images (N, 3, H, W), scaled as in training, and masks (N, H, W)."""
    data = Shapes(size=SIZE, zoom=ZOOM)
    raw = data.raw(split)
    pairs = [raw[index] for index in range(count)]
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (data.mean, data.std))
    images = torch.stack([(image.float() / 255 - mean) / std for image, _ in pairs])
    return images, torch.stack([mask.long() for _, mask in pairs])


def trained(net: nn.Module, images: Tensor, masks: Tensor, steps: int) -> nn.Module:
    """A copy after some steps on labels: loss, weights of the classes and flips of the training."""
    net = copy.deepcopy(net).train()
    weights = Shapes(size=SIZE, zoom=ZOOM).median_frequency_weights()
    solver = torch.optim.AdamW(net.parameters(), LABEL_LR, weight_decay=0)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(solver, steps)
    drawn = torch.Generator().manual_seed(0)
    for _ in range(steps):
        chosen = torch.randint(len(images), (LABEL_BATCH,), generator=drawn)
        x, target = images[chosen], masks[chosen]
        if torch.rand((), generator=drawn) < 0.5:
            x, target = x.flip(-1), target.flip(-1)
        solver.zero_grad()
        F.cross_entropy(net(x), target, weights).backward()
        solver.step()
        rate.step()
    return net.eval()


@torch.no_grad()
def measured(net: nn.Module, old: nn.Module, images: Tensor, masks: Tensor) -> dict[str, float]:
    """Score, checkerboard, and how far the output is from the old net's."""
    counts: Any = 0
    moved = power = same = 0.0
    for x, target in zip(images.split(20), masks.split(20), strict=True):
        before, after = old(x), net(x)
        counts = counts + confusion_matrix(after.argmax(1), target, after.shape[1])
        moved += (after - before).square().sum().item()
        power += before.square().sum().item()
        same += (after.argmax(1) == before.argmax(1)).float().sum().item()
    report = upzoo.audit(net, images[:4])
    return {
        "miou": mean_iou(counts).item(),
        "checkerboard_db": report.db,
        "contrast": max(report.contrast.values()),
        "relative_error": (moved / power) ** 0.5,
        "same_labels": same / masks.numel(),
    }


@torch.no_grad()
def draw(
    nets: dict[str, nn.Module], rows: dict[str, dict[str, float]], x: Tensor, path: Path
) -> None:
    """What each net makes of one scene: its liveliest channel, all on one scale."""
    import matplotlib.pyplot as plt

    logits = {name: net(x)[0] for name, net in nets.items()}
    first = logits["as it was"]
    channel = int(first.flatten(1).std(1).argmax())
    low, high = first[channel].min().item(), first[channel].max().item()
    rows_of = math.ceil(len(nets) / COLUMNS)
    figure, axes = plt.subplots(rows_of, COLUMNS, figsize=(2.5 * COLUMNS, 3.2 * rows_of))
    for ax in axes.flat[len(nets) :]:
        ax.set_axis_off()
    for ax, (name, y) in zip(axes.flat, logits.items(), strict=False):
        ax.imshow(y[channel, CUT, CUT], cmap="gray", vmin=low, vmax=high, interpolation="nearest")
        ax.set(xticks=[], yticks=[])
        ax.set_title(name.replace(", ", ",\n"), fontsize=9)
        row = rows[name]
        ax.set_xlabel(
            f"{row['checkerboard_db']:.0f} dB, mIoU {100 * row['miou']:.1f} %", fontsize=9
        )
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.05, top=0.93, wspace=0.05)
    figure.savefig(path, dpi=100, metadata={"Software": None})


if __name__ == "__main__":
    main()
