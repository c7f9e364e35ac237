"""Runs as rows of TensorBoard's HParams tab: what was chosen, and the headline scores and costs.

No experiment is declared: TensorBoard then takes the columns and filters from the rows themselves,
sorted by tag, and shows the first five; of several declared experiments it would heed one,
whichever it found first.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from comparison.groups import COSTS, flatten
from runs import board
from runs.options import labels, options_of
from runs.records import Record
from upzoo.metrics.catalogue import SCORES, is_detail, ordered

#: How the name of the event file ends that holds a row.
SUFFIX = ".hparams"


def write(folder: Path, record: Record, *, scores: bool = True) -> None:
    """Write the row of a finished run, in place of an earlier one.

    Args:
        folder: of the TensorBoard run, which may hold other events.
        record: of the run.
        scores: whether to write them; false where the run's own events hold them.
    """
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    folder.mkdir(parents=True, exist_ok=True)
    earlier = rows(folder)
    values = [
        Summary.Value(tag=tag, simple_value=x)
        for tag, x in metrics(record).items()
        if scores or tag.startswith(board.COSTS)
    ]
    writer = EventFileWriter(str(folder), filename_suffix=SUFFIX)
    try:
        summary = Summary(value=[*_session(choices(record)), *values])
        writer.add_event(Event(wall_time=time.time(), summary=summary))
    finally:
        writer.close()
    for path in earlier:
        path.unlink()


def rows(folder: Path) -> list[Path]:
    """The event files of a run's folder that hold a row of it."""
    return list(folder.glob(f"events.out.tfevents.*{SUFFIX}"))


def choices(record: Record) -> dict[str, str | float]:
    """The hyperparameters: as many as TensorBoard shows unasked, and every run has each.

    `options` are those of the operator that differ from its defaults. They share a column, since
    the parallel coordinates leave out every run that lacks one of the columns shown.
    """
    operator = record.choices["upsample"]
    label = labels([(operator, frozenset(options_of(record.config).items()))])[0]
    return {
        "operator": operator,
        "options": label.removeprefix(operator).strip() or "default",
        "model": record.choices["model"],
        "data": record.choices["data"],
        "seed": record.choices["seed"],
    }


def metrics(record: Record) -> dict[str, float]:
    """Tag → value of the scores and the costs that a record has, in the record's units.

    Left out are those that the catalogue calls further ones, but for scores that it lacks. Scores
    have the tags that a run's own events give them.
    """
    costs = {name: record.cost[name] for name in COSTS}
    values = flatten(record.metrics.get(record.data["split"], {})) | flatten(costs)
    further = {n for n, score in SCORES.items() if score.kind in ("further", "diagnostic")}
    names = (name for name in ordered(values) if name not in further and not is_detail(name))
    return {
        board.tag(f"{'usage' if name in COSTS else 'test'}/{name}"): values[name] for name in names
    }


def _session(hparams: dict[str, str | float]) -> list[Any]:
    """The plugin's marks of a finished training with these hyperparameters."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    start = plugin_data_pb2.SessionStartInfo()
    for name, value in hparams.items():
        kind = "string_value" if isinstance(value, str) else "number_value"
        setattr(start.hparams[name], kind, value)
    end = plugin_data_pb2.SessionEndInfo(status=api_pb2.STATUS_SUCCESS)
    parts = {
        metadata.SESSION_START_INFO_TAG: {"session_start_info": start},
        metadata.SESSION_END_INFO_TAG: {"session_end_info": end},
    }
    return [
        Summary.Value(
            tag=tag,
            tensor=metadata.NULL_TENSOR,
            metadata=metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(**part)),
        )
        for tag, part in parts.items()
    ]
