"""Nets and trainings of others, for `benchmarks.time_to_quality`, scored by our measures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import dcgan_example
from data.base import ImageData
from upzoo.metrics.restoration import image_psnr, scored
from upzoo.metrics.segmentation import SegmentationScores


class Peer(ABC):
    """Somebody else's net and training.

    Args:
        data: what it is trained on, and scored on by our measures.
    """

    #: Whose it is, for the figure.
    title: str

    def __init__(self, data: ImageData) -> None:
        self.data = data

    @abstractmethod
    def step(self, batch: Mapping[str, Tensor]) -> None:
        """One step of training."""

    @abstractmethod
    def score(self) -> float:
        """The score of the net as it is."""


class PlainUNet(Peer):
    """segmentation_models.pytorch's U-Net on a ResNet-18, from scratch, with Adam at 1e-3."""

    title = "segmentation_models.pytorch: Unet, resnet18"

    def __init__(self, data: ImageData) -> None:
        super().__init__(data)
        import segmentation_models_pytorch as smp

        self.net = smp.Unet("resnet18", encoder_weights=None, classes=data.num_classes)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3)

    def step(self, batch: Mapping[str, Tensor]) -> None:
        """Cross-entropy; void pixels do not count."""
        logits = self.net(batch["image"].contiguous())
        loss = F.cross_entropy(logits, batch["mask"], ignore_index=255)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    @torch.no_grad()
    def score(self) -> float:
        """Mean IoU of the validation images, padded to multiples of 32 as the net asks for."""
        scores = SegmentationScores(self.data.num_classes)
        self.net.eval()
        for batch in self.data.eval_dataloader("val"):
            height, width = batch["image"].shape[-2:]
            padded = F.pad(batch["image"], (0, -width % 32, 0, -height % 32), mode="replicate")
            scores.update(self.net(padded)[..., :height, :width].argmax(1), batch["mask"])
        self.net.train()
        return scores.compute()["miou"].item()


class PlainGAN(Peer):
    """PyTorch's DCGAN example (`benchmarks.dcgan_example`)."""

    title = "PyTorch's DCGAN example"

    def __init__(self, data: ImageData) -> None:
        super().__init__(data)
        from upzoo.digits import load_features

        self.pair = dcgan_example.Pair(data.in_channels)
        self.features = load_features()

    def step(self, batch: Mapping[str, Tensor]) -> None:
        """A step of the discriminator, then one of the generator."""
        self.pair.step(batch["image"])

    def score(self) -> float:
        """The Fréchet distance to the validation digits."""
        self.pair.made.eval()
        scores = dcgan_example.score(self.pair.made, self.data, self.features, "val")
        self.pair.made.train()
        return scores["fid"]


class PlainESPCN(Peer):
    """ESPCN as Shi et al. 2016 and yjn870/ESPCN-pytorch have it: tanh, squared error, Adam at 1e-3.

    The last layer starts near zero and learns at a tenth of the rate; batches of 16 patches, in
    0 … 1.
    """

    title = "yjn870/ESPCN-pytorch"

    def __init__(self, data: ImageData) -> None:
        super().__init__(data)
        s = data.scale
        sizes = ((1, 64, 5), (64, 32, 3), (32, s * s, 3))
        first, second, last = (nn.Conv2d(a, b, k, padding=k // 2) for a, b, k in sizes)
        for layer in (first, second):
            nn.init.normal_(layer.weight, std=(2 / layer.weight[:, 0].numel()) ** 0.5)
        nn.init.normal_(last.weight, std=0.001)
        for layer in (first, second, last):
            nn.init.zeros_(layer.bias)
        self.net = nn.Sequential(first, nn.Tanh(), second, nn.Tanh(), last, nn.PixelShuffle(s))
        body = [*first.parameters(), *second.parameters()]
        groups = [{"params": body}, {"params": last.parameters(), "lr": 1e-4}]
        self.optimizer = torch.optim.Adam(groups, lr=1e-3)

    def unit(self, images: Tensor) -> Tensor:
        """Normalised images -> 0 … 1."""
        return images * self.data.std[0] + self.data.mean[0]

    def step(self, batch: Mapping[str, Tensor]) -> None:
        """The mean squared error of a batch."""
        loss = F.mse_loss(self.net(self.unit(batch["image"])), self.unit(batch["target"]))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    @torch.no_grad()
    def score(self) -> float:
        """PSNR of luma on Set5, a border as wide as the scale left out."""
        found = []
        for batch in self.data.eval_dataloader("set5", 1):
            images = (self.net(self.unit(batch["image"])), self.unit(batch["target"]))
            found += image_psnr(*(scored(x, self.data.scale) for x in images), 255.0)
        return torch.stack(found).mean().item()
