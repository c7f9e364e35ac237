"""T91 to train on, Set5 and Set14 to test on: the sets that super-resolution is compared on."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data.options import at_least
from data.super_resolution import SuperResolutionData, find_folder, hold_out

#: The folder of the images to train on.
TRAINING = "T91"


class T91(SuperResolutionData):
    """The 91 images of Yang et al. (2010), and the test sets of the field.

    Some of the 91 are held out for validation, by a hash of their names; the test sets are split
    by their folders' names, in small letters, and each is scored by itself. T91 itself need not be
    there to score on the test sets alone.

    Args:
        root: the folder that holds T91/ and the test sets' folders.
        val: training images to hold out for validation.
        tests: folders of test sets, any folders of images, in `root` or by their whole path; the
            first is the one that a record's headline is of.
        loading: options of `PatchLoading`.
    """

    name = "t91"
    licence = "research use: T91 (Yang et al. 2010), photographs of various owners"

    def __init__(
        self,
        *,
        root: str | os.PathLike[str],
        val: int = 10,
        tests: Sequence[str] = ("Set5", "Set14"),
        **loading: Any,
    ) -> None:
        super().__init__(**loading)
        if not tests:
            raise ValueError("tests=[] must name the folder of a test set at least, such as Set5")
        self.name, self.root = f"t91x{self.scale}", Path(root).expanduser()
        self.files = {}
        at_least("val", val, 1)
        if (self.root / TRAINING).is_dir():
            folder, names = find_folder(root, TRAINING)
            train, held = hold_out(names, val, folder)
            self.files = {"train": (folder, train), "val": (folder, held)}
        for test in tests:
            split = Path(test).name.lower()
            if split in self.files or split in ("train", "val"):
                raise ValueError(
                    f"tests={list(tests)}: {split} is another split's name: rename that folder"
                )
            self.files[split] = find_folder(root, test)
        self.test_splits = tuple(split for split in self.files if split not in ("train", "val"))
        self.test_split = self.test_splits[0]

    def split(self, name: str) -> Any:
        """The raw split `name`; refuses one that this data does not have."""
        if name in ("train", "val"):
            find_folder(self.root, TRAINING)  # says where it has to be
        return super().split(name)
