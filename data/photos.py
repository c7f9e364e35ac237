"""A user's own photographs, to train super-resolution on."""

import os
import re
from pathlib import Path

from data.images import list_images, split_by_name
from data.super_resolution import SuperResolutionData


class Photos(SuperResolutionData):
    """Every image below a folder at its own size, split by a hash of its name.

    Args:
        root: the folder; it may hold folders.
        name: what records and run folders call this data; the scale is added to it.
        licence: the images' own, for the model files trained on them.
        val: share of the images to hold out for validation.
        test: share of the images to hold out for the test.
        scale: see SuperResolutionData, as all that follow.
        color: -
        patch: -
        patches: -
        turn: -
        memory: -
        batch_size: -
        eval_batch_size: -
        num_workers: -
        overfit: -
        seed: -
    """

    name = "photos"
    test_split = "test"

    def __init__(
        self,
        *,
        root: str | os.PathLike[str],
        name: str = "photos",
        licence: str = "the user's own data",
        val: float = 0.05,
        test: float = 0.05,
        scale: int = 3,
        color: str = "y",
        patch: int = 24,
        patches: int = 16000,
        turn: bool = True,
        memory: int = 2048,
        batch_size: int = 16,
        eval_batch_size: int = 1,
        num_workers: int = 0,
        overfit: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(
            scale=scale,
            color=color,
            patch=patch,
            patches=patches,
            turn=turn,
            memory=memory,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            overfit=overfit,
            seed=seed,
        )
        if not re.fullmatch(r"\w+", name):
            raise ValueError(f"name={name!r} must be of letters, digits and underscores")
        self.name, self.licence = f"{name}x{scale}", licence
        folder = Path(root).expanduser()
        split = split_by_name(list_images(folder), val, test, folder)
        self.files = {part: (folder, names) for part, names in split.items()}
