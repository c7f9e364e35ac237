"""`per_image.npz`: the figures of each image at every budget of a run, beside its record.

Arrays `steps` (budgets,), `<split>.images` with the images' names and `<split>.<figure>` of shape
(budgets, images, …). From them a bootstrap over images follows without the net: for segmentation
the pixels of each class that hit, that the truth has and that were predicted.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from upzoo.atomic import whole

FILE = "per_image.npz"


def write(
    path: str | os.PathLike[str],
    steps: Sequence[int],
    figures: Sequence[Mapping[str, Mapping[str, Tensor]]],
    names: Mapping[str, Sequence[str]],
) -> None:
    """Write the figures of a run, whole or not at all; floats as float32.

    Args:
        path: of the file.
        steps: of each budget.
        figures: for each budget, split → name → figures of the images, (N, …).
        names: split → the images' names in the same order.
    """
    arrays: dict[str, Any] = {"steps": np.array(steps, dtype=np.int64)}
    for split, by_name in figures[0].items():
        arrays[f"{split}.images"] = np.array(list(names[split]))
        for name in by_name:
            stacked = np.stack([each[split][name].cpu().numpy() for each in figures])
            small = np.float32 if np.issubdtype(stacked.dtype, np.floating) else np.int32
            arrays[f"{split}.{name}"] = stacked.astype(small)
    with whole(path) as beside, beside.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of a run.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such file; one line that names it.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; a run with budgets writes it beside its record"
        )
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = dict(content)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: not the figures of images ({error})") from None
    if "steps" not in arrays:
        raise ValueError(f"{path}: not the figures of images, it has no steps")
    return arrays
