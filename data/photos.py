"""A user's own photographs, to train super-resolution on."""

import os
import re
from pathlib import Path
from typing import Any

from data.images import split_by_name
from data.listing import list_images
from data.super_resolution import SuperResolutionData


class Photos(SuperResolutionData):
    """Every image below a folder at its own size, split by a hash of its name.

    Args:
        root: the folder; it may hold folders.
        name: what records and run folders call this data; the scale is added to it.
        licence: the images' own, for the model files trained on them.
        val: share of the images to hold out for validation.
        test: share of the images to hold out for the test.
        loading: options of `PatchLoading`.
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
        **loading: Any,
    ) -> None:
        super().__init__(**loading)
        if not re.fullmatch(r"\w+", name):
            raise ValueError(f"name={name!r} must be of letters, digits and underscores")
        self.name, self.licence = f"{name}x{self.scale}", licence
        folder = Path(root).expanduser()
        listing = list_images(folder)
        self.left_out = listing.left_out
        split = split_by_name(listing.names, val, test, folder)
        self.files = {part: (folder, names) for part, names in split.items()}
