"""From raw samples to batches: a split, a transform, a loader."""

from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate
from torchvision import tv_tensors
from torchvision.transforms import v2

from data.files import DataError
from data.sampler import seed_from

Batch = dict[str, Tensor]


class Split(Protocol):
    """Raw samples: a uint8 image (3, H, W) and a uint8 mask (H, W) each."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]: ...

    def mask(self, index: int) -> Tensor:
        """The mask alone, where that is cheaper."""

    def identity(self) -> object:
        """What makes this split this split; its repr goes into the fingerprint."""


class Prepared(Dataset[Batch]):
    """A split behind a transform; `dataset[index]` is {"image": float32, "mask": int64}."""

    def __init__(self, split: Split, transform: v2.Transform) -> None:
        self.split, self.transform = split, transform

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: Any) -> Batch:
        image, mask = self.split[index]
        image, mask = self.transform(tv_tensors.Image(image), tv_tensors.Mask(mask))
        return {"image": image, "mask": mask}


class Augmented(Prepared):
    """A split behind a random transform; `dataset[epoch, index]` depends on (seed, key) alone."""

    def __init__(self, split: Split, transform: v2.Transform, seed: int) -> None:
        super().__init__(split, transform)
        self.seed = seed

    def __getitem__(self, index: tuple[int, int]) -> Batch:
        epoch, sample = index
        with torch.random.fork_rng(devices=[]):
            # the CPU's generator only: torch.manual_seed would reseed the accelerators' too
            torch.default_generator.manual_seed(seed_from("augment", self.seed, epoch, sample))
            return super().__getitem__(sample)


class ResumableLoader(DataLoader):
    """A DataLoader that Lightning may resume in mid-epoch.

    Its position needs no saving, since it follows from the trainer's own counters
    (`SegmentationData.train_dataloader`); these two methods are how Lightning asks.
    """

    def state_dict(self) -> dict[str, Any]:
        """Nothing to save."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to load."""


def collate(samples: list[Batch]) -> Batch:
    """Stacks samples; refuses images of differing sizes with what to do about it."""
    sizes = {tuple(sample["mask"].shape) for sample in samples}
    if len(sizes) > 1:
        raise DataError(
            f"a batch mixes images of {' and '.join(f'{w}×{h}' for h, w in sorted(sizes)[:2])} "
            "pixels: set data.eval_batch_size=1 or data.eval_size=[height,width]"
        )
    return default_collate(samples)
