"""What the end of a super-resolution net costs: ESPCN with each operator, for a frame of 1080p.

python -m benchmarks.super_resolution PATH     # writes the record and docs/super_resolution.md
python -m benchmarks.super_resolution --page   # the page alone, from the record

PATH holds Set5/ and Set14/, for the scores of bicubic interpolation. Seconds are processor time of
one thread, which other work on the machine changes little; ratios are of sides that ran in turn in
one process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.timing import in_turn, ratio, spread, write
from comparison.pages import inserted, table
from data.t91 import T91
from runs import console
from upzoo.bicubic import enlarge
from upzoo.espcn import ESPCN
from upzoo.metrics.restoration import image_psnr, scored
from upzoo.upsampling import OPERATORS

RECORD = Path("benchmarks/results/super_resolution.json")
PAGE = Path("docs/super_resolution.md")
HEIGHT, WIDTH = 1080, 1920  # of the large image
ROUNDS = 3
#: Operators of which every scale is measured; of the others ×3 alone.
EVERY_SCALE = ("pixel_shuffle", "transposed_conv", "bilinear_init", "resize_conv", "dysample")
#: The net of experiment=espcn_t91.
RECIPE = {"widths": (64, 32), "activation": "relu", "gain": 0.1, "skip": True}
SEEDS = 5
#: Of bicubic interpolation, as papers since A+ (Timofte et al. 2014) give it.
PUBLISHED = {
    "Set5": {"2": 33.66, "3": 30.39, "4": 28.42},
    "Set14": {"2": 30.24, "3": 27.55, "4": 26.00},
}
WHITE = (235 / 255 - 0.5) / 0.25  # luma, as the net is given it


class BicubicFirst(nn.Module):
    """The layers of ESPCN, 5×5, 3×3, 3×3, on the image that bicubic interpolation enlarged.

    The same kernels as with `pixel_shuffle`, but that the last gives one value a pixel instead of
    scale²: how SRCNN (Dong et al. 2014) and VDSR enlarge.

    Args:
        scale: integer enlargement.
    """

    def __init__(self, scale: int):
        super().__init__()
        net = ESPCN(OPERATORS["pixel_shuffle"], scale, **RECIPE)  # type: ignore[arg-type]
        self.scale, self.body = scale, net.body
        self.last = nn.Conv2d(RECIPE["widths"][-1], 1, 3, padding=1)  # type: ignore[index]

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, 1, scale·H, scale·W)."""
        x = enlarge(x, self.scale)
        return x + self.last(self.body(x))


def fitting(scale: int) -> list[str]:
    """The operators that the net takes and that are measured at this scale."""
    names = [n for n, o in OPERATORS.items() if not (o.needs_switches or o.needs_guide)]
    if scale & (scale - 1):
        names.remove("pixel_transposed")  # it takes powers of two
    return [n for n in names if scale == 3 or n in EVERY_SCALE]


def ready(net: nn.Module, scale: int) -> tuple[nn.Module, Tensor]:
    """A net as it is used, and a frame."""
    x = torch.rand(1, 1, HEIGHT // scale, WIDTH // scale)
    layout = torch.channels_last
    return net.eval().to(memory_format=layout), x.contiguous(memory_format=layout)  # type: ignore[call-overload]


def flops(net: nn.Module, x: Tensor) -> int:
    """Multiplications and additions of convolutions and matrix products."""
    with FlopCounterMode(display=False) as counter:
        net(x)
    return counter.get_total_flops()


@torch.inference_mode()
def measure(scale: int) -> dict[str, Any]:
    """Seconds, FLOPs and parameters of each operator's net and of bicubic first, in one run."""
    nets = {
        name: ready(ESPCN(OPERATORS[name], scale, **RECIPE), scale)  # type: ignore[arg-type]
        for name in fitting(scale)
    }
    nets["bicubic first"] = ready(BicubicFirst(scale), scale)
    sides = {name: partial(net, x) for name, (net, x) in nets.items()}
    _, x = nets["pixel_shuffle"]
    sides["bicubic alone"] = partial(enlarge, x, scale)
    seconds = in_turn(sides, ROUNDS, clock=time.process_time)
    found = {
        name: {
            "seconds": spread(values),
            "over_pixel_shuffle": ratio(values, seconds["pixel_shuffle"]),
        }
        for name, values in seconds.items()
    }
    for name, (net, x) in nets.items():
        found[name]["flops"] = flops(net, x)
        found[name]["parameters"] = sum(p.numel() for p in net.parameters())
    return found


@torch.inference_mode()
def start(icnr: bool, seed: int) -> float:
    """How far a white picture varies, in levels of 8 bits, as an untrained net enlarges it.

    Highest minus lowest pixel, the border left out; bicubic interpolation gives 0.
    """
    torch.manual_seed(seed)
    net = ESPCN(partial(OPERATORS["pixel_shuffle"], icnr=icnr), 3, **RECIPE)  # type: ignore[arg-type]
    y = net.eval()(torch.full((1, 1, 32, 32), WHITE))[..., 24:-24, 24:-24]
    return float((y.max() - y.min()) * 0.25 * 255)


def bicubic(root: Path, test: str, scale: int) -> float:
    """Mean Y-PSNR in dB of bicubic interpolation on a test set, as super-resolution is scored."""
    pairs = T91(root=root, tests=[test], scale=scale, patch=8).split(test.lower())
    values = []
    for index in range(len(pairs)):
        pair = pairs[index]
        made, truth = enlarge(pair["image"][None], scale), pair["target"][None]
        sides = (scored(side / 255, scale) for side in (made, truth))
        values.append(float(image_psnr(*sides, 255.0)))
    return statistics.mean(values)


def anchors(root: Path) -> dict[str, dict[str, float]]:
    """Of bicubic interpolation: test set -> scale -> dB."""
    return {t: {str(s): bicubic(root, t, s) for s in (2, 3, 4)} for t in ("Set5", "Set14")}


def run(root: Path) -> dict[str, Any]:
    """Everything that is recorded."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    scales = {}
    for scale in (2, 3, 4):
        scales[str(scale)] = measure(scale)
        print(f"×{scale} measured", flush=True)
    levels = {str(icnr): [start(icnr, seed) for seed in range(SEEDS)] for icnr in (True, False)}
    setting = {"height": HEIGHT, "width": WIDTH, "threads": 1, "rounds": ROUNDS}
    return {
        "setting": setting,
        "bicubic": anchors(root),
        "scales": scales,
        "icnr_start_levels": levels,
    }


def parts(results: Mapping[str, Any]) -> dict[str, str]:
    """The generated parts of the page, by their markers."""
    at3 = results["scales"]["3"]
    names = sorted(
        (n for n in at3 if n in OPERATORS), key=lambda n: at3[n]["over_pixel_shuffle"]["median"]
    )
    rows = []
    for name in names:
        megaflops, parameters = at3[name]["flops"] / 1e6, at3[name]["parameters"]
        cells = [_ratio(at3[name]), f"{megaflops:,.0f}", f"{parameters:,}"]
        others = [
            f"{1e3 * results['scales'][s][name]['seconds']['median']:.0f}"
            if name in results["scales"][s]
            else "–"
            for s in ("2", "3", "4")
        ]
        rows.append((f"`{name}`", *others, *cells))
    head = (
        "operator",
        "×2, ms",
        "×3, ms",
        "×4, ms",
        "×3 over `pixel_shuffle`",
        "MFLOPs",
        "weights",
    )
    order = [
        (
            f"×{scale}",
            f"{1e3 * found['pixel_shuffle']['seconds']['median']:.0f}",
            f"{1e3 * found['bicubic first']['seconds']['median']:.0f}",
            _ratio(found["bicubic first"]),
            f"{found['bicubic first']['flops'] / found['pixel_shuffle']['flops']:.1f}",
            f"{1e3 * found['bicubic alone']['seconds']['median']:.0f}",
        )
        for scale, found in results["scales"].items()
    ]
    order_head = (
        "scale",
        "`pixel_shuffle` last, ms",
        "bicubic first, ms",
        "ratio",
        "ratio of FLOPs",
        "bicubic alone, ms",
    )
    levels = {k: statistics.mean(v) for k, v in results["icnr_start_levels"].items()}
    machine = results["machine"]
    return {
        "machine": f"Processor time of one thread of {machine['cpu']}, float32, channels-last, "
        f"torch {results['versions']['torch']}; medians of {results['setting']['rounds']} rounds, "
        "with the range of the ratios in brackets.",
        "bicubic": table(
            ("Y-PSNR, dB", "×2", "×3", "×4"),
            [
                (f"{name}, {what}", *(f"{values[s]:.2f}" for s in ("2", "3", "4")))
                for name, found in results["bicubic"].items()
                for what, values in (("published", PUBLISHED[name]), ("ours", found))
            ],
        ),
        "cost": table(head, rows),
        "order": table(order_head, order),
        "icnr start": f"Before training, a white picture enlarged ×3 varies by "
        f"{levels['False']:.1f} levels of 255 without ICNR and by {levels['True']:.1f} with it "
        f"(mean of {SEEDS} seeds).",
    }


def _ratio(found: Mapping[str, Any]) -> str:
    times = found["over_pixel_shuffle"]
    return f"{times['median']:.2f} ({times['min']:.2f} … {times['max']:.2f})"


def main() -> None:
    """Measure, unless the page alone is asked for, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, help="folder that holds Set5/ and Set14/")
    parser.add_argument("--page", action="store_true", help="from the record, without measuring")
    given = parser.parse_args()
    if not given.page:
        if given.data is None:
            parser.error("give the folder that holds Set5/ and Set14/, or --page")
        write(RECORD, run(given.data))
    PAGE.write_text(inserted(PAGE.read_text(), parts(json.loads(RECORD.read_text()))))
    print(f"written: {PAGE}")


if __name__ == "__main__":
    with console.user_errors():
        main()
