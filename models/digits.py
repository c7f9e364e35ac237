"""What scores of generated digits take from a trained classifier."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upzoo import zoo
from upzoo.classifier import Classifier

SHIPPED = "mnist_classifier"
SIDE = 28  # pixels of an MNIST digit
PADDED = 32  # the same digit with a margin of 2


class DigitFeatures(nn.Module):
    """A classifier of 28×28 grey images, taking images in [0, 1] of any size from there.

    Colours are averaged. 32×32 images are taken for digits with a margin of 2, which is cut off;
    other sizes are brought to 28×28 (antialiased, bilinear).

    Args:
        net: the classifier.
        mean: mean of the grey images that it was trained on, in [0, 1].
        std: their standard deviation.
    """

    def __init__(self, net: Classifier, mean: float, std: float) -> None:
        super().__init__()
        self.net = net
        self.mean = mean
        self.std = std
        self.num_features = net.num_features

    def forward(self, images: Tensor) -> Tensor:
        """Features, (B, num_features), of images (B, C, H, W) in [0, 1].

        Raises:
            ValueError: images below 28×28.
        """
        return self.net.features(self._prepare(images))

    def classify(self, features: Tensor) -> Tensor:
        """Probability of each class, (B, num_classes), of features (B, num_features)."""
        return self.net.head(features).softmax(dim=1)

    def probabilities(self, images: Tensor) -> Tensor:
        """Probability of each class, (B, num_classes), of images (B, C, H, W) in [0, 1]."""
        return self.classify(self(images))

    def _prepare(self, images: Tensor) -> Tensor:
        size = tuple(images.shape[2:])
        if min(size) < SIDE:
            raise ValueError(f"images of {size[0]}×{size[1]} are too small: give {SIDE} or more")
        grey = images.mean(dim=1, keepdim=True)
        if size == (PADDED, PADDED):
            margin = (PADDED - SIDE) // 2
            grey = grey[..., margin:-margin, margin:-margin]
        elif size != (SIDE, SIDE):
            grey = F.interpolate(
                grey, size=(SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True
            )
        return ((grey - self.mean) / self.std).contiguous(memory_format=torch.channels_last)


def load_features(path: str | Path | None = None) -> DigitFeatures:
    """The features of a trained classifier, the shipped one of MNIST if no other is given.

    Args:
        path: a model file of a `Classifier` of grey images, or a name of the zoo.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds another model.
        ConnectionError: the shipped one is not here, and cannot be fetched.
    """
    path = SHIPPED if path is None else path
    net, card = zoo.read(path)
    if not isinstance(net, Classifier) or len(card["mean"]) != 1:
        raise ValueError(f"{path}: no classifier of grey images: train one with model=classifier")
    return DigitFeatures(net, card["mean"][0], card["std"][0]).requires_grad_(False).eval()
