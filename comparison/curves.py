"""Learning curves of variants: scalars from TensorBoard events, or a file of them, by a record."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from comparison.analysis import Result, first
from comparison.groups import Variant
from runs import board
from upzoo.metrics.catalogue import former

#: What `studies.archive` leaves of the events: tag → [[step, value], …].
FILE = "curves.json"
#: An event with one scalar takes fewer bytes than this; longer ones hold pictures.
MAX_EVENT_BYTES = 1024


@dataclass(frozen=True)
class Curve:
    """A score over the steps that all seeds of a variant have: mean, least, greatest, (n,) each."""

    steps: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


#: Label of a variant → tag → its curve.
Curves = Mapping[str, Mapping[str, Curve]]


def tags(result: Result) -> list[str]:
    """What curves are drawn of: the first quality, boundary and artifact."""
    boundary = first(result.estimates, "boundary")
    shown = [f"val/{name}" for name in (result.quality, boundary) if name]
    return [*shown, f"artifacts/{result.artifact}"] if result.artifact else shown


def read(result: Result) -> dict[str, dict[str, Curve]]:
    """The curves of all variants of a group, where there are events of them."""
    return {variant.label: curves(variant, tags(result)) for variant in result.group.variants}


def curves(variant: Variant, wanted: Sequence[str]) -> dict[str, Curve]:
    """Tag → the mean over those of a variant's runs that have events of it."""
    runs = [scalars(run.folder, wanted) for run in variant.runs.values()]
    by_tag = {}
    for tag in wanted:
        runs_with_it = [values[tag] for values in runs if values[tag]]
        steps = sorted(set.intersection(*map(set, runs_with_it))) if runs_with_it else []
        if steps:
            rows = [[values[step] for step in steps] for values in runs_with_it]
            table = np.array(rows)  # (runs, n)
            by_tag[tag] = Curve(np.array(steps), table.mean(0), table.min(0), table.max(0))
    return by_tag


def scalars(folder: Path, wanted: Sequence[str]) -> dict[str, dict[int, float]]:
    """Tag → step → value, from all event files of a folder; what was written later counts."""
    from tensorboard.compat.proto.event_pb2 import Event

    # files, and events of earlier versions, hold a score under its own name or the one that it had
    tags = {old: tag for tag in wanted for old in (*former(tag), tag, board.tag(tag))}
    archived = json.loads((folder / FILE).read_text()) if (folder / FILE).is_file() else {}
    by_tag: dict[str, dict[int, float]] = {tag: {} for tag in wanted}
    for old, tag in tags.items():
        by_tag[tag] |= dict(archived.get(old, ()))
    encoded = [tag.encode() for tag in tags]
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for data in _short_records(path):
            if not any(tag in data for tag in encoded):
                continue
            event = Event.FromString(data)
            for value in event.summary.value:
                if value.tag in tags and np.isfinite(value.simple_value):
                    by_tag[tags[value.tag]][event.step] = value.simple_value
    return by_tag


def _short_records(path: Path) -> Iterator[bytes]:
    """The short records of a TFRecord file; pictures are stepped over, a cut-off end is no fault.

    A record is its length in 8 bytes, their checksum in 4, the data, and its checksum in 4.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        while len(head := file.read(12)) == 12:
            length = struct.unpack("<Q", head[:8])[0]
            if file.tell() + length + 4 > size:
                return
            if length < MAX_EVENT_BYTES:
                yield file.read(length)
                file.seek(4, 1)
            else:
                file.seek(length + 4, 1)
