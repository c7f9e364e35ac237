"""PyTorch's DCGAN example in plain form, for the same time as ours, scored by the same measures.

python -m benchmarks.dcgan_example --data mnist --root PATH --minutes 15
    # writes benchmarks/results/dcgan_example_mnist.json and docs/figures/dcgan_example_mnist.png

Nets, losses and optimiser are those of the example (64×64, width 64, batches of 64, Adam 2e-4 with
β1 = 0.5), in float32 and channels first, as anybody would copy them.
"""

import argparse
import itertools
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.transforms.v2.functional import to_pil_image

from benchmarks.timing import write
from data.images import Images
from data.mnist import MNIST
from panels.samples import sample_grid
from runs import console
from upzoo.digits import load_features
from upzoo.metrics.generation import GenerationScores

LATENT, WIDTH, SIDE, BATCH = 100, 64, 64, 64
DATA = {
    "mnist": lambda root: MNIST(root=root, size=(SIDE, SIDE), batch_size=BATCH),
    "emoji": lambda root: Images(root=root, name="emoji", size=(SIDE, SIDE), batch_size=BATCH),
}


def generator(channels: int) -> nn.Sequential:
    """netG: five transposed convolutions of kernel 4."""
    widths = [8 * WIDTH, 4 * WIDTH, 2 * WIDTH, WIDTH]
    layers: list[nn.Module] = [nn.ConvTranspose2d(LATENT, widths[0], 4, 1, 0, bias=False)]
    for a, b in itertools.pairwise([*widths, channels]):
        layers += [nn.BatchNorm2d(a), nn.ReLU(True), nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False)]
    return nn.Sequential(*layers, nn.Tanh())


def discriminator(channels: int) -> nn.Sequential:
    """netD: its mirror image, with leaky rectifiers."""
    layers: list[nn.Module] = []
    for i, (a, b) in enumerate(
        itertools.pairwise([channels, WIDTH, 2 * WIDTH, 4 * WIDTH, 8 * WIDTH])
    ):
        layers += [nn.Conv2d(a, b, 4, 2, 1, bias=False)]
        layers += [nn.BatchNorm2d(b)] if i else []
        layers += [nn.LeakyReLU(0.2, inplace=True)]
    return nn.Sequential(*layers, nn.Conv2d(8 * WIDTH, 1, 4, 1, 0, bias=False), nn.Flatten(0))


def start(net: nn.Module) -> None:
    """The example's `weights_init`."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)


class Pair:
    """Generator and discriminator with their optimisers, as the example starts and trains them.

    Args:
        channels: of the images, (B, channels, 64, 64) in −1 … 1.
    """

    def __init__(self, channels: int) -> None:
        self.made, self.judge = generator(channels), discriminator(channels)
        self.optimizers = []
        for net in (self.made, self.judge):
            start(net)
            self.optimizers.append(torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)))
        self.loss = nn.BCEWithLogitsLoss()

    def step(self, images: Tensor) -> None:
        """A step of the discriminator on real and generated images, then one of the generator."""
        real, loss = images.contiguous(), self.loss
        ones, zeros = torch.ones(len(real)), torch.zeros(len(real))
        self.judge.zero_grad()
        loss(self.judge(real), ones).backward()
        fake = self.made(torch.randn(len(real), LATENT, 1, 1))
        loss(self.judge(fake.detach()), zeros).backward()
        self.optimizers[1].step()
        self.made.zero_grad()
        loss(self.judge(fake), ones).backward()
        self.optimizers[0].step()


def train(data: Any, seconds: float) -> tuple[nn.Module, dict[str, float]]:
    """Train for so many seconds of the processor, the reading of data among them.

    By thread it is the time of the clock on a quiet machine, and repeats on a busy one.
    """
    pair, threads = Pair(data.in_channels), torch.get_num_threads()
    began, images, epochs = time.process_time(), 0, 0
    while True:
        for batch in data.train_dataloader():
            pair.step(batch["image"])
            images += len(batch["image"])
            spent = (time.process_time() - began) / threads
            if spent > seconds:
                counts = {"epochs": epochs + 1, "images": images, "seconds": spent}
                return pair.made.eval(), counts | {"images_per_second": images / spent}
        epochs += 1


@torch.no_grad()
def score(
    made: nn.Module, data: Any, features: nn.Module | None, split: str = "test"
) -> dict[str, float]:
    """As many generated images as the split has, against it."""
    scores, noise = GenerationScores(features), torch.Generator().manual_seed(0)
    for batch in data.eval_dataloader(split):
        z = torch.randn(len(batch["image"]), LATENT, 1, 1, generator=noise)
        scores.update((batch["image"] + 1) / 2, real=True)
        scores.update((made(z) + 1) / 2, real=False)
    return {name: value.item() for name, value in scores.compute().items()}


def main() -> None:
    """Train, score, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=DATA, required=True)
    parser.add_argument("--root", required=True)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    data = DATA[options.data](options.root)
    data.setup()
    made, counts = train(data, 60 * options.minutes)
    features = load_features() if options.data == "mnist" else None
    results = {"test": score(made, data, features), "threads": torch.get_num_threads(), **counts}
    write(options.out / f"dcgan_example_{options.data}.json", results)
    with torch.no_grad():
        z = torch.randn(64, LATENT, 1, 1, generator=torch.Generator().manual_seed(0))
        picture: Tensor = sample_grid(made(z), 8)
    path = Path("docs/figures") / f"dcgan_example_{options.data}.png"
    to_pil_image(picture).quantize(256).save(path, optimize=True)


if __name__ == "__main__":
    with console.user_errors():
        main()
