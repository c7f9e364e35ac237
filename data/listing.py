"""Which files of a folder are used, and why the others are not."""

import os
import re
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from data.files import IMAGE_SUFFIXES, DataError, UnreadableError, check_image

HIDDEN = "hidden"
OTHER = "no image"
SECOND_LINK = "second link to another file"
LOOP = "link to a folder around it"
#: Files named in a summary for each reason; the rest are counted.
NAMED = 3


@dataclass
class Listing:
    """Files below a folder.

    Attributes:
        root: the folder.
        names: those that are used, relative to it, with / between folders, sorted.
        left_out: those that are not -> why.
    """

    root: Path
    names: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def list_files(
    root: Path, suffixes: Container[str] = IMAGE_SUFFIXES, besides: Path | None = None
) -> Listing:
    """All files below a folder with one of these suffixes in any case; links are followed.

    Left out are hidden files and folders (`.DS_Store`, `._x.png`, `.ipynb_checkpoints`), other
    suffixes, links to nothing, folders that link to one around them, and names that are no UTF-8.

    Args:
        root: the folder.
        suffixes: in lower case, with their dots.
        besides: a folder to pass over, such as that of the results.

    Raises:
        FileNotFoundError: no such folder.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}")
    listing = Listing(root)
    for name, why in _walk(root, "", frozenset([root.resolve()]), besides):
        if not why and Path(name).suffix.lower() not in suffixes:
            why = OTHER
        if why:
            listing.left_out[name] = why
        else:
            listing.names.append(name)
    listing.names.sort()
    return listing


def _walk(
    folder: Path, prefix: str, around: frozenset[Path], besides: Path | None
) -> Iterator[tuple[str, str]]:
    """(name, "" or why it is left out) of each file below a folder, and of folders left out."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except PermissionError:
        yield prefix.rstrip("/") or ".", "folder that may not be read"
        return
    for entry in entries:
        name = f"{prefix}{entry.name}"
        if entry.name.startswith("."):
            yield name, HIDDEN
        elif not _is_text(entry.name):
            yield name.encode(errors="backslashreplace").decode(), "name that is no UTF-8"
        elif entry.is_dir():
            real = Path(entry.path).resolve()
            if besides is not None and real == besides.resolve():
                continue
            if real in around:
                yield name, LOOP
            else:
                yield from _walk(Path(entry.path), f"{name}/", around | {real}, besides)
        elif not Path(entry.path).exists():
            yield name, "link to nothing"
        elif not entry.is_file():
            yield name, "no regular file"
        else:
            yield name, ""


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # a byte that is no UTF-8
        return False
    return True


def list_images(root: Path) -> Listing:
    """All whole images below a folder, each file once: of several links the first by name stays.

    Raises:
        FileNotFoundError: no such folder.
        DataError: no image in it.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}: set data.root to a folder of images")
    listing = list_files(root)
    once: dict[Path, str] = {}
    for name in listing.names:
        if once.setdefault((root / name).resolve(), name) != name:
            listing.left_out[name] = SECOND_LINK
    names = list(once.values())
    faults = check_all([root / name for name in names])
    for name in names:
        if isinstance(fault := faults[root / name], UnreadableError):
            listing.left_out[name] = unreadable(fault)
    listing.names = [name for name in names if name not in listing.left_out]
    if not listing.names:
        raise DataError(no_image(listing))
    return listing


def check_all(paths: Sequence[Path]) -> dict[Path, tuple[int, int] | UnreadableError]:
    """(height, width) of each image as it is shown, or why it cannot be read."""

    def check(path: Path) -> tuple[int, int] | UnreadableError:
        try:
            return check_image(path)
        except UnreadableError as error:
            return error

    with ThreadPoolExecutor() as pool:
        return dict(zip(paths, pool.map(check, paths), strict=True))


def unreadable(fault: UnreadableError) -> str:
    """The fault of a file without its path, which a listing names already."""
    return f"unreadable: {re.sub(r'^cannot read the (image|mask) .*?: ', '', str(fault))}"


def no_image(listing: Listing) -> str:
    """That a folder holds no image, and what it holds."""
    held = summary(listing.left_out)
    return (
        f"{listing.root} holds no image; wanted are {', '.join(IMAGE_SUFFIXES)} files"
        f"{f' ({held})' if held else ''}"
    )


def summary(left_out: Mapping[str, str]) -> str:
    """What is left out and why, in one line: a count for each reason, and the first names.

    >>> summary({"b.png": "unreadable: truncated", ".DS_Store": "hidden", "c.txt": "no image"})
    'left out: 1 × unreadable (b.png: truncated), 1 × hidden (.DS_Store), 1 × no image (c.txt)'
    """
    if not left_out:
        return ""
    groups: dict[str, list[str]] = defaultdict(list)
    for name, why in left_out.items():
        kind, _, detail = why.partition(": ")
        groups[kind].append(f"{name}: {detail}" if detail else name)
    parts = []
    for kind, names in groups.items():
        more = ["…"] if len(names) > NAMED else []
        parts.append(f"{len(names)} × {kind} ({', '.join(names[:NAMED] + more)})")
    return " ".join(f"left out: {', '.join(parts)}".split())
