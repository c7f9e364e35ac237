"""How fast whole nets train and run: ours beside the same nets of others, eager and compiled.

python -m benchmarks.models            # writes benchmarks/results/models_<machine>.json
python -m benchmarks.models --only unet dcgan   # measures these and merges them into it
python -m benchmarks.models --device cuda       # on a GPU, with batches eight times as large
python -m benchmarks.models --report   # brings the tables of docs/training.md up to date

All sides of a comparison run in one process, round by round in turn after a warm-up, in the
precision that `trainer.precision=auto` takes here. Ours is channels-last, as in training; a peer
may be either. Beside the eager ones run compiled ones of both. The ratios are medians over the
rounds with their 95 % interval. Peers have our convolutions, one by one; MONAI and
segmentation_models_pytorch come with `pip install -e ".[peers]"`, and what is missing is left out.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks import dcgan_example, devices, gpu_report
from benchmarks.devices import CPU
from benchmarks.memory import peak_bytes
from benchmarks.peers import installed
from benchmarks.plain_unet import PlainUNet
from benchmarks.scoring import RESULTS
from benchmarks.sides import DTYPES, Adversaries, Side
from benchmarks.step import NETS, Segmented
from benchmarks.timing import here, in_turn, interval, ratio, write
from comparison.pages import inserted, table
from tasks.precision import resolve_precision
from upzoo.checkpoint import build
from upzoo.dcgan import DCGAN
from upzoo.dilated_fcn import DilatedFCN
from upzoo.unet import UNet
from upzoo.upsampling import OPERATORS

PAGE = Path("docs/training.md")
CLASSES = 11
#: Widths of the common U-Net of 31 million parameters.
COMMON = (64, 128, 256, 512, 1024)
#: Convolutions of the decoder of segmentation_models_pytorch's Unet, from fine to coarse.
SMP = [[16, 16], [32, 32], [64, 64], [128, 128], [256, 256]]
LAST, FIRST = torch.channels_last, torch.contiguous_format
PARTS = ("train", "infer")
#: Ends the name of a compiled side.
COMPILED = ", compiled"

Make = Callable[[torch.dtype, torch.memory_format], Any]


def segmenters(
    shape: tuple[int, ...], device: torch.device, **nets: Callable[[], nn.Module]
) -> dict[str, Make]:
    """Sides from nets, by name; the first is ours."""
    image = torch.randn(devices.batch(shape, device), device=device)
    return {
        name.replace("_", " "): lambda dtype, layout, net=net: Side(net(), image, dtype, layout)
        for name, net in nets.items()
    }


def common_unet(
    shape: tuple[int, ...] = (1, 3, 176, 240), device: torch.device = CPU
) -> dict[str, Make]:
    """The 31 M-parameter U-Net."""
    transposed = partial(OPERATORS["transposed_conv"], kernel=2)
    nets: dict[str, Callable[[], nn.Module]] = {
        "ours": lambda: UNet(transposed, CLASSES, widths=COMMON),
        "plain_PyTorch": lambda: PlainUNet(COMMON, CLASSES),
    }
    if installed("monai"):
        nets["MONAI_BasicUNet"] = monai_unet
    return segmenters(shape, device, **nets)


def monai_unet() -> nn.Module:
    """MONAI's BasicUNet, its last step up as all others: it does not halve the channels there."""
    from monai.networks.nets.basic_unet import BasicUNet, UpCat

    last, options = COMMON[0], {"act": "relu", "norm": "batch", "upsample": "deconv"}
    net = BasicUNet(2, 3, CLASSES, features=(*COMMON, last), **options)
    net.upcat_1 = UpCat(2, COMMON[1], last, last, bias=True, dropout=0.0, **options)
    return net


def resnet_unet(
    shape: tuple[int, ...] = (2, 3, 192, 256), device: torch.device = CPU
) -> dict[str, Make]:
    """U-Net on a ResNet-34 as segmentation_models_pytorch builds it, with a 1×1 head on both."""
    nearest = partial(OPERATORS["interpolate"], mode="nearest")
    options: dict[str, Any] = {"backbone": "resnet34", "decoder_widths": SMP, "keep": True}
    nets: dict[str, Callable[[], nn.Module]] = {"ours": lambda: UNet(nearest, CLASSES, **options)}
    if installed("segmentation_models_pytorch"):
        import segmentation_models_pytorch as smp

        def peer() -> nn.Module:
            net = smp.Unet("resnet34", encoder_weights=None, classes=CLASSES)
            net.segmentation_head = smp.base.SegmentationHead(SMP[0][1], CLASSES, kernel_size=1)
            return net

        nets["smp_Unet"] = peer
    return segmenters(shape, device, **nets)


def dilated_fcn(
    shape: tuple[int, ...] = (1, 3, 192, 256), device: torch.device = CPU
) -> dict[str, Make]:
    """The fcn_resnet50 of torchvision without its auxiliary classifier."""
    from torchvision.models.segmentation import fcn_resnet50

    options: dict[str, Any] = {"weights": None, "weights_backbone": None, "num_classes": CLASSES}
    return segmenters(
        shape,
        device,
        ours=lambda: DilatedFCN(OPERATORS["interpolate"], CLASSES).train(),
        torchvision_fcn_resnet50=lambda: fcn_resnet50(**options),
    )


def dcgan(shape: tuple[int, ...] = (64, 3, 64, 64), device: torch.device = CPU) -> dict[str, Make]:
    """DCGAN 64×64 of width 64."""
    batch = torch.randn(devices.batch(shape, device), device=device)

    def ours(dtype: torch.dtype, layout: torch.memory_format) -> Adversaries:
        net = DCGAN(OPERATORS["transposed_conv"], 3, (64, 64))
        return Adversaries((net.generator, net.discriminator), batch, dtype, layout, skips=True)

    def example(dtype: torch.dtype, layout: torch.memory_format) -> Adversaries:
        made = nn.Sequential(nn.Unflatten(1, (-1, 1, 1)), dcgan_example.generator(3))
        nets = (made, dcgan_example.discriminator(3))
        return Adversaries(nets, batch, dtype, layout, skips=False)

    return {"ours": ours, "PyTorch's example": example}


#: Pads by replication, whose gradient torch 2.15 does not compile channels-last.
NOT_COMPILED = ("MONAI BasicUNet",)
#: Name -> the sides, what it is called in the table, whether it is compiled too, images in a batch.
COMPARISONS: Mapping[str, tuple[Callable[..., dict[str, Make]], str, bool, int]] = {
    "unet": (common_unet, "U-Net of 31 M", True, 1),
    "unet_resnet34": (resnet_unet, "U-Net on ResNet-34", False, 2),
    "dilated_fcn": (dilated_fcn, "FCN on ResNet-50", False, 1),
    "dcgan": (dcgan, "DCGAN 64×64", True, 64),
}


def sides_of(makes: Mapping[str, Make], dtype: torch.dtype, compiled: bool) -> dict[str, Any]:
    """Ours channels-last, each peer in both formats; compiled ones of all, channels-last."""
    sides = {}
    for name, make in makes.items():
        sides[name] = make(dtype, LAST)
        if name != "ours":
            sides[f"{name}, channels-first"] = make(dtype, FIRST)
        if compiled and name not in NOT_COMPILED:
            sides[name + COMPILED] = make(dtype, LAST)
            sides[name + COMPILED].compile()
    return sides


def compare(
    sides: Mapping[str, Any],
    images: int,
    rounds: int,
    device: torch.device = CPU,
    budget: float | None = None,
) -> dict[str, Any]:
    """Images per second of both passes, our speed over each side's, and memory.

    A compiled side is compared with our compiled one, if that runs.
    """
    found: dict[str, Any] = {}
    for part in PARTS:
        calls = {name: getattr(side, part) for name, side in sides.items()}
        if device != CPU:
            calls = {name: call for name, call in calls.items() if runs(name, call)}
        seconds = in_turn(calls, rounds, **devices.timed(device, budget, least=0.1))
        found[part] = {}
        for name, times in seconds.items():
            ours = seconds["ours"]
            if name.endswith(COMPILED):
                ours = seconds.get(f"ours{COMPILED}", ours)
            found[part][name] = {
                "images_per_second": images / statistics.median(times),
                "our_speed_over_it": compared(times, ours),
                "peak_bytes": peak_bytes(calls[name], device),
            }
        print(f"  {part}: {', '.join(_line(*item) for item in found[part].items())}", flush=True)
    return found


def runs(name: str, call: Callable[[], None]) -> bool:
    """Call a side once, so that a warm-up does not take its compilation for the time of a call.

    Returns:
        Whether it ran: what torch's compiler for GPUs fails on is left out with a line.

    Raises:
        RuntimeError: of a side that is not compiled.
    """
    try:
        call()
    except RuntimeError as error:
        if not name.endswith(COMPILED):
            raise
        print(f"  left out, {name}: {str(error).strip().splitlines()[0]}", flush=True)
        return False
    return True


def compared(theirs: list[float], ours: list[float]) -> dict[str, float]:
    """How many times faster ours is: median of the rounds' ratios, its interval, their range."""
    ratios = [a / b for a, b in zip(theirs, ours, strict=True)]
    return {**ratio(theirs, ours), **interval(ratios)}


def _line(name: str, values: Mapping[str, Any]) -> str:
    speed = values["our_speed_over_it"]["median"]
    return f"{name} {values['images_per_second']:.1f} img/s (ours ×{speed:.2f})"


def by_precision(
    rounds: int, device: torch.device = CPU, budget: float | None = None
) -> dict[str, Any]:
    """How many times faster than float32 bfloat16 trains each recipe's net, both channels-last."""
    found = {}
    for name, (kind, spec, shape) in NETS.items():
        if kind is not Segmented:
            continue
        image = torch.randn(devices.batch(shape, device), device=device)
        net = partial(build, {**spec, "num_classes": CLASSES, "in_channels": shape[1]})
        sides = {p: Side(net(), image, dtype, LAST).train for p, dtype in DTYPES.items()}
        seconds = in_turn(sides, rounds, **devices.timed(device, budget, least=0.1))
        found[name] = compared(seconds["32-true"], seconds["bf16-mixed"])
        print(f"{name}: bf16-mixed ×{found[name]['median']:.2f} of float32", flush=True)
    ours = dcgan(device=device)["ours"]
    sides = {p: ours(dtype, LAST).train for p, dtype in DTYPES.items()}
    seconds = in_turn(sides, rounds, **devices.timed(device, budget))
    return {**found, "DCGAN 64×64": compared(seconds["32-true"], seconds["bf16-mixed"])}


def verdict(auto: str, speed: Mapping[str, float]) -> str:
    """Whether "auto" takes the faster precision; "equal" where the interval holds 1."""
    if speed["low"] <= 1 <= speed["high"]:
        return "equal"
    return "yes" if (speed["median"] > 1) == (auto == "bf16-mixed") else "**no**"


def report(record: Mapping[str, Any]) -> dict[str, str]:
    """The tables of `docs/training.md`, by their markers: the CPU's, and a GPU's if there are."""
    machine, found = record["machine"], tables(record)
    where = f"{machine['cpu']}, {record['threads']} threads, torch {record['versions']['torch']}"
    peers = f"{where}:\n\n{found['peers']}"
    return {**found, "peers": peers, "GPU": gpu_report.training(tables)}


def tables(record: Mapping[str, Any]) -> dict[str, str]:
    """The tables of one machine, by name."""
    rows = []
    for name, (_, title, _, _) in COMPARISONS.items():
        found = record["comparisons"].get(name)
        for side in found["train"] if found else ():
            if not side.startswith("ours"):
                speeds = [found[part][side]["our_speed_over_it"] for part in PARTS]
                rows.append((title, side, *map(cell, speeds)))
    peers = table(("net", "peer", "training", "inference"), rows)
    precision = [
        (name, cell(speed), verdict(record["precision"], speed))
        for name, speed in record["bf16_over_float32"].items()
    ]
    head = ("net", "bf16 over float32, training", f"auto ({record['precision']}) is right")
    return {"peers": peers, "precision": table(head, precision)}


def cell(speed: Mapping[str, float]) -> str:
    """1.19× (1.04 to 1.68): the median and its interval, in bold where that is below 1."""
    text = f"{speed['median']:.2f}× ({speed['low']:.2f} to {speed['high']:.2f})"
    return f"**{text}**" if speed["high"] < 1 else text


def main() -> None:
    """Measure and write, or report what was written."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.models", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="at least 6 for an interval of 95 %%")
    parser.add_argument("--only", nargs="+", choices=(*COMPARISONS, "precision"), default=())
    parser.add_argument("--compile", action="store_true", help="compiled ones of all, minutes")
    parser.add_argument("--report", action="store_true", help="tables of the page; no measuring")
    parser.add_argument("--out", type=Path, help="the machine's record unless given")
    devices.add_options(parser)
    options = parser.parse_args()
    device = CPU if options.report else devices.asked(parser, options)
    out = options.out or RESULTS / f"models_{devices.label(here()['machine'], device)}.json"
    if options.report:
        PAGE.write_text(inserted(PAGE.read_text(), report(json.loads(out.read_text()))))
        print(f"written: {PAGE}")
        return
    torch.manual_seed(0)
    precision = str(resolve_precision("auto", device.type))
    alike = {"precision": precision, "threads": torch.get_num_threads(), **here()}
    alike |= devices.arithmetic(device)
    record = {**alike, "comparisons": {}, "bf16_over_float32": {}}
    if options.only and out.exists():
        old = json.loads(out.read_text())
        if any(old.get(key) != value for key, value in alike.items()):
            parser.error(
                f"{out} is of another machine or other versions: measure all, or give --out"
            )
        record = old
    for name, (makes, _, compiled, images) in COMPARISONS.items():
        if name in (options.only or COMPARISONS):
            print(name, flush=True)
            there = makes(device=device)
            sides = sides_of(there, DTYPES[precision], compiled or options.compile)
            record["comparisons"][name] = compare(
                sides, images * devices.times(device), options.rounds, device, options.seconds
            )
            write(out, record)  # a later one may fail
    if not options.only or "precision" in options.only:
        record["bf16_over_float32"] = by_precision(options.rounds, device, options.seconds)
    write(out, record)


if __name__ == "__main__":
    main()
