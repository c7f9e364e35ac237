"""What the figures show, read back from their axes, and how they are written."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from comparison import curves, figures, groups, pictures, plot
from comparison.analysis import analyse
from tests.comparison.fabricated import write
from upzoo.upsampling import OPERATORS


@pytest.fixture
def result(tmp_path):
    table = {"bilinear_init": (0.50, 2.0), "carafe": (0.6, 4.0), "dysample": (0.45, 3.0)}
    for name, (miou, grid) in table.items():
        for seed in range(3):
            wiggle = (seed - 1) / 100
            found = {
                "miou": miou + wiggle,
                "checkerboard_db": grid - wiggle,
                "per_class_iou": {"sky": miou, "car": miou / 2},
            }
            write(tmp_path, name, seed, found)
    return analyse(groups.collect([tmp_path]).groups[0], "bilinear_init")


def marks(axes, symbols=("o", "s", "^")):
    return [line for line in axes.lines if line.get_marker() in symbols]


def test_the_front_has_a_mark_with_two_intervals_for_each_variant(result):
    axes = figures.pareto_front(result).axes[0]
    assert [(m.get_xdata()[0], m.get_ydata()[0]) for m in marks(axes)] == [
        (pytest.approx(4.0), pytest.approx(60.0)),
        (pytest.approx(2.0), pytest.approx(50.0)),
        (pytest.approx(3.0), pytest.approx(45.0)),
    ]
    half = 4.302653 / np.sqrt(3)  # of a spread of 1 %
    across = [line for line in axes.lines if len(line.get_xdata()) == 2][1]
    assert across.get_ydata() == pytest.approx([60 - half, 60 + half])
    texts = [t.get_text() for t in axes.get_legend().get_texts()]
    assert texts == ["carafe ★", "bilinear_init ★", "dysample"]
    assert {t.get_text() for t in axes.texts} == {"carafe", "bilinear_init"}, "the front is named"


def test_marks_on_one_place_share_a_line_of_names(tmp_path):
    for name, miou in {"bilinear_init": 0.5, "interpolate": 0.5, "carafe": 0.6}.items():
        for seed in range(3):
            write(tmp_path, name, seed, {"miou": miou + seed / 100, "checkerboard_db": 30 * miou})
    found = analyse(groups.collect([tmp_path]).groups[0], "bilinear_init")
    texts = figures.pareto_front(found).axes[0].texts
    assert {t.get_text() for t in texts} == {"carafe", "bilinear_init, interpolate"}
    boxes = [t.get_window_extent() for t in texts]
    assert not boxes[0].overlaps(boxes[1])


def test_differences_are_filled_where_significant(result):
    axes = figures.forest(result).axes[0]
    carafe, dysample = marks(axes)
    assert carafe.get_xdata()[0] == pytest.approx(10)
    assert dysample.get_xdata()[0] == pytest.approx(-5)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["carafe", "dysample"]


def test_classes_have_a_panel_each(result):
    figure = figures.classes(result, "per_class_iou", "miou")
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
    assert titles == ["all classes", "sky", "car"]
    car = figure.axes[2]
    assert [m.get_xdata()[0] for m in marks(car)] == pytest.approx([30, 25, 22.5])
    assert figures.classes(result, "per_class_f1", "boundary_f1") is None


def event(*scalars, step):
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars]
    return Event(step=step, summary=Summary(value=values)).SerializeToString()


def tfrecords(*contents):
    return b"".join(struct.pack("<Q", len(c)) + b"\0" * 4 + c + b"\0" * 4 for c in contents)


def test_curves_are_means_over_the_seeds_where_all_have_a_value(result):
    variant = next(a for a in result.group.variants if a.label == "carafe")
    for seed, values in enumerate([(0.1, 0.3), (0.2, 0.5), (0.6, 0.4)]):
        events = [event(("val/miou", v), ("other", 9.0), step=10 * i) for i, v in enumerate(values)]
        events.insert(1, b"val/miou" * 1000)  # as long as a picture: stepped over, never parsed
        if seed == 0:
            events.append(event(("val/miou", 0.9), step=20))
        path = variant.runs[seed].folder / f"events.out.tfevents.{seed}"
        path.write_bytes(tfrecords(*events) + b"\7" * 5)  # cut off in the next
    found = curves.read(result)
    assert found["dysample"] == {}
    curve = found["carafe"]["val/miou"]
    assert curve.steps.tolist() == [0, 10]
    assert curve.mean == pytest.approx([0.3, 0.4])
    assert curve.low == pytest.approx([0.1, 0.3])
    assert curve.high == pytest.approx([0.6, 0.5])
    axes = figures.learning(result, found).axes[0]
    assert marks(axes)[0].get_ydata() == pytest.approx([30, 40])


def test_what_is_logged_by_torch_is_read(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        for step in range(3):
            writer.add_scalar("val/miou", 0.25 * step, step)
        writer.add_image("picture", np.zeros((3, 64, 64), dtype=np.uint8), 0)
        writer.add_scalar("val/miou", float("nan"), 3)
    found = curves.scalars(tmp_path, ["val/miou"])
    assert found == {"val/miou": {0: 0.0, 1: 0.25, 2: 0.5}}


def test_files_are_small_and_900_wide(result, tmp_path):
    paths = figures.draw(result, {}, tmp_path / "figures")
    assert [p.stem.rpartition("-")[2] for p in paths] == ["front", "differences", "classes"]
    for path in paths:
        assert path.stat().st_size <= plot.MAX_FILE_BYTES
        with Image.open(path) as image:
            assert image.width == 1800, "twice the page's, for fine screens"


def test_a_figure_full_of_noise_is_brought_under_the_limit(tmp_path):
    figure, axes = plot.page(height=300)
    axes.imshow(np.random.default_rng(0).random((200, 800, 3)), aspect="auto")
    path = plot.save(figure, tmp_path / "noise.png")
    raw = io.BytesIO()
    figure.savefig(raw, format="png")
    assert path.stat().st_size <= plot.MAX_FILE_BYTES < raw.tell()
    with Image.open(path) as image:
        assert image.size in ((1800, 600), (900, 300))


def test_every_operator_looks_different_whoever_else_is_there(result):
    variants = [groups.Variant(name, name, {}, {}) for name in OPERATORS]
    looks = [plot.look(variant, variants) for variant in variants]
    assert len({(look["color"], look["marker"]) for look in looks}) == len(variants)
    assert all(
        plot.look(variant, [variant]) == look for variant, look in zip(variants, looks, strict=True)
    )
    further = groups.Variant("carafe kernel_up=7", "carafe", {}, {})
    carafe = variants[list(OPERATORS).index("carafe")]
    assert (
        plot.look(further, [*variants, further])["marker"] != plot.look(carafe, variants)["marker"]
    )


def test_a_chart_tells_eight_variants_apart(tmp_path):
    for number, name in enumerate(OPERATORS):
        for seed in range(2):
            scores = {"miou": 0.3 + number / 100 + seed / 1000, "checkerboard_db": 2.0 + number}
            write(tmp_path, name, seed, scores)
    result = analyse(groups.collect([tmp_path]).groups[0], "bilinear_init")
    figure = figures.pareto_front(result)
    named = [t.get_text().removesuffix(" ★") for t in figure.axes[0].get_legend().get_texts()]
    assert len(named) == plot.MOST
    assert "bilinear_init" in named, "the baseline is one of them"
    assert f"{len(OPERATORS) - plot.MOST} more are in the tables" in figure.texts[1].get_text()


def test_a_sheet_has_the_classes_and_the_spectras_scale():
    block = pictures.Block("input", np.zeros((9, 12, 3), dtype=np.uint8), np.eye(8))
    figure = pictures.sheet(
        [block], "title", "subtitle", (["sky", "road"], [[0, 0, 255], [9, 9, 9]])
    )
    assert [t.get_text() for t in figure.texts[2:]] == ["sky", "road"]
    assert [p.get_facecolor()[:3] for p in figure.artists] == [
        (0, 0, 1),
        pytest.approx((9 / 255,) * 3),
    ]
    ticks = figure.axes[-1].get_xticklabels()
    assert [t.get_text() for t in ticks] == ["0 dB", "1 dB of the mean power"]
