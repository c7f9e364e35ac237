"""Files and folders that are written whole or not at all."""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path


class NotWrittenError(OSError):
    """A disk that is full, read-only or gone: nothing was written under the final name."""


@contextlib.contextmanager
def whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A place beside `path`; what is written there takes the name `path` at the end.

    The content reaches the disk before the name does. Where anything goes wrong, what `path` was
    stays, and nothing is left beside it; what a killed process left there is removed the next time.

        with whole("scores.json") as beside:
            beside.write_text(text)

    Args:
        path: of a file, or of a folder that `beside` is made as. It replaces one of the same name.

    Raises:
        NotWrittenError: where the system refuses to write; one line that names `path`.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_strays(path.parent, path.name)
        yield beside
        _sync(beside)
        _replace(beside, path)
    except NotWrittenError:
        raise
    except OSError as error:
        raise NotWrittenError(f"{path}: not written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            _remove(beside)


def remove_strays(folder: Path, name: str | None = None) -> None:
    """Remove what writers that were killed have left in a folder.

    A folder that was being replaced at that moment gets its name back.

    Args:
        folder: where they wrote.
        name: what they were to write; None for anything.
    """
    stray = re.compile(rf"\.({re.escape(name) if name else '.+'})\.(\d+)\.(tmp|old)")
    for path in list(folder.iterdir()) if folder.is_dir() else []:
        match = stray.fullmatch(path.name)
        if match is None or _alive(int(match[2])):
            continue
        with contextlib.suppress(OSError):  # of somebody else, or gone meanwhile
            if match[3] == "old" and not (folder / match[1]).exists():
                os.replace(path, folder / match[1])
            else:
                _remove(path)


def _replace(beside: Path, path: Path) -> None:
    """Give the new its name; a folder of that name first steps aside, which `rename` asks for."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.old")
    if path.is_dir() and beside.is_dir():
        os.replace(path, aside)
    try:
        os.replace(beside, path)
    except BaseException:
        if aside.exists():
            os.replace(aside, path)
        raise
    _remove(aside)
    with contextlib.suppress(OSError):  # not every file system can
        _sync_one(path.parent)


def _sync(path: Path) -> None:
    """Wait until the disk has a file, or the files of a folder and their names."""
    for each in (*(path.iterdir() if path.is_dir() else ()), path):
        _sync_one(each)


def _sync_one(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folder
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    if os.name == "nt":
        return True  # where this question would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # of another user
    return True
