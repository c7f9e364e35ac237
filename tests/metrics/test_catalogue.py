"""Every score is described once: what is added there appears wherever scores are shown."""

import json

import pytest
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import compare
from comparison import curves, hparams
from release import card, listing
from runs import board, records, tables
from tests.comparison.fabricated import write
from tests.conftest import compose_config
from upzoo.metrics import catalogue
from upzoo.metrics.catalogue import SCORES, Score
from upzoo.metrics.segmentation import SegmentationScores


def printed(*parts):
    console = Console(width=200, record=True)
    console.print(*parts)
    return console.export_text()


def dice(confusion):
    """2·hits / (truth + prediction) of each class, and the mean over classes."""
    return (2 * confusion.diagonal() / (confusion.sum(0) + confusion.sum(1))).nanmean()


@pytest.fixture
def with_dice(train_run, monkeypatch):
    """A run whose task logs a score that no other has; one line describes it."""
    monkeypatch.setitem(SCORES, "dice", Score("Dice", "%", 1, "quality", 1, 100))
    plain = SegmentationScores.compute

    def compute(scores):
        return plain(scores) | {"dice": dice(scores.confusion)}

    monkeypatch.setattr(SegmentationScores, "compute", compute)
    return train_run("trainer.max_epochs=1")


def events(folder):
    read = EventAccumulator(str(folder))
    read.Reload()
    return read


def test_a_score_added_in_one_place_is_in_terminal_card_comparison_and_tensorboard(
    with_dice, tmp_path, capsys
):
    run, record = with_dice, records.read(with_dice / "record.json")
    value = record.metrics["test"]["dice"]
    assert 0 < value < 1
    shown = f"{100 * value:.1f}"
    rows = printed(tables.scores_table(record.metrics)).splitlines()
    (row,) = (line.split() for line in rows if "Dice, %" in line)
    assert row[-1] == shown
    (row,) = (r for r in card.scores_table(record.metrics).splitlines() if "Dice, %" in r)
    assert row.endswith(f"| {shown} |")
    options = [f"runs=[{run}]", f"out={tmp_path}", f"logs={tmp_path}", "figures=false"]
    compare.compare(compose_config("compare", [*options, "baseline=null"]))
    assert "Dice," in capsys.readouterr().out
    page = (tmp_path / "comparison.md").read_text()
    assert "↑ Dice, %" in page
    assert shown in page
    variants = json.loads((tmp_path / "comparison.json").read_text())["groups"][0]["variants"]
    assert variants[0]["scores"]["dice"]["mean"] == value
    for tag in ("val/dice", "test/dice"):
        assert events(run).Scalars(board.tag(tag))
    logged = events(run).Scalars(board.tag("test/dice"))
    assert logged[0].value == pytest.approx(value)
    text = events(tmp_path / "comparison" / run.name).Tensors("fcn8s-shapes/tables")
    assert "↑ Dice, %" in text[0].tensor_proto.string_val[0].decode()


def test_a_score_that_the_catalogue_lacks_is_shown_as_recorded(tmp_path, capsys):
    path = write(tmp_path / "study", "carafe", 0, {"miou": 0.5, "dice": 0.812345})
    record = records.read(path)
    assert "dice" in printed(tables.scores_table(record.metrics))
    assert "| dice | 0.8123 |" in card.scores_table(record.metrics)
    assert hparams.metrics(record)[board.tag("test/dice")] == 0.812345
    options = [f"runs=[{tmp_path / 'study'}]", "figures=false", "logs=null", "baseline=null"]
    compare.compare(compose_config("compare", options))
    assert "0.8123" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "value", "heading", "text"),
    [
        ("miou", 0.4567, "Mean IoU, %", "45.7"),
        ("precision", 0.735, "Precision, %", "73.5"),
        ("fwiou", 0.9, "Frequency-weighted IoU, %", "90.0"),
        ("swd", 12.345, "Sliced Wasserstein, ×10³", "12.35"),
        ("swd_16", 12.345, "Sliced Wasserstein at 16 pixels, ×10³", "12.35"),
        ("kid", -0.00004, "Kernel distance", "0.0000"),
        ("checkerboard_db", -0.04, "Checkerboard, dB", "0.0"),
        ("sharpness_db", -1.26, "Sharpness, dB", "−1.3"),
        ("parameters", 2_512_345, "Parameters, k", "2,512.3"),
        ("flops_forward", 165e6, "Forward pass, MFLOPs", "165.0"),
        ("peak_memory_bytes", 2**30, "Memory, MiB", "1,024"),
        ("dice", 0.812345, "dice", "0.8123"),
        ("miou", float("nan"), "Mean IoU, %", "–"),
        ("miou", None, "Mean IoU, %", "–"),
        ("fid", float("inf"), "Fréchet distance", "inf"),
    ],
)
def test_a_score_is_read_alike_everywhere(name, value, heading, text):
    score = catalogue.find(name)
    assert (score.heading, score.text(value)) == (heading, text)
    if value is not None:
        assert f"| {heading} | {text} |" in card.scores_table({"test": {name: value}})
    assert heading in printed(tables.scores_table({"test": {name: value}}))
    assert text in printed(tables.scores_table({"test": {name: value}}))


def test_whatever_a_task_logs_is_described(trained):
    record = records.read(trained / "record.json")
    for scores in record.metrics.values():
        assert set(catalogue.numbers(scores)) <= set(SCORES)
    assert set(record.cost) - {"image_size"} <= set(SCORES)


def test_records_events_and_checkpoints_of_earlier_versions_are_read(tmp_path):
    scores = {"miou": 0.5, "grid_db": 7.0, "artifacts": {"pictures/grid_db": 7.0}}
    path = write(tmp_path, "carafe", 0, scores)
    new = {"miou": 0.5, "checkerboard_db": 7.0, "artifacts": {"pictures/checkerboard_db": 7.0}}
    assert records.read(path).metrics["test"] == new
    (path.parent / curves.FILE).write_text('{"artifacts/grid_db": [[5, 1.5]]}')
    tag = "artifacts/checkerboard_db"
    assert curves.scalars(path.parent, [tag]) == {tag: {5: 1.5}}
    assert "| Checkerboard, dB | 7.0 |" in card.scores_table({"test": scores})
    entry = {
        "model": "fcn8s",
        "data": "d",
        "licence": "MIT",
        "split": "test",
        "files": {"model.safetensors": {"bytes": 10}},
        "scores": scores,
    }
    assert "Checker-" in printed(*listing.tables({"a.d": entry}))


def test_the_list_shows_quality_and_artifacts_the_best_first():
    entry = {"model": "unet", "data": "d", "recipe": "r", "split": "val"}
    entry |= {"licence": "MIT", "files": {"model.safetensors": {"bytes": 2_000_000}}}
    a = {"miou": 0.5, "global_accuracy": 0.8, "boundary_f1": 0.3, "checkerboard_db": -0.2}
    b = {"miou": 0.6, "boundary_f1": 0.2, "checkerboard_db": 12.0}
    table = printed(*listing.tables({"a": entry | {"scores": a}, "b": entry | {"scores": b}}))
    rows = [line.split() for line in table.splitlines() if line.strip()[:2] in ("a ", "b ")]
    assert rows == [
        ["b", "60.0", "20.0", "12.0", "2.0", "MB"],
        ["a", "50.0", "30.0", "−0.2", "2.0", "MB"],
    ]
    gan = listing.columns({"swd", "fid", "recall", "sharpness_db"})
    assert gan == ["fid", "sharpness_db"]
