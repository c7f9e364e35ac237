"""Names in records are anybody's: they stay in their place, and groups may lack the baseline."""

import pytest

import compare
from runs import records
from tests.comparison.fabricated import write
from tests.conftest import compose_config

NAMES = {
    "model": "../../../../escaped",
    "data": "<img src=x onerror=alert(1)>",
}
OPERATOR = "..\x1b[31m[red]`a`|b\n# heading"


def run(runs, *options):
    compare.compare(compose_config("compare", [f"runs=[{runs}]", *options]))


def fabricate(folder, operator, seed, scores, **names):
    """A record at a harmless place, whose contents have the names."""
    path = write(folder, "plain", seed, scores)
    record = records.read(path)
    record.choices |= {"upsample": operator, **names}
    new = folder / f"{len(list(folder.rglob('record.json')))}" / "record.json"
    records.write(new, record)
    path.unlink()


@pytest.fixture
def hostile(tmp_path):
    scores = {"checkerboard_db": 1.0, "<b>new": 0.5, "per_class_iou": {"<i>sky\x1b[0m": 0.25}}
    for seed in (0, 1):
        for operator, miou in ((OPERATOR, 0.5), ("carafe", 0.6)):
            found = scores | {"miou": miou + seed / 100}
            fabricate(tmp_path / "in" / "runs", operator, seed, found, **NAMES)
    return tmp_path / "in" / "runs"


def test_nothing_is_written_outside_and_nothing_is_markup(hostile, tmp_path, capsys):
    out, logs = tmp_path / "in" / "out", tmp_path / "in" / "logs"
    before = set(tmp_path.rglob("*"))
    run(hostile, f"out={out}", f"logs={logs}", "baseline=null")
    written = set(tmp_path.rglob("*")) - before - {out, logs}
    assert len(list(out.rglob("*.png"))) == 2
    assert list(logs.rglob("events*"))
    assert all(out in path.parents or logs in path.parents for path in written)
    page, terminal = (out / "comparison.md").read_text(), capsys.readouterr().out
    for text in (page, terminal):
        assert "\x1b" not in text
        assert "[red]" in text.replace("\\", "")
        assert not any(line.startswith("# heading") for line in text.splitlines())
    assert "<img" not in page
    assert "<b>" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    rows = [line.replace("\\|", "") for line in page.splitlines() if line.startswith("| ")]
    assert {row.count("|") for row in rows} == {3, 8}, "no name adds a column"
    for link in (line for line in page.splitlines() if line.startswith("![")):
        assert link.count("(") == link.count(")") == 1


@pytest.mark.parametrize("baseline", ["null", "carafe"])
def test_groups_may_lack_the_baseline(tmp_path, capsys, baseline):
    for seed in (0, 1):
        found = {"miou": 0.5, "checkerboard_db": 1.0, "per_class_iou": {"sky": 0.9, "car": 0.5}}
        write(tmp_path, "bilinear_init", seed, found | {"per_class_f1": {"sky": 0.9}})
        write(tmp_path, "dysample", seed, found)
        write(tmp_path, "carafe", seed, found, model="unet")
    run(tmp_path, f"baseline={baseline}", f"out={tmp_path / 'out'}", f"logs={tmp_path / 'logs'}")
    assert "No variant of this group is the baseline" in capsys.readouterr().out
    names = {path.name for path in (tmp_path / "out" / "figures").iterdir()}
    assert {"fcn8s-shapes-classes.png", "unet-shapes-classes.png"} <= names
    assert "fcn8s-shapes-differences.png" not in names


def test_a_checkpoint_elsewhere_is_refused(tmp_path):
    path = write(tmp_path, "carafe", 0, {"miou": 0.5})
    record = records.read(path)
    record.checkpoint = "../../model"
    with pytest.raises(ValueError, match=r"'../../model' leaves the record's folder"):
        records.write(path, record)
