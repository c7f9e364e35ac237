"""Exact tables of a comparison with easy numbers."""

import csv
import io
import json

import pytest
from rich.console import Console

from comparison import files, groups, tables
from comparison.analysis import analyse
from tests.comparison.fabricated import write

FIXED = {"trainable": False}


@pytest.fixture
def study(tmp_path):
    for seed, (a, b) in enumerate([(0.50, 0.60), (0.51, 0.611), (0.52, 0.622)]):
        grid = {"checkerboard_db": 1.0 + seed, "artifacts": {"phase": 0.5}}
        write(tmp_path, "bilinear_init", seed, {"miou": a, **grid}, upsample=FIXED)
        write(tmp_path, "carafe", seed, {"miou": b, **grid}, parameters=3_000_000)
        write(tmp_path, "dysample", seed, {"miou": a + (0.02, -0.01, 0.02)[seed], **grid})
    write(tmp_path, "sapa", 0, {}, status="failed")
    return groups.collect([tmp_path])


@pytest.fixture
def result(study):
    return analyse(study.groups[0], "bilinear_init")


def test_scores(result):
    quality, artifacts, cost, miou, _ = tables.sheets(result)
    assert quality.title == "Quality, 3 seeds"
    assert quality.header == ["operator", "↑ Mean IoU, %"]
    # t(2, 95 %) = 4.303: 4.303 · 1.1 / √3 = 2.7; 4.303 · 1 / √3 = 2.5
    assert quality.rows[0] == ["carafe", "61.1 ± 2.7"]
    assert quality.rows[2] == ["bilinear_init", "51.0 ± 2.5"]
    assert artifacts.rows[0] == ["carafe", "2.0 ± 2.5"]
    assert cost.rows[0] == ["carafe", "3,000.0", "1.0", "165.0", "130", "150.0", "1,024"]
    assert miou.title == "↑ Mean IoU, %: difference to bilinear_init, 3 seeds"


def test_differences(result):
    rows = {row[0]: row[1:] for row in tables.sheets(result)[3].rows}
    # differences 10, 10.1, 10.2: t = 10.1·√3/0.1 = 175; d = 101, g = 101/√π·… = 57.0
    assert rows["carafe"] == ["+10.1 ± 0.2", "<0.001", "57.0", "better"]
    # 2, −1, 2: mean 1, spread √3, t = 1, p = 0.423; d = 0.577, needs 34 at level 0.025
    assert rows["dysample"] == ["+1.0 ± 4.3", "0.423", "0.3", "not significant: ~32 seeds"]


def test_words(result):
    said = tables.words(result)
    assert said[0] == (
        "Mean IoU, % against bilinear_init: better: carafe; "
        "not significant: dysample (~32 seeds needed)."
    )
    assert said[1] == "Checkerboard, dB against bilinear_init: the same: carafe, dysample."
    assert said[2] == "Pareto front of Mean IoU, %, and Checkerboard, dB: carafe."


def test_variants_with_fewer_seeds_or_scores_say_so(tmp_path):
    write(tmp_path, "bilinear_init", 0, {"miou": 0.5}, upsample=FIXED)
    for seed, grid in ((0, {"checkerboard_db": 1.0}), (1, {})):
        write(tmp_path, "carafe", seed, {"miou": 0.4, **grid})
    result = analyse(groups.collect([tmp_path]).groups[0], "bilinear_init")
    quality, artifacts, _, miou = tables.sheets(result)[:4]
    assert quality.rows == [["bilinear_init", "1", "50.0"], ["carafe", "2", "40.0 ± 0.0"]]
    assert artifacts.rows == [["bilinear_init", "1", "–"], ["carafe", "2", "1.0 (n=1)"]]
    assert miou.rows == [["carafe", "−10.0", "–", "–", "one seed: no test"]]
    assert "carafe: Checkerboard, dB is missing for seed 1." in result.notes


def test_one_seed_is_said_plainly(tmp_path):
    write(tmp_path, "bilinear_init", 0, {"miou": 0.5}, upsample=FIXED)
    write(tmp_path, "carafe", 0, {"miou": 0.6})
    said = tables.words(analyse(groups.collect([tmp_path]).groups[0], "carafe"))
    assert said == [
        "Mean IoU, % against carafe: one seed cannot tell a difference from chance.",
        "One seed each, so that there are no intervals: train three or more.",
    ]


def test_a_lone_variant_or_one_without_a_baseline_has_no_differences(tmp_path):
    write(tmp_path, "carafe", 0, {"miou": 0.6})
    group = groups.collect([tmp_path]).groups[0]
    alone, without = (analyse(group, name) for name in ("carafe", "sapa"))
    assert tables.words(alone)[0] == "carafe has nothing to be compared with."
    assert "No variant of this group is the baseline" in tables.words(without)[0]
    for result in (alone, without):
        titles = [sheet.title for sheet in tables.sheets(result)]
        assert titles == ["Quality, 1 seed", "Cost, 1 seed"]


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_is_not_overrun(study, result, width):
    console = Console(file=io.StringIO(), width=width)
    tables.show([result], study.left_out, console)
    lines = console.file.getvalue().splitlines()
    named = [line for line in lines if line.startswith("left out: ")]
    assert len(named) == 1
    assert named[0].endswith("its status is 'failed'")
    assert max(len(line) for line in lines if line not in named) <= width
    assert "…" not in console.file.getvalue()


def test_wide_tables_are_split_and_lose_nothing():
    sheet = tables.Sheet("T", ["operator", "aaaa", "bb bb", "c"], [["x", "1", "2", "3"]])
    parts = tables.fit(sheet, 20)
    assert [part.header for part in parts] == [["operator", "aaaa"], ["operator", "bb bb", "c"]]
    assert [part.rows for part in parts] == [[["x", "1"]], [["x", "2", "3"]]]
    assert parts[1].title == "T (continued)"


def test_markdown(study, result):
    page = files.markdown([result], study.left_out, {"fcn8s-shapes": ["figures/a.png"]})
    assert "## fcn8s on shapes, test" in page
    assert "| operator | ↑ Mean IoU, % |\n| --- | --: |\n| carafe | 61.1 ± 2.7 |" in page
    assert "| **bilinear_init** | **51.0 ± 2.5** |" in page
    assert "![a](figures/a.png)" in page
    assert "its status is 'failed'" in page


def test_csv(result):
    rows = list(csv.DictReader(io.StringIO(files.csv_text([result]))))
    row = next(r for r in rows if r["variant"] == "carafe" and r["metric"] == "miou")
    assert float(row["mean"]) == pytest.approx(0.611)
    assert float(row["difference"]) == pytest.approx(0.101)
    assert (row["n"], row["pairs"], row["verdict"]) == ("3", "3", "better")
    assert "artifacts/phase" in {r["metric"] for r in rows}, "unknown numbers are taken along"
    assert {r["baseline"] for r in rows if r["metric"] == "artifacts/phase"} == {""}


def test_json(study, result):
    content = json.loads(files.json_text([result], study.left_out))
    group = content["groups"][0]
    carafe = next(variant for variant in group["variants"] if variant["label"] == "carafe")
    assert carafe["scores"]["miou"]["values"] == {"0": 0.6, "1": 0.611, "2": 0.622}
    assert carafe["against_baseline"]["miou"]["verdict"] == "better"
    assert group["pareto_front"] == ["carafe"]
    assert content["left_out"][0]["reason"] == "its status is 'failed'"
