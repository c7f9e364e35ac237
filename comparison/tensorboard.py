"""The comparison as TensorBoard runs: tables as text, figures, a run of curves for each operator.

Each study has a folder of its own, so that several stand side by side. Charts colour by run:
operators that share a run would share a colour. Runs that have no row in the HParams tab under the
same folder get one. Events are written without torch, by TensorBoard's own writer.
"""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from comparison import hparams
from comparison.analysis import Result
from comparison.curves import Curves, tags
from comparison.files import METHOD, listed, section
from comparison.groups import LeftOut, Run
from runs.escape import file_name
from upzoo.metrics.catalogue import SCORES

RUN, CURVES, ROWS = "comparison", "curves", "runs"


def write(
    logs: Path,
    study: str,
    results: Sequence[Result],
    left_out: Sequence[LeftOut],
    figures: Mapping[str, Sequence[Path]],
    curves: Mapping[str, Curves],
) -> Path:
    """Write the runs, in place of those of an earlier comparison of the same study.

    Args:
        logs: the folder that TensorBoard is started on.
        study: its name.
        results: a group each.
        left_out: named at the end of the text.
        figures: the group's name → PNG files.
        curves: the group's name → its variants' curves.

    Returns:
        The folder of the run `comparison/<study>`, which holds the others.
    """
    folder = logs / RUN / file_name(study)
    places = ("", f"{CURVES}/*/", f"{ROWS}/*/*/")
    earlier = [path for place in places for path in folder.glob(f"{place}events.out.tfevents.*")]
    _write(folder, _events(study, results, left_out, figures, curves))
    for label, by_step in _scalars(study, curves).items():
        events = (_event(*by_step[step], step=step) for step in sorted(by_step))
        _write(folder / CURVES / file_name(label), events)
    for result in results:
        for label, run in _without_row(result, logs):
            name = file_name(f"{result.group.model}-{label}-{result.group.data}")
            hparams.write(folder / ROWS / name / f"seed{run.seed}", run.record)
    for path in earlier:
        path.unlink(missing_ok=True)
    return folder


def where_to_look(folder: Path, logs: Path) -> list[str]:
    """What to open, and which tab shows what, in lines of at most 80 columns if names are short."""
    return [
        f"TensorBoard  tensorboard --logdir {logs}, then http://localhost:6006",
        f"             this comparison is {folder.relative_to(logs)}: tables in the tab TEXT,",
        "             figures in IMAGES, the curves of all operators in one chart in CUSTOM",
        "             SCALARS, a row for each run, to be sorted by a score, in HPARAMS",
    ]


def layout(study: str, results: Sequence[Result], curves: Mapping[str, Curves]) -> Any:
    """The layout of the custom scalars page: for each group and score, all operators in a chart.

    A second chart shades the range of the seeds.
    """
    from tensorboard.plugins.custom_scalar import layout_pb2, metadata

    categories = []
    for result in results:
        name, by_variant, charts = result.group.name, curves.get(result.group.name, {}), []
        for tag in tags(result):
            if not any(tag in by_tag for by_tag in by_variant.values()):
                continue
            title = SCORES[_metric(tag)].heading
            every = f"^{re.escape(_tag(study, name, tag, PARTS['value']))}$"
            lines = layout_pb2.MultilineChartContent(tag=[every])
            charts.append(layout_pb2.Chart(title=title, multiline=lines))
            parts = {key: _tag(study, name, tag, part) for key, part in PARTS.items()}
            series = [layout_pb2.MarginChartContent.Series(**parts)]
            margin = layout_pb2.MarginChartContent(series=series)
            charts.append(layout_pb2.Chart(title=f"{title}: range of the seeds", margin=margin))
        if charts:
            title = f"{study}: {result.group.title}"
            categories.append(layout_pb2.Category(title=title, chart=charts))
    content = layout_pb2.Layout(category=categories).SerializeToString()
    return _tensor(metadata.CONFIG_SUMMARY_TAG, content, metadata.create_summary_metadata())


#: Of a margin chart's series → the last part of our tags.
PARTS = {"value": "mean", "lower": "low", "upper": "high"}


def _metric(tag: str) -> str:
    return tag.partition("/")[2]


def _tag(study: str, group: str, tag: str, part: str) -> str:
    return f"{CURVES}/{study}/{group}/{tag}/{part}"


def _events(
    study: str,
    results: Sequence[Result],
    left_out: Sequence[LeftOut],
    figures: Mapping[str, Sequence[Path]],
    curves: Mapping[str, Curves],
) -> Iterator[Any]:
    """What is of no single operator."""
    yield _event(layout(study, results, curves))
    for result in results:
        name = result.group.name
        yield _event(_text(f"{name}/tables", "\n".join([*section(result), METHOD])))
        for path in figures.get(name, ()):
            kind = path.stem.removeprefix(f"{name}-")
            yield _event(_image(f"{name}/{kind}", path.read_bytes()))
    if left_out:
        yield _event(_text("left_out", "\n".join(listed(left_out))))


def _scalars(study: str, curves: Mapping[str, Curves]) -> dict[str, dict[int, list[Any]]]:
    """Label of a variant → step → its scalars of that step, of all groups, in the charts' units."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    every = [
        (label, _tag(study, group, tag, part), SCORES[_metric(tag)].scale, curve.steps, values)
        for group, variants in curves.items()
        for label, by_tag in variants.items()
        for tag, curve in by_tag.items()
        for part, values in zip(PARTS.values(), (curve.mean, curve.low, curve.high), strict=True)
    ]
    scalars: dict[str, dict[int, list[Any]]] = {}
    for label, tag, scale, steps, values in every:
        by_step = scalars.setdefault(label, {})
        for step, value in zip(steps, values, strict=True):
            scalar = Summary.Value(tag=tag, simple_value=scale * value)
            by_step.setdefault(int(step), []).append(scalar)
    return scalars


def _without_row(result: Result, logs: Path) -> Iterator[tuple[str, Run]]:
    """The runs, each with its variant's label, whose own folder holds no row below `logs`."""
    for variant in result.group.variants:
        for run in variant.runs.values():
            below = run.folder.resolve().is_relative_to(logs.resolve())
            if not below or not hparams.rows(run.folder):
                yield variant.label, run


def _text(tag: str, text: str) -> Any:
    from tensorboard.plugins.text import metadata

    # the metadata asks for a name, which TensorBoard shows nowhere
    return _tensor(tag, text.encode(), metadata.create_summary_metadata(tag, ""))


def _tensor(tag: str, content: bytes, metadata: Any) -> Any:
    from tensorboard.compat.proto import tensor_pb2, types_pb2
    from tensorboard.compat.proto.summary_pb2 import Summary

    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[content])
    return Summary.Value(tag=tag, tensor=tensor, metadata=metadata)


def _image(tag: str, png: bytes) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary

    # of a PNG file, bytes 16 to 24 are the width and the height
    width, height = struct.unpack(">II", png[16:24])
    image = Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=png)
    return Summary.Value(tag=tag, image=image)


def _event(*values: Any, step: int = 0) -> Any:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Event(wall_time=time.time(), step=step, summary=Summary(value=values))


def _write(folder: Path, events: Iterable[Any]) -> None:
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    folder.mkdir(parents=True, exist_ok=True)
    writer = EventFileWriter(str(folder))
    try:
        for event in events:
            writer.add_event(event)
    finally:
        writer.close()
