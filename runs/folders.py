"""Where runs are kept: folders that never collide."""

import os
import time
from pathlib import Path

LAST = Path("checkpoints") / "last.ckpt"
RECORD = "record.json"

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
