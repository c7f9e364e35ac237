"""Where runs are kept: folders that never collide."""

import contextlib
import fcntl
import os
import shutil
import time
from pathlib import Path

from upzoo.atomic import NotWrittenError

LAST = Path("checkpoints") / "last.ckpt"
RECORD = "record.json"
CONFIG = "config.yaml"

#: The environment variable in which the first of a run's processes hands its folder to the others.
SHARED = "UPZOO_RUN"

#: Folders of runs that this process keeps to itself, and their open descriptors.
_OWNED: dict[Path, int] = {}


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


def own(run: Path) -> None:
    """Keep a run's folder to this process until it ends, however it ends.

    Raises:
        ValueError: another process has it.
    """
    try:
        _OWNED[run.resolve()] = _lock(run)
    except BlockingIOError:
        if run.resolve() not in _OWNED:
            raise ValueError(
                f"{run}: another process is training this run: wait for it, or stop it first"
            ) from None


def is_owned(run: Path) -> bool:
    """Whether a process, another or this one, has a run's folder."""
    try:
        os.close(_lock(run))
    except BlockingIOError:
        return True
    return False


def disown(run: Path) -> None:
    """Leave a run's folder to others."""
    descriptor = _OWNED.pop(run.resolve(), None)
    if descriptor is not None:
        os.close(descriptor)


def _leave_to_parent() -> None:
    """Let go, in a loader's worker, of what would outlive a parent that was killed."""
    for descriptor in _OWNED.values():
        os.close(descriptor)
    _OWNED.clear()


os.register_at_fork(after_in_child=_leave_to_parent)


def _lock(run: Path) -> int:
    descriptor = os.open(run, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:
        pass  # not every network's file system can lock
    return descriptor


def remove_checkpoints(run: Path) -> None:
    """Remove what only going on with a run needs; its weights are in the model file."""
    shutil.rmtree(run / LAST.parent, ignore_errors=True)


def refuse_gone(run: Path) -> None:
    """Refuse to write into a run's folder that somebody has removed, or whose disk is away.

    Raises:
        NotWrittenError: it is not there.
    """
    if not run.is_dir():
        raise NotWrittenError(f"{run}: the run's folder is gone")


def discard(folder: Path) -> None:
    """Remove a run's folder again, and those around it that were made for it, if all are empty.

    These are the variant's, the name's and that of the logs.
    """
    disown(folder)
    with contextlib.suppress(OSError):
        if [path.name for path in folder.iterdir()] == [CONFIG]:
            (folder / CONFIG).unlink()
        for each in (folder, *folder.parents[:3]):
            each.rmdir()
