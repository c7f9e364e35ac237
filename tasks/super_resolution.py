"""Super-resolution: give an image back that was reduced."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor
from torchmetrics import MeanMetric, Metric
from torchmetrics.image import PeakSignalNoiseRatio, StructuralSimilarityIndexMeasure

from tasks.base import Batch, Samples
from tasks.ensemble import self_ensembled
from tasks.optimisation import Optimisation
from tasks.pictures import super_resolution_panel
from tasks.reconstruction import Reconstruction
from upzoo.base import Net
from upzoo.metrics.restoration import scored


class SuperResolution(Reconstruction):
    """Train a net to enlarge an image by the scale that it was reduced by, and score it.

    The loss is the mean distance of normalised values, in float32. The scores are the field's:
    PSNR in decibels and SSIM of each image's luma, rounded to 8 bits, a border as wide as the scale
    left out, then the mean over images. A net of colours is scored on their luma too.

    Args:
        net: (B, C, H, W) images -> (B, C, scale·H, scale·W).
        data: the data to train on; its `mean`, `std` and `scale` are used.
        distance: "l1", "l2" or "charbonnier".
        self_ensemble: score the mean of what the net makes of the eight flips and turns of an
            image, each turned back (Lim et al. 2017, "geometric self-ensemble").
        options: `card`, and options of `Optimisation` that differ from `defaults`.

    Raises:
        ValueError: for options out of their range, data without two resolutions, or a net that
            does not enlarge by their scale.
    """

    defaults = Optimisation(weight_decay=0.0)
    peak = 255.0
    pooled = False
    shares_pass = False  # images differ in size, and are looked at in what all of them have

    def __init__(
        self,
        net: Net,
        data: Any,
        *,
        distance: str = "l1",
        self_ensemble: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(net, data, distance=distance, **options)
        self.scale = data.scale
        self.self_ensemble = self_ensemble
        # beside the skip a kernel makes differences, whose mean gain is about zero
        self.weighs_kernels = not getattr(net, "skip", False)
        #: Of the checkerboards that enlarging by the scale may leave, in pixels.
        self.periods = tuple(p for p in range(2, self.scale + 1) if self.scale % p == 0)

    @staticmethod
    def check(net: Any, data: Any) -> None:
        """Refuse data of one resolution, and a net that enlarges by another scale or not at all."""
        if data.scale == 1:
            raise ValueError(
                "task=super_resolution needs images in two resolutions: take data=t91, or "
                "data=photos for any folder of images"
            )
        if net.scale == 1:
            raise ValueError(
                f"{net.label} does not enlarge by scale={data.scale}: take model=espcn, fsrcnn, "
                "srresnet or edsr"
            )
        if net.scale != data.scale:
            raise ValueError(
                f"{net.label} enlarges by {net.scale}, the images are reduced by "
                f"scale={data.scale}: give data.scale={net.scale}"
            )

    @staticmethod
    def fresh_counters() -> dict[str, Metric]:
        """Fresh counters of one split's scores: means over images."""
        return {
            "psnr": PeakSignalNoiseRatio(
                data_range=255.0, dim=(1, 2, 3), reduction="elementwise_mean"
            ),
            "ssim": StructuralSimilarityIndexMeasure(data_range=255.0),
            "loss": MeanMetric(),
        }

    def truth(self, batch: Batch) -> Tensor:
        """What the net has to give: the image before it was reduced."""
        return batch["target"]

    def predict(self, images: Tensor) -> Tensor:
        """The enlarged images, normalised, by self-ensemble if that was asked for."""
        return self_ensembled(self, images) if self.self_ensemble else self(images)

    def scored(self, images: Tensor) -> Tensor:
        """What PSNR and SSIM compare: luma of 8 bits without the border."""
        return scored(self.colours(images), self.scale)

    def alike(self, samples: Samples) -> Samples:
        """The middle of each sample, as much of it as all samples have."""
        return same_size(samples)

    def cut(self, dataset: Any, count: int) -> Iterator[Batch]:
        """The same of the first samples of a dataset, one at a time."""
        sizes = [dataset.split.low_size(index) for index in range(count)]
        height, width = (min(sides) for sides in zip(*sizes, strict=True))
        for index in range(count):
            yield middle(dataset[index], height, width)

    def picture(self, samples: Samples, data: Any) -> Tensor:
        """Bicubic, the net's image, the original and the error of samples."""
        return super_resolution_panel(self, self.alike(samples))


def same_size(samples: Samples) -> list[Batch]:
    """The middle of each sample, as much of it as all samples have."""
    sizes = [sample["image"].shape[-2:] for sample in samples]
    height, width = min(h for h, _ in sizes), min(w for _, w in sizes)
    return [middle(sample, height, width) for sample in samples]


def middle(sample: Batch, height: int, width: int) -> Batch:
    """The middle of a sample in two resolutions, height × width pixels of the low one."""
    h, w = sample["image"].shape[-2:]
    scale = sample["target"].shape[-1] // w
    top, left = (h - height) // 2, (w - width) // 2
    return {
        name: sample[name][..., u * top : u * (top + height), u * left : u * (left + width)]
        for name, u in (("image", 1), ("target", scale))
    }
