"""What is timed of a net: a training step and a forward pass, in one precision and layout."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.adversarial import frozen

#: Lightning's precision -> the type of the arithmetic.
DTYPES = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16}


def mixed(dtype: torch.dtype, device: str = "cpu") -> torch.autocast:
    """Autocast to bfloat16 where `dtype` is, on that kind of device; nothing otherwise."""
    return torch.autocast(device, torch.bfloat16, enabled=dtype == torch.bfloat16)


class Side:
    """A segmentation net with its batch, on its device, in one precision and memory format."""

    def __init__(
        self, net: nn.Module, image: Tensor, dtype: torch.dtype, layout: torch.memory_format
    ):
        self.net, self.dtype = net.to(image.device, memory_format=layout), dtype
        self.image = image.contiguous(memory_format=layout)
        self.mask = torch.zeros(len(image), *image.shape[2:], dtype=torch.long, device=image.device)
        self.optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4)

    def compile(self) -> None:
        """Compile the net in place."""
        self.net.compile()

    def forward(self) -> Tensor:
        """Logits; torchvision's nets give them in a dictionary."""
        with mixed(self.dtype, self.image.device.type):
            logits = self.net(self.image)
        return logits["out"] if isinstance(logits, dict) else logits

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


class Adversaries:
    """A generator and its discriminator with a batch of noise for images.

    Args:
        nets: both.
        batch: gives the images' shape and the device.
        dtype: of the arithmetic.
        layout: of the images and the weights.
        skips: whether the discriminator's own gradient is left out of the generator's step, as
            `tasks.generation` does and the example does not.
    """

    def __init__(
        self,
        nets: tuple[nn.Module, nn.Module],
        batch: Tensor,
        dtype: torch.dtype,
        layout: torch.memory_format,
        *,
        skips: bool,
    ):
        self.made, self.judge = (net.to(batch.device, memory_format=layout) for net in nets)
        self.real, self.dtype, self.skips = batch.contiguous(memory_format=layout), dtype, skips
        self.optimizers = [torch.optim.Adam(n.parameters(), 2e-4, (0.5, 0.999)) for n in nets]

    def compile(self) -> None:
        """Compile both nets in place."""
        self.made.compile()
        self.judge.compile()

    def train(self) -> None:
        """A step of each net."""
        (generator, judge), n = self.optimizers, len(self.real)
        real, fake = self.real.new_ones(n), self.real.new_zeros(n)
        loss = F.binary_cross_entropy_with_logits
        with self.mixed():
            images = self.made(self.noise())
            judge.zero_grad()
            on_real, on_fake = self.judge(self.real), self.judge(images.detach())
        (loss(on_real.float(), real) + loss(on_fake.float(), fake)).backward()
        judge.step()
        generator.zero_grad()
        if self.skips:
            with frozen(self.judge), self.mixed():
                logits = self.judge(images)
        else:
            with self.mixed():
                logits = self.judge(images)
        loss(logits.float(), real).backward()
        generator.step()

    def infer(self) -> None:
        """A batch of images."""
        with torch.inference_mode(), self.mixed():
            self.made(self.noise())

    def mixed(self) -> torch.autocast:
        """The arithmetic of both nets."""
        return mixed(self.dtype, self.real.device.type)

    def noise(self) -> Tensor:
        """What a batch of images is drawn from."""
        return torch.randn(len(self.real), 100, device=self.real.device)
