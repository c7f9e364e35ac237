"""Where runs are kept: folders that never collide, and which of them to go on with."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runs import records

LAST = Path("checkpoints") / "last.ckpt"
RECORD = "record.json"

#: Parts of a config in which a resumed run may differ from its start.
FREE = (
    "budgets",
    "callbacks",
    "ckpt",
    "compile",
    "init_left_out",
    "logger",
    "logs",
    "run_dir",
    "trainer",
)

#: The environment variable in which the first of a run's processes hands its folder to the others.
SHARED = "UPZOO_RUN"


def new_folder(parent: Path, seed: int) -> Path:
    """Make `parent/seed<k>-<time>`, with a suffix where a run of the same second has that name."""
    parent.mkdir(parents=True, exist_ok=True)
    stem = f"seed{seed}-{time.strftime('%Y%m%d-%H%M%S')}"
    for attempt in range(1000):
        folder = parent / (stem if attempt == 0 else f"{stem}-{attempt}")
        try:
            folder.mkdir()  # whoever makes it owns it
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(f"{parent / stem}: a thousand runs of this second exist already")


def unfinished(parent: Path, seed: int) -> Path:
    """The newest folder of `parent` and `seed` with a `last.ckpt` whose record is not finished.

    Raises:
        ValueError: if there is none, or a record there cannot be read.
    """
    found = [
        run
        for run in parent.glob(f"seed{seed}-*")
        if (run / LAST).exists() and records.read(run / RECORD).status != "finished"
    ]
    if not found:
        raise ValueError(
            f"ckpt=last: no unfinished run with a last.ckpt in {parent}/seed{seed}-*; "
            "leave ckpt out to start one"
        )
    return max(found, key=lambda run: (run / LAST).stat().st_mtime)


def first_difference(old: Mapping[str, Any], new: Mapping[str, Any], path: str = "") -> str | None:
    """Name the first option in which two configs differ, the free parts left out.

    >>> first_difference({"seed": 0, "data": {"size": 1}}, {"seed": 0, "data": {"size": 2}})
    'data.size was 1 and is now 2'
    """
    for key in sorted(set(old) | set(new)):
        if not path and key in FREE:
            continue
        a, b = old.get(key), new.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            inner = first_difference(a, b, f"{path}{key}.")
            if inner:
                return inner
        elif a != b:
            return f"{path}{key} was {a!r} and is now {b!r}"
    return None


def share(folder: Path) -> None:
    """Name the folder of this run to the processes that it will start (`trainer=ddp`)."""
    os.environ[SHARED] = str(folder)


def shared() -> Path | None:
    """The folder of the run that this process was started to help with, if it was.

    Raises:
        ValueError: if it was started by something else than a run.
    """
    rank = os.environ.get("LOCAL_RANK", "0")
    if rank == "0":
        return None
    if SHARED not in os.environ:
        raise ValueError(
            f"LOCAL_RANK={rank}: a run starts its other processes itself: call python train.py "
            "trainer=ddp once, without torchrun"
        )
    return Path(os.environ[SHARED])


def discard(folder: Path) -> None:
    """Remove a run's folder again if nothing was written into it."""
    if not any(folder.iterdir()):
        folder.rmdir()
