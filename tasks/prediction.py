"""Apply a net to images of a user's own, at their own size."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from rich.console import Console
from rich.progress import Progress

from data.files import IMAGE_SUFFIXES, DataError
from data.listing import list_files, summary
from tasks import photos
from upzoo import metadata
from upzoo.base import Net
from upzoo.tiles import Tile


def plan(
    source: str | Path, target: str | Path | None, kind: str = "mask"
) -> tuple[list[tuple[Path, Path]], dict[str, str]]:
    """Which image goes to which result, and what of a folder is left out and why.

    Args:
        source: an image, or a folder of images, which may hold folders.
        target: for an image the result's file or a folder for it, for a folder a folder. By default
            `<name>_<kind>.png` beside the image, or `<folder>_<kind>s`, with folders as there.
        kind: what the results are called.

    Raises:
        FileNotFoundError: if there is nothing at `source`.
        ValueError: for a folder without images, or a folder's target that is a file.
    """
    source = Path(source)
    if not source.exists():
        raise FileNotFoundError(f"input={source}: no such file or folder")
    if source.is_file():
        if target is None:
            return [(source, source.with_name(f"{source.stem}_{kind}.png"))], {}
        target = Path(target)
        if target.is_dir():
            return [(source, target / f"{source.stem}.png")], {}
        if target.suffix.lower() != ".png":
            raise ValueError(
                f"output={target}: the {kind} is a PNG file: give a name ending in .png"
            )
        return [(source, target)], {}
    folder = source.with_name(f"{source.name}_{kind}s") if target is None else Path(target)
    if folder.is_file():
        raise ValueError(f"output={folder} is a file, and input={source} a folder: give a folder")
    listing = list_files(source, besides=folder)
    if not listing.names:
        held = summary(listing.left_out)
        raise ValueError(
            f"input={source}: no image in this folder ({held or ', '.join(IMAGE_SUFFIXES)})"
        )
    stems = Counter(_stem(name) for name in listing.names)
    pairs = [
        (source / name, folder / f"{_stem(name) if stems[_stem(name)] == 1 else name}.png")
        for name in listing.names
    ]
    return pairs, listing.left_out


def _stem(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()


def write_all(write: Callable[[Path, Path], None], pairs: Sequence[tuple[Path, Path]]) -> list[str]:
    """Write each result from its image; goes on past images that cannot be read.

    Args:
        write: makes the file of its second argument from the image of its first.
        pairs: as `plan` gives them.

    Returns:
        A line for each failure.

    Raises:
        ValueError: if there was one image alone.
    """
    if len(pairs) == 1:
        write(*pairs[0])
        return []
    return [line for pair in pairs if (line := _failure(write, *pair))]


def _failure(write: Callable[[Path, Path], None], source: Path, target: Path) -> str:
    """Why a result could not be written from its image; nothing where it was."""
    try:
        write(source, target)
    except DataError as error:
        return str(error)
    except ValueError as error:  # of a net that takes no image of its size
        return f"{source}: {error}"
    return ""


def predict_files(
    net: Net,
    card: Mapping[str, Any],
    source: str,
    target: str | None,
    *,
    overlay: bool = False,
    self_ensemble: bool = False,
) -> None:
    """Apply the net to a user's own images: masks, rebuilt or enlarged images.

    Args:
        net: in evaluation mode.
        card: what its checkpoint carries: mean, std, and the palette of a segmentation.
        source: an image, or a folder of images.
        target: as in `plan`.
        overlay: of a segmentation, also the image under the colours of its classes.
        self_ensemble: enlarge by the mean over the eight flips and turns of an image.
    """
    refuse_net(net, card)
    kind, write = _kind(net, card, overlay, self_ensemble)
    pairs, left_out = plan(source, target, kind)
    with Tiles(len(pairs)) as bar:
        failures = write_all(partial(_write, write, bar), pairs)
    where = pairs[0][1] if len(pairs) == 1 else os.path.commonpath([p.parent for _, p in pairs])
    done = len(pairs) - len(failures)
    beside = f", {'each with ' if done > 1 else ''}an overlay beside it" if overlay else ""
    print(f"{done} {kind}{'s' if done > 1 else ''} written: {where}{beside}")
    if left_out:
        print(summary(left_out))
    if failures:
        raise ValueError(f"{len(failures)} of {len(pairs)} images failed: {'; '.join(failures)}")


def _kind(
    net: Net, card: Mapping[str, Any], overlay: bool, self_ensemble: bool
) -> tuple[str, Callable[..., None]]:
    """What a net makes of an image, and what writes it."""
    segments, enlarges = metadata.segments(card), net.scale > 1
    if overlay and not segments:
        raise ValueError("overlay=true: only a segmentation has classes to lay over: leave it out")
    if self_ensemble and not enlarges:
        raise ValueError("self_ensemble=true: this net does not enlarge images: leave it out")
    if segments:
        return "mask", partial(photos.segment_file, net, card, overlaid=overlay)
    if enlarges:
        return "enlargement", partial(photos.enlarge_file, net, card, ensemble=self_ensemble)
    return "reconstruction", partial(photos.rebuild_file, net, card)


def _write(write: Callable[..., None], bar: Tiles, source: Path, target: Path) -> None:
    write(source, target, steps=partial(bar.steps, source.name))
    bar.next()


class Tiles:
    """A progress bar on standard error, of the images and of the tiles of one; in a terminal alone.

    Args:
        images: how many there are.
    """

    def __init__(self, images: int) -> None:
        console = Console(stderr=True)
        self.progress = Progress(console=console, transient=True, disable=not console.is_terminal)
        self.images = self.progress.add_task("images", total=images, visible=images > 1)

    def __enter__(self) -> Tiles:
        self.progress.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.progress.stop()

    def steps(self, name: str, parts: Sequence[Tile]) -> Iterator[Tile]:
        """Go through the tiles of an image."""
        task = self.progress.add_task(name, total=len(parts), visible=len(parts) > 1)
        yield from self.progress.track(parts, task_id=task)
        self.progress.remove_task(task)

    def next(self) -> None:
        """One image is done."""
        self.progress.advance(self.images)


def refuse_net(net: Net, card: Mapping[str, Any]) -> None:
    """Refuse, in one line, a net that makes nothing of a picture."""
    if net.takes == "noise":
        raise ValueError("this net draws from noise, not from images: give samples=64 output=PNG")
    if net.makes == "scores":
        raise ValueError("this net judges whole images and makes none: leave input out")
    channels = len(metadata.normalisation(card)[0])
    if channels not in (1, 3):
        raise ValueError(
            f"this net reads images of {channels} channels, and input= gives it 3, or their "
            "luminance: apply it in Python, net(x)"
        )
