"""How samples are loaded: the options that all data share, checked once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from data.files import MOST_PIXELS
from data.transforms import check_augment

#: What super-resolution enlarges: luma, or colours.
COLORS = ("y", "rgb")

#: Of one loader: more have no core to work on.
MOST_WORKERS = 1024


@dataclass(frozen=True, kw_only=True)
class Loading:
    """How samples become batches.

    Attributes:
        size: (height, width) of a training sample in pixels.
        batch_size: training samples a step, on each device.
        eval_batch_size: evaluation samples a step.
        num_workers: worker processes of each loader; 0 loads in the training process.
        overfit: train on the first so many training images, without augmentation, and evaluate on
            the same; None trains as usual.
        seed: seed of order and augmentation.

    Raises:
        ValueError: an option out of range.
    """

    size: Sequence[int]
    batch_size: int
    eval_batch_size: int
    num_workers: int = 0
    overfit: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every option."""
        self._set("size", pair("size", self.size))
        at_least("batch_size", self.batch_size, 1)
        at_least("eval_batch_size", self.eval_batch_size, 1)
        at_least("num_workers", self.num_workers, 0)
        if self.num_workers > MOST_WORKERS:
            raise ValueError(f"num_workers={self.num_workers} must be at most {MOST_WORKERS}")
        if self.overfit is not None:
            at_least("overfit", self.overfit, 1)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # as frozen dataclasses set their own fields

    def changed(self, options: Mapping[str, Any]) -> "Loading":
        """These options with some of them changed; refuses names that are none."""
        known = [f.name for f in fields(self) if f.init]
        for name in options:
            if name not in known:
                raise ValueError(f"data.{name} is no option here (there are: {', '.join(known)})")
        return replace(self, **options)


@dataclass(frozen=True, kw_only=True)
class MaskedLoading(Loading):
    """How images with masks become batches.

    Attributes:
        eval_size: (height, width) to resize images and masks to in evaluation; None leaves them,
            and where they differ in size needs eval_batch_size=1.
        augment: options of `train_transform`; None turns augmentation off.
        cache: keep images in memory once they are read, at four bytes a pixel.
    """

    eval_size: Sequence[int] | None = None
    augment: Mapping[str, Any] | None = None
    cache: bool = False

    def __post_init__(self) -> None:
        """Check every option."""
        super().__post_init__()
        if self.eval_size is not None:
            self._set("eval_size", pair("eval_size", self.eval_size))
        self._set("augment", check_augment(None if self.overfit else self.augment))
        if not isinstance(self.cache, bool):
            raise ValueError(f"cache={self.cache!r} must be true or false")


@dataclass(frozen=True, kw_only=True)
class DrawnLoading(MaskedLoading):
    """How scenes that are drawn become batches: of one size, and kept anyway."""

    eval_size: None = field(default=None, init=False)
    cache: bool = field(default=False, init=False)


@dataclass(frozen=True, kw_only=True)
class PatchLoading(Loading):
    """How images in two resolutions become batches of patches; `size` is `scale` times `patch`.

    Attributes:
        scale: of the reduction, 2 or more.
        color: "y", luma alone, as the field trains and scores, or "rgb".
        patch: side of a training patch in pixels of the low resolution.
        patches: training patches of an epoch, drawn anew in each.
        turn: flip and turn training patches, by one of the eight symmetries of the square.
        memory: MiB of images kept once read, in each process and split; the rest are read again.
        overfit: train on patches of the first so many images, and evaluate on these.
    """

    size: Sequence[int] = field(default=(1, 1), init=False)
    batch_size: int = 16
    eval_batch_size: int = 1
    scale: int = 3
    color: str = "y"
    patch: int = 24
    patches: int = 16000
    turn: bool = True
    memory: int = 2048

    def __post_init__(self) -> None:
        """Check every option."""
        at_least("scale", self.scale, 2)
        at_least("patch", self.patch, 1)
        at_least("patches", self.patches, 1)
        at_least("memory", self.memory, 0)
        if self.color not in COLORS:
            raise ValueError(f"color={self.color!r} must be {' or '.join(COLORS)}")
        if not isinstance(self.turn, bool):
            raise ValueError(f"turn={self.turn!r} must be true or false")
        self._set("size", (self.scale * self.patch,) * 2)
        super().__post_init__()


def pair(name: str, value: object) -> tuple[int, int]:
    """The option `name` as (height, width); refuses anything else."""
    sides = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []
    if len(sides) != 2 or not all(type(side) is int and side > 0 for side in sides):
        shown = sides or value
        raise ValueError(f"{name}={shown!r} must be [height, width] in pixels, both above 0")
    if sides[0] * sides[1] > MOST_PIXELS:
        most = f"{MOST_PIXELS / 1e6:.0f} million pixels"
        raise ValueError(f"{name}={sides} is more than {most}, as large as images may be")
    return sides[0], sides[1]


def at_least(name: str, value: object, least: int) -> int:
    """The option `name`, a whole number of `least` or more; refuses anything else."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}={value!r} must be a whole number of {least} or more")
    return value
