"""How fast whole nets train and run: ours, the same written plainly, and other libraries'.

python -m benchmarks.models            # writes benchmarks/results/models.json, about 10 minutes
python -m benchmarks.models --only unet

Peers (MONAI, segmentation_models_pytorch) come with `pip install -e ".[peers]"`; what is not
installed is left out. Each comparison runs its sides in turn in one process; ratios are medians of
the ratios round by round. Sides marked "same" have our parameter count but for biases.
"""

import argparse
import statistics
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import dcgan_example
from benchmarks.memory import peak_bytes
from benchmarks.peers import installed
from benchmarks.plain_unet import PlainUNet
from benchmarks.timing import in_turn, ratio, write
from tasks.adversarial import frozen
from tasks.precision import resolve_precision
from upzoo.dcgan import DCGAN
from upzoo.dilated_fcn import DilatedFCN
from upzoo.unet import UNet
from upzoo.upsampling import OPERATORS

CLASSES = 11
#: Widths of the common U-Net of 31 million parameters.
COMMON = (64, 128, 256, 512, 1024)
#: Convolutions of the decoder of segmentation_models_pytorch's Unet, from fine to coarse.
SMP = [[16, 16], [32, 32], [64, 64], [128, 128], [256, 256]]

DTYPE = torch.bfloat16 if "bf16" in str(resolve_precision("auto")) else torch.float32


class Side:
    """A net with its batch, in one precision and memory format, ready to be timed."""

    def __init__(
        self,
        net: nn.Module,
        image: Tensor,
        *,
        fast: bool,
        out: Callable[[Any], Tensor] = lambda y: y,
    ):
        layout = torch.channels_last if fast else torch.contiguous_format
        self.dtype = DTYPE if fast else torch.float32
        self.net = net.to(memory_format=layout)
        self.image = image.contiguous(memory_format=layout)
        self.mask = torch.zeros(len(image), *image.shape[2:], dtype=torch.long)
        self.out = out
        self.optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4)

    def forward(self) -> Tensor:
        """Logits in the side's precision."""
        with torch.autocast("cpu", dtype=self.dtype, enabled=self.dtype != torch.float32):
            return self.out(self.net(self.image))

    def train(self) -> None:
        """One training step."""
        self.net.train()
        self.optimizer.zero_grad()
        F.cross_entropy(self.forward().float(), self.mask).backward()
        self.optimizer.step()

    def infer(self) -> None:
        """One forward pass."""
        self.net.eval()
        with torch.inference_mode():
            self.forward()


def common_unet() -> dict[str, Side]:
    """The 31 M-parameter U-Net on 4×3×176×240."""
    image = torch.randn(4, 3, 176, 240)
    transposed = partial(OPERATORS["transposed_conv"], kernel=2)
    sides = {
        "ours": Side(UNet(transposed, CLASSES, widths=COMMON), image, fast=True),
        "plain, fp32 channels-first": Side(PlainUNet(COMMON, CLASSES), image, fast=False),
    }
    if installed("monai"):
        from monai.networks.nets import BasicUNet

        options = {"act": "relu", "norm": "batch", "upsample": "deconv", "features": (*COMMON, 64)}
        net = BasicUNet(2, 3, CLASSES, **options)
        sides["MONAI BasicUNet, same, our precision"] = Side(net, image, fast=True)
    return sides


def resnet_unet() -> dict[str, Side]:
    """U-Net on a ResNet-34 as segmentation_models_pytorch builds it, on 4×3×192×256."""
    image = torch.randn(4, 3, 192, 256)
    nearest = partial(OPERATORS["interpolate"], mode="nearest")
    ours = UNet(nearest, CLASSES, backbone="resnet34", decoder_widths=SMP, keep=True)
    sides = {"ours": Side(ours, image, fast=True)}
    if installed("segmentation_models_pytorch"):
        import segmentation_models_pytorch as smp

        for name, fast in (("our precision", True), ("fp32 channels-first", False)):
            net = smp.Unet("resnet34", encoder_weights=None, classes=CLASSES)
            sides[f"smp Unet, same, {name}"] = Side(net, image, fast=fast)
    return sides


def dilated_fcn() -> dict[str, Side]:
    """The fcn_resnet50 of torchvision without its auxiliary classifier, on 2×3×192×256."""
    from torchvision.models.segmentation import fcn_resnet50

    image = torch.randn(2, 3, 192, 256)
    sides = {"ours": Side(DilatedFCN(OPERATORS["interpolate"], CLASSES), image, fast=True)}
    for name, fast in (("our precision", True), ("fp32 channels-first", False)):
        net = fcn_resnet50(weights=None, weights_backbone=None, num_classes=CLASSES)
        sides[f"torchvision fcn_resnet50, same, {name}"] = Side(
            net, image, fast=fast, out=lambda y: y["out"]
        )
    return sides


class Adversaries:
    """One iteration of DCGAN's training on a batch of noise for images, 64×64, batch 64."""

    def __init__(self, made: Callable[[Tensor], Tensor], judge: nn.Module, *, fast: bool):
        layout = torch.channels_last if fast else torch.contiguous_format
        self.dtype = DTYPE if fast else torch.float32
        self.made, self.judge = made, judge
        self.real = torch.randn(64, 3, 64, 64).contiguous(memory_format=layout)
        nets: list[Any] = [made, judge]
        for net in nets:
            net.to(memory_format=layout)
        self.optimizers = [torch.optim.Adam(n.parameters(), 2e-4, (0.5, 0.999)) for n in nets]
        self.fast = fast

    def train(self) -> None:
        """A step of each net, as the example does it or as `tasks.generation`."""
        generator, judge = self.optimizers
        real, fake = torch.ones(64), torch.zeros(64)
        loss = F.binary_cross_entropy_with_logits
        with torch.autocast("cpu", dtype=self.dtype, enabled=self.dtype != torch.float32):
            images = self.made(torch.randn(64, 100))
            judge.zero_grad()
            on_real, on_fake = self.judge(self.real), self.judge(images.detach())
        (loss(on_real.float(), real) + loss(on_fake.float(), fake)).backward()
        judge.step()
        generator.zero_grad()
        if self.fast:  # the discriminator's own gradient is not needed here
            with frozen(self.judge), torch.autocast("cpu", self.dtype, self.dtype != torch.float32):
                logits = self.judge(images)
        else:
            logits = self.judge(images)
        loss(logits.float(), real).backward()
        generator.step()

    def infer(self) -> None:
        """64 images."""
        with torch.inference_mode():
            self.made(torch.randn(64, 100))


def dcgan(compiled: bool) -> dict[str, Adversaries]:
    """DCGAN 64×64 of width 64, three channels, batch 64."""

    def ours() -> Adversaries:
        net = DCGAN(OPERATORS["transposed_conv"], 3, (64, 64))
        return Adversaries(net.generator, net.discriminator, fast=True)

    example = dcgan_example.generator(3)
    noise = nn.Unflatten(1, (-1, 1, 1))
    sides = {
        "ours": ours(),
        "PyTorch's example, same, fp32 channels-first": Adversaries(
            nn.Sequential(noise, example), dcgan_example.discriminator(3), fast=False
        ),
    }
    if compiled:
        sides["ours, compiled"] = ours()
        for net in (sides["ours, compiled"].made, sides["ours, compiled"].judge):
            net.compile()
    return sides


def compare(sides: Mapping[str, Any], images: int, rounds: int) -> dict[str, Any]:
    """Images per second of both passes, our speed over each side's, memory and parameters."""
    found: dict[str, Any] = {}
    for part in ("train", "infer"):
        calls = {name: getattr(side, part) for name, side in sides.items()}
        seconds = in_turn(calls, rounds, least=0.2)
        ours = seconds["ours"]
        found[part] = {
            name: {
                "images_per_second": images / statistics.median(times),
                "our_speed_over_it": ratio(times, ours),
                "peak_bytes": peak_bytes(calls[name]),
            }
            for name, times in seconds.items()
        }
        print(
            f"  {part}: " + ", ".join(_line(name, v) for name, v in found[part].items()), flush=True
        )
    return found


def _line(name: str, values: Mapping[str, Any]) -> str:
    speed = values["our_speed_over_it"]["median"]
    return f"{name} {values['images_per_second']:.1f} img/s (ours ×{speed:.2f})"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="comparisons whose name begins so")
    parser.add_argument("--compile", action="store_true", help="compiled DCGAN too, minutes")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/models.json"))
    options = parser.parse_args()
    torch.manual_seed(0)
    comparisons: dict[str, tuple[Callable[[], Mapping[str, Any]], int]] = {
        "unet": (common_unet, 4),
        "unet_resnet34": (resnet_unet, 4),
        "dilated_fcn": (dilated_fcn, 2),
        "dcgan": (partial(dcgan, options.compile), 64),
    }
    results: dict[str, Any] = {"precision": str(DTYPE), "threads": torch.get_num_threads()}
    for name, (sides, images) in comparisons.items():
        if name.startswith(options.only):
            print(name, flush=True)
            results[name] = compare(sides(), images, options.rounds)
    write(options.out, results)


if __name__ == "__main__":
    main()
