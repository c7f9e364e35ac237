"""What TensorBoard reads back from the run `comparison`."""

import io
import re

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2, metadata

from comparison import groups, tensorboard
from comparison.analysis import analyse
from comparison.curves import Curve
from runs.escape import file_name
from tests.comparison.fabricated import write


@pytest.fixture
def board(tmp_path):
    for name, miou in (("bilinear_init", 0.5), ("carafe", 0.6)):
        for seed in range(2):
            write(tmp_path, name, seed, {"miou": miou + seed / 100})
    write(tmp_path, "sapa", 0, {}, status="failed")
    study = groups.collect([tmp_path])
    results = [analyse(study.groups[0], "bilinear_init")]
    picture = tmp_path / "fcn8s-shapes-front.png"
    Image.new("RGB", (90, 40), "red").save(picture)
    curve = Curve(*(np.array(x) for x in ([5, 9], [0.1, 0.2], [0.0, 0.1], [0.2, 0.4])))
    curves = {"fcn8s-shapes": {"carafe": {"val/miou": curve}, "bilinear_init": {}}}
    for _ in range(2):  # the second takes the place of the first
        folder = tensorboard.write(
            tmp_path / "logs", "mine", results, study.left_out, {"fcn8s-shapes": [picture]}, curves
        )
    assert folder == tmp_path / "logs" / "comparison" / "mine"
    assert len(list(folder.glob("events*"))) == 1
    return read(folder)


def read(folder):
    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def test_tables_are_text(board):
    text = board.Tensors("fcn8s-shapes/tables")[0].tensor_proto.string_val[0].decode()
    assert "| operator | ↑ Mean IoU, % |" in text
    assert "| carafe | 60.5 ± 6.4 |" in text
    left = board.Tensors("left_out")[0].tensor_proto.string_val[0].decode()
    assert "its status is 'failed'" in left
    assert board.SummaryMetadata("left_out").plugin_data.plugin_name == "text"


def test_figures_are_images(board):
    image = board.Images("fcn8s-shapes/front")[0]
    assert (image.width, image.height) == (90, 40)
    assert Image.open(io.BytesIO(image.encoded_image_string)).size == (90, 40)


def test_curves_are_scalars_and_overlaid(board, tmp_path):
    runs = {
        path.name: read(path)
        for path in (tmp_path / "logs" / "comparison" / "mine").glob("curves/*")
    }
    assert list(runs) == ["carafe"], "a run of its own for each operator that has curves"
    tag = "curves/mine/fcn8s-shapes/val/miou/mean"
    assert [(e.step, e.value) for e in runs["carafe"].Scalars(tag)] == [
        (5, pytest.approx(10)),  # per cent, as the chart's title says
        (9, pytest.approx(20)),
    ]
    content = board.Tensors(metadata.CONFIG_SUMMARY_TAG)[0].tensor_proto.string_val[0]
    layout = layout_pb2.Layout.FromString(content)
    assert [category.title for category in layout.category] == ["mine: fcn8s on shapes, test"]
    lines, band = layout.category[0].chart
    assert lines.title == "Mean IoU, %"
    scalars = runs["carafe"].Tags()["scalars"]
    assert [t for t in scalars if re.match(lines.multiline.tag[0], t)] == [tag]
    (series,) = band.margin.series
    assert [series.lower, series.value, series.upper] == [
        f"curves/mine/fcn8s-shapes/val/miou/{part}" for part in ("low", "mean", "high")
    ]
    assert {series.value, series.lower, series.upper} == set(scalars)


def test_labels_become_folders_that_differ():
    long = [f"carafe task.class_weights=[{'1.5,' * 40}{i}]" for i in range(2)]
    names = [file_name(label) for label in ("..", "a/b", "a_b", *long)]
    assert len(set(names)) == 5
    assert max(map(len, names)) <= 100
    assert not any("/" in name for name in names)
