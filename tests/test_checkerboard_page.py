"""Every command and block of docs/checkerboard.md runs, and its figures are the record's."""

import json
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from upzoo.audit import command

PAGE = (ROOT / "docs" / "checkerboard.md").read_text()
FILE = re.search(r"<!-- file: mynets\.py -->\n```python\n(.*?)```", PAGE, re.S)[1]
BLOCKS = [block for block in re.findall(r"```python\n(.*?)```", PAGE, re.S) if block != FILE]
COMMANDS = re.findall(r"^    upzoo (audit .+)$", PAGE, re.M)
SHOWN = re.search(r"```text\n(.*?)```", PAGE, re.S)[1]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The reader's folder: their nets, and some pictures."""
    (tmp_path / "mynets.py").write_text(FILE)
    (tmp_path / "photos").mkdir()
    drawn = np.random.default_rng(0)
    for index in range(10):
        low = drawn.integers(0, 256, (12, 12, 3), dtype=np.uint8)
        Image.fromarray(low).resize((112, 104)).save(tmp_path / "photos" / f"{index}.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "mynets", raising=False)
    monkeypatch.setattr("upzoo.audit.changes.STEPS", 3)
    yield tmp_path
    sys.modules.pop("mynets", None)


def without_numbers(text):
    return re.sub(r"\d[\d.]*", "#", text).split()


def test_every_command_runs(project, capsys):
    assert len(COMMANDS) >= 9
    said = {}
    for line in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            command.main(shlex.split(line))
        printed = capsys.readouterr()
        assert ended.value.code in (0, 1), printed.err
        said[line] = printed.out
        changed = "--correct" in line or "--swap" in line
        assert ended.value.code == (0 if changed else 1), printed.out
    assert without_numbers(said[COMMANDS[0]]) == without_numbers(SHOWN)
    for name in ("gan", "super_resolution", "vae", "vocoder", "volume"):
        (line,) = [c for c in COMMANDS if f"mynets:{name}" in c]
        assert "checkerboard at period" in said[line]
    for written in ("better.safetensors", "both.png", "distilled.safetensors"):
        assert (project / written).stat().st_size > 1000
    assert {p.suffix for p in (project / "swapped").iterdir()} == {".safetensors", ".json"}


def test_every_block_runs(project):
    names = {}
    for block in BLOCKS:
        exec(block, names)
    names["test_no_checkerboard"]()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "weights"),
    [("equalise", "model.safetensors"), ("swap", "weights.safetensors")],
)
def test_the_commands_for_shipped_nets(change, weights, tmp_path):
    (line,) = re.findall(rf"^    python (evaluate\.py .+{change}=.+)$", PAGE, re.M)
    run = [sys.executable, *shlex.split(line), "audit.size=64", f"logs={tmp_path / 'logs'}"]
    run = [a if not a.startswith("output=") else f"output={tmp_path / 'changed'}" for a in run]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "changed" / weights).exists()
    assert " dB before, 0.0 dB after" in done.stdout
    assert len(list(tmp_path.rglob("logs/**/audit.png"))) == 1


def test_the_figures_are_the_records():
    record = json.loads((ROOT / "benchmarks/results/swapping.json").read_text())
    assert f"{record['steps']} steps of {record['batch']} training scenes" in PAGE
    for name, row in record["nets"].items():
        cells = (
            f"| {name} | {row['checkerboard_db']:.1f} | {100 * row['miou']:.1f} "
            f"| {100 * row['same_labels']:.1f} | {row['relative_error']:.2f} |"
        )
        assert cells in PAGE
    scores = {name: 100 * row["miou"] for name, row in record["nets"].items()}
    grids = {name: row["checkerboard_db"] for name, row in record["nets"].items()}
    before = scores.pop("as it was")
    cost, cost_of_swap = (before - scores.pop(name) for name in ("corrected", "swapped"))
    assert f"costs {cost:.1f} points of mIoU and the swap {cost_of_swap:.1f}." in PAGE
    assert min(scores.values()) > before - 1
    for name in ("as it was", "as it was, trained on labels"):
        assert grids.pop(name) > 25
    assert f"one of {grids.pop('swapped, distilled from the old net'):.1f} dB on scenes" in PAGE
    assert set(grids.values()) == {0}


def test_what_a_correction_costs_a_generator_is_the_records():
    record = json.loads((ROOT / "benchmarks/results/correcting.json").read_text())
    before, corrected, distilled = (r["frechet_distance"] for r in record["nets"].values())
    said = " ".join(PAGE.split())
    assert f"{record['images']:,} pictures against the test split, is {before:.1f}." in said
    assert f"raise it to {corrected:.1f}, and {record['steps']} steps" in said
    assert f"bring it back to {distilled:.1f}:" in said
    assert {r["verdict"] for r in record["nets"].values()} == {"none"}
