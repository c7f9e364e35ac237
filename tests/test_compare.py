"""The script: what it writes, what it refuses, and what it does not import."""

import subprocess
import sys

import pytest

import compare
from tests.comparison.fabricated import write
from tests.conftest import ROOT, compose_config


def run(*overrides):
    compare.compare(compose_config("compare", list(overrides)))


@pytest.fixture
def study(tmp_path):
    for name, miou in (("bilinear_init", 0.5), ("carafe", 0.6)):
        for seed in range(3):
            found = {"miou": miou + seed / 100, "checkerboard_db": 1.0 + seed}
            write(tmp_path / "study", name, seed, found)
    return tmp_path / "study"


def test_files_and_tables(study, tmp_path, capsys):
    run(f"runs=[{study}]", f"out={tmp_path / 'out'}", f"logs={tmp_path / 'logs'}")
    out, _ = capsys.readouterr()
    assert "fcn8s on shapes, test" in out
    assert "6 runs compared, 0 left out" in out
    assert "no pictures of fcn8s on shapes, test: no model files beside the records" in out
    names = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*")}
    assert names == {
        "comparison.md",
        "comparison.csv",
        "comparison.json",
        "figures/fcn8s-shapes-front.png",
        "figures/fcn8s-shapes-differences.png",
    }
    page = (tmp_path / "out" / "comparison.md").read_text()
    assert "(figures/fcn8s-shapes-front.png)" in page
    assert list((tmp_path / "logs" / "comparison").iterdir())


def test_out_is_beside_the_runs_and_all_but_tables_can_be_left_out(study):
    run(f"runs=[{study}]", "figures=false", "logs=null")
    assert len(list((study / "comparison").iterdir())) == 3
    run(f"runs=[{study}]", "figures=false", "logs=null")  # its own files are no records


def test_a_trained_run_is_drawn_too(trained, tmp_path, capsys):
    arguments = ("pictures=2", f"out={tmp_path}", f"logs={tmp_path / 'logs'}")
    run(f"runs=[{trained}]", *arguments)
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {f"fcn8s-shapes-pictures{i}.png" for i in (0, 1)} <= names
    assert {"fcn8s-shapes-curves.png", "fcn8s-shapes-classes.png"} <= names
    assert "no pictures" not in capsys.readouterr().out


def test_a_model_file_that_cannot_be_read_costs_its_sheet_alone(study, tmp_path, capsys):
    path = write(study, "dysample", 0, {"miou": 0.4}, checkpoint="model", config={"data": {}})
    (path.parent / "model").mkdir()
    run(f"runs=[{study}]", f"out={tmp_path / 'out'}", "logs=null")
    said = capsys.readouterr().out
    assert "no pictures of carafe, bilinear_init in fcn8s on shapes, test: no model file" in said
    assert "no pictures of fcn8s on shapes, test: " in said
    assert (tmp_path / "out" / "comparison.md").exists()


def test_a_baseline_that_nobody_has_is_refused(study):
    with pytest.raises(
        ValueError, match=r"baseline=sapa names no variant.*'bilinear_init', 'carafe'"
    ):
        run(f"runs=[{study}]", "baseline=sapa")
    assert not (study / "comparison").exists()


def test_a_study_of_one_score_without_the_usual_baseline_is_compared(tmp_path, capsys):
    for name in ("carafe", "dysample"):
        for seed in range(3):
            write(tmp_path / "s", name, seed, {"psnr": 30 + seed + len(name)})
    run(f"runs=[{tmp_path / 's'}]", "logs=null", "pictures=0")
    assert "no differences: no variant is bilinear_init; give baseline=" in capsys.readouterr().out
    run(f"runs=[{tmp_path / 's'}]", "logs=null", "pictures=0", "baseline=carafe")
    assert list(tmp_path.rglob("*-differences.png"))


def test_options_out_of_range_are_refused(study):
    with pytest.raises(ValueError, match="pictures=-1"):
        run(f"runs=[{study}]", "pictures=-1")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["logs/a"], ['runs=["logs/a"]']),
        (["logs/lr=0.1", "out=x"], ['runs=["logs/lr=0.1"]', "out=x"]),
        (['a "b"\\c'], ['runs=["a \\"b\\"\\\\c"]']),
        (["runs=[a]", "+x=1", "--cfg", "job", "hydra.verbose=true"], None),
        ([], None),
    ],
)
def test_folders_on_the_command_line(given, expected):
    assert compare.folders_to_runs(given) == (given if expected is None else expected)


def test_the_command_as_typed_reads_records_without_torch(study):
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "runpy.run_path('compare.py', run_name='__main__')\n"
        "assert not {'torch', 'lightning'} & set(sys.modules), 'slow to import'"
    )
    command = [sys.executable, "-c", code, "compare.py", str(study), "logs=null", "figures=false"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "6 runs compared" in done.stdout
