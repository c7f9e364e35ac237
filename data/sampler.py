"""The order of training samples: a function of (seed, epoch) alone, so that any run can resume."""

import hashlib
from collections.abc import Iterator

import torch
from torch.utils.data import Sampler


def seed_from(*key: int | str) -> int:
    """A 63-bit seed hashed from `key`: the same on every machine, process and Python."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def share_from(*key: int | str) -> float:
    """A number in 0 .. 1 hashed from `key`, uniform over keys."""
    return seed_from(*key) / 2**63


class EpochSampler(Sampler[tuple[int, int]]):
    """Yields (epoch, index) over a permutation drawn from (seed, epoch), split between ranks.

    The pair travels to the worker, so augmentation needs no state there. All ranks permute alike
    and take every `world_size`-th entry: a global batch holds the same samples whatever the number
    of ranks, and at most `world_size - 1` samples sit out an epoch.

    Args:
        length: number of samples in the data set.
        seed: seed of the order.
        epoch: epoch of the first pass.
        start: samples of this rank to leave out in the epoch `epoch` (already seen before a kill).
        rank: which share to take, 0 .. world_size - 1.
        world_size: number of shares.
    """

    def __init__(
        self,
        length: int,
        seed: int,
        *,
        epoch: int = 0,
        start: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.length, self.seed = length, seed
        self.epoch, self.start = epoch, start
        self.rank, self.world_size = rank, world_size

    def set_epoch(self, epoch: int) -> None:
        """Go to `epoch` (Lightning calls this); another epoch than the first starts at 0."""
        if epoch != self.epoch:
            self.epoch, self.start = epoch, 0

    def __len__(self) -> int:
        """Samples of a whole epoch on this rank, whether or not this pass starts in mid-epoch."""
        return self.length // self.world_size

    def __iter__(self) -> Iterator[tuple[int, int]]:
        epoch, start = self.epoch, self.start
        generator = torch.Generator().manual_seed(seed_from("order", self.seed, epoch))
        order = torch.randperm(self.length, generator=generator)[self.rank :: self.world_size]
        for index in order[start : len(self)].tolist():
            yield epoch, index
