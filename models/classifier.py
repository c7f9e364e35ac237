"""A small classifier of grey images."""

from torch import Tensor, nn

from upzoo.base import Net
from upzoo.counts import check_counts


class Classifier(Net):
    """Four 3×3 convolutions at strides 1, 2, 4, 4, a global mean, one linear layer.

    (B, in_channels, H, W) normalised images -> (B, num_classes) logits. Maps are pooled before
    they are normalised and rectified, which gives the same kind of net at a third less work.

    Args:
        num_classes: logits, at least 1.
        in_channels: channels of the images, at least 1.
        width: channels of the first convolution; there are 4·width features.

    Raises:
        ValueError: an option below 1.
    """

    label = "classifier"
    makes = "scores"

    def __init__(self, num_classes: int, in_channels: int = 1, width: int = 24) -> None:
        super().__init__()
        check_counts("model.", num_classes=num_classes, in_channels=in_channels, width=width)
        self.num_features = 4 * width
        self.body = nn.Sequential(
            *_stage(in_channels, width, pool=True),
            *_stage(width, 2 * width, pool=True),
            *_stage(2 * width, 4 * width),
            *_stage(4 * width, 4 * width),
        )
        self.head = nn.Linear(4 * width, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """What the last layer sees of normalised images, all at least 0: (B, 4·width)."""
        return self.body(x).mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (B, num_classes)."""
        return self.head(self.features(x))


def _stage(in_channels: int, out_channels: int, pool: bool = False) -> list[nn.Module]:
    return [
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
        nn.MaxPool2d(2, ceil_mode=True) if pool else nn.Identity(),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    ]
