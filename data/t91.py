"""T91 to train on, Set5 and Set14 to test on: the sets that super-resolution is compared on."""

import os
from collections.abc import Sequence
from typing import Any

from data.options import at_least
from data.super_resolution import SuperResolutionData, find_folder, hold_out


class T91(SuperResolutionData):
    """The 91 images of Yang et al. (2010), and the test sets of the field.

    Some of the 91 are held out for validation, by a hash of their names; the test sets are split
    by their folders' names, in small letters, and each is scored by itself.

    Args:
        root: the folder that holds T91/ and the test sets' folders.
        val: training images to hold out for validation.
        tests: folders of test sets; the first is the one that a record's headline is of.
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
        self.name = f"t91x{self.scale}"
        folder, names = find_folder(root, "T91")
        train, held = hold_out(names, at_least("val", val, 1), folder)
        self.files = {"train": (folder, train), "val": (folder, held)}
        self.files |= {test.lower(): find_folder(root, test) for test in tests}
        self.test_splits = tuple(test.lower() for test in tests)
        self.test_split = self.test_splits[0]
