"""From raw samples to batches: a split, a transform, a loader."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate
from torchvision import tv_tensors
from torchvision.transforms import v2

from data.files import DataError
from data.sampler import seed_from, share_from

Batch = dict[str, Tensor]


class Split(Protocol):
    """Raw samples, of a kind that the data's own datasets know how to prepare."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any) -> Any: ...

    def identity(self) -> object:
        """What makes this split this split; its repr goes into the fingerprint."""


class MaskedSplit(Split, Protocol):
    """Raw samples: a uint8 image (3, H, W) and a uint8 mask (H, W) each."""

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]: ...

    def mask(self, index: int) -> Tensor:
        """The mask alone, where that is cheaper."""


class First:
    """The first `count` samples of a split."""

    def __init__(self, split: Any, count: int) -> None:
        self.split, self.count = split, min(count, len(split))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: Any) -> Any:
        return self.split[index]

    def mask(self, index: int) -> Tensor:
        """The mask alone, of a split that has masks."""
        return self.split.mask(index)

    def low_size(self, index: int) -> tuple[int, int]:
        """The size of a reduced image, of a split of two resolutions."""
        return self.split.low_size(index)

    def identity(self) -> object:
        """The count and the whole split's identity."""
        return self.count, self.split.identity()


class InMemory:
    """A split whose samples are read once, when they are first asked for, and then kept.

    Each worker process of a loader keeps those that it has read.
    """

    def __init__(self, split: MaskedSplit) -> None:
        self.split = split
        self._samples: dict[int, tuple[Tensor, Tensor]] = {}

    def __len__(self) -> int:
        return len(self.split)

    @property
    def names(self) -> list[str]:
        """The split's own; none where it has none."""
        return list(getattr(self.split, "names", ()))

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if index not in self._samples:
            self._samples[index] = self.split[index]
        return self._samples[index]

    def mask(self, index: int) -> Tensor:
        """The mask alone; the sample is not kept for it."""
        return self._samples[index][1] if index in self._samples else self.split.mask(index)

    def identity(self) -> object:
        """The split's own."""
        return self.split.identity()


class Prepared(Dataset[Batch]):
    """A split behind a transform; `dataset[index]` is {"image": float32, "mask": int64}."""

    def __init__(self, split: MaskedSplit, transform: v2.Transform) -> None:
        self.split, self.transform = split, transform

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: Any) -> Batch:
        image, mask = self.split[index]
        image, mask = self.transform(tv_tensors.Image(image), tv_tensors.Mask(mask))
        return {"image": image, "mask": mask}


class Augmented(Prepared):
    """A split behind a random transform; `dataset[epoch, index]` depends on (seed, key) alone."""

    def __init__(self, split: MaskedSplit, transform: v2.Transform, seed: int) -> None:
        super().__init__(split, transform)
        self.seed = seed

    def __getitem__(self, index: tuple[int, int]) -> Batch:
        epoch, sample = index
        with torch.random.fork_rng(devices=[]):
            # the CPU's generator only: torch.manual_seed would reseed the accelerators' too
            torch.default_generator.manual_seed(seed_from("augment", self.seed, epoch, sample))
            return super().__getitem__(sample)


class Normalised(Dataset[Batch]):
    """Images of one size, as float32 (x / 255 - mean) / std, fetched a whole batch at a time.

    A key is an index, or an (epoch, index) of a training sampler; DataLoader fetches a batch by
    `__getitems__`, so that nothing but the flip is done sample by sample.

    Args:
        split: `split[indices]` is a new {"image": (B, C, H, W) in 0 .. 255, …}; what else it holds
            is passed on.
        mean: mean colour in 0 .. 1, per channel.
        std: deviation, per channel.
        flip: probability of mirroring an image, a function of (seed, epoch, index) alone.
        seed: seed of the flips.
    """

    def __init__(
        self,
        split: Split,
        mean: Sequence[float],
        std: Sequence[float],
        flip: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.split, self.flip, self.seed = split, flip, seed
        self.mean = torch.tensor(mean).view(-1, 1, 1)
        self.std = torch.tensor(std).view(-1, 1, 1)

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, key: Any) -> Batch:
        return {name: values[0] for name, values in self.__getitems__([key]).items()}

    def __getitems__(self, keys: list[Any]) -> Batch:
        batch = self.split[[key[1] if isinstance(key, tuple) else key for key in keys]]
        image = batch["image"]
        if self.flip:
            flips = torch.tensor([share_from("flip", self.seed, *key) < self.flip for key in keys])
            image[flips] = image[flips].flip(-1)
        # x' = (x / 255 - mean) / std
        return batch | {"image": (image / 255).sub_(self.mean).div_(self.std)}


class ResumableLoader(DataLoader):
    """A DataLoader that Lightning may resume in mid-epoch.

    Its position needs no saving, since it follows from the trainer's own counters
    (`ImageData.train_dataloader`); these two methods are how Lightning asks.
    """

    def state_dict(self) -> dict[str, Any]:
        """Nothing to save."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to load."""


def collate(samples: list[Batch] | Batch) -> Batch:
    """Stacks samples, unless they are a batch already.

    Raises:
        DataError: images of differing sizes.
    """
    if isinstance(samples, dict):
        return samples
    sizes = {tuple(sample["image"].shape[-2:]) for sample in samples}
    if len(sizes) > 1:
        raise DataError(
            f"a batch mixes images of {' and '.join(f'{w}×{h}' for h, w in sorted(sizes)[:2])} "
            "pixels: set data.eval_batch_size=1 or data.eval_size=[height,width]"
        )
    return default_collate(samples)
