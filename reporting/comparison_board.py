"""The comparison as a TensorBoard run: tables as text, figures, and curves that overlay operators.

Events are written without torch, by TensorBoard's own writer.
"""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reporting.comparison import LeftOut
from reporting.comparison_curves import Curves, tags
from reporting.comparison_files import METHOD, markdown_table
from reporting.comparison_scores import METRICS, Result
from reporting.comparison_tables import sheets, words

RUN = "comparison"


def write(
    logs: Path,
    results: Sequence[Result],
    left_out: Sequence[LeftOut],
    figures: Mapping[str, Sequence[Path]],
    curves: Mapping[str, Curves],
) -> Path:
    """Write the run, in place of an earlier one's events.

    Args:
        logs: the folder that TensorBoard is started on.
        results: a group each.
        left_out: named at the end of the text.
        figures: the group's name → PNG files.
        curves: the group's name → its arms' curves.

    Returns:
        The run's folder.
    """
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    folder = logs / RUN
    folder.mkdir(parents=True, exist_ok=True)
    earlier = list(folder.glob("events.out.tfevents.*"))
    writer = EventFileWriter(str(folder))
    try:
        writer.add_event(_event(layout(results, curves)))
        for result in results:
            name = result.group.name
            writer.add_event(_event(_text(f"{name}/tables", page(result))))
            for path in figures.get(name, ()):
                kind = path.stem.removeprefix(f"{name}-")
                writer.add_event(_event(_image(f"{name}/{kind}", path.read_bytes())))
            for step, values in _scalars(name, curves.get(name, {})):
                writer.add_event(_event(*values, step=step))
        if left_out:
            named = "\n".join(f"* `{each.path}`: {each.reason}" for each in left_out)
            writer.add_event(_event(_text("left_out", named)))
    finally:
        writer.close()
    for path in earlier:
        path.unlink()
    return folder


def page(result: Result) -> str:
    """The tables and conclusions of a group in Markdown."""
    lines = [f"## {result.group.title}", ""]
    for sheet in sheets(result):
        lines += [f"**{sheet.title}**", "", *markdown_table(sheet, result), ""]
    lines += [f"* {sentence}" for sentence in [*words(result), *result.notes]]
    return "\n".join([*lines, "", METHOD])


def layout(results: Sequence[Result], curves: Mapping[str, Curves]) -> Any:
    """The layout of the custom scalars page: for each group and score, all operators in a chart.

    A second chart shades the range of the seeds.
    """
    from tensorboard.plugins.custom_scalar import layout_pb2, metadata

    categories = []
    for result in results:
        name, found, charts = result.group.name, curves.get(result.group.name, {}), []
        for tag in tags(result):
            arms = [label for label in found if tag in found[label]]
            if not arms:
                continue
            title = METRICS[tag.partition("/")[2]].title
            every = re.escape(f"curves/{name}/{tag}/") + "[^/]+/mean$"
            lines = layout_pb2.MultilineChartContent(tag=[every])
            charts.append(layout_pb2.Chart(title=title, multiline=lines))
            series = [
                layout_pb2.MarginChartContent.Series(
                    **{key: _tag(name, tag, label, kind) for key, kind in PARTS.items()}
                )
                for label in arms
            ]
            margin = layout_pb2.MarginChartContent(series=series)
            charts.append(layout_pb2.Chart(title=f"{title}: range of the seeds", margin=margin))
        if charts:
            categories.append(layout_pb2.Category(title=result.group.title, chart=charts))
    content = layout_pb2.Layout(category=categories).SerializeToString()
    return _tensor(metadata.CONFIG_SUMMARY_TAG, content, metadata.create_summary_metadata())


#: Of a margin chart's series → the last part of our tags.
PARTS = {"value": "mean", "lower": "low", "upper": "high"}


def _tag(group: str, tag: str, label: str, part: str) -> str:
    return f"curves/{group}/{tag}/{label}/{part}"


def _scalars(group: str, curves: Curves) -> list[tuple[int, list[Any]]]:
    """Step → all scalars of that step."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    by_step: dict[int, list[Any]] = {}
    for label, found in curves.items():
        for tag, curve in found.items():
            for part in PARTS.values():
                for step, value in zip(curve.steps, getattr(curve, part), strict=True):
                    scalar = Summary.Value(tag=_tag(group, tag, label, part), simple_value=value)
                    by_step.setdefault(int(step), []).append(scalar)
    return sorted(by_step.items(), key=lambda item: item[0])


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
