"""The README's figures are those of the committed records, and its commands exist."""

import json
import re
import shlex
from types import SimpleNamespace

import pytest

from runs import audits, records
from tests.conftest import ROOT, compose_config

#: README and guide, with links from the root.
README = (ROOT / "README.md").read_text()
README += (ROOT / "docs/training.md").read_text().replace("](../", "](")
HELP = "\n".join((ROOT / "configs" / f"{name}.yaml").read_text() for name in ("train", "evaluate"))
COMMANDS = re.findall(r"^ +python (train|evaluate)\.py (.+)$", README + HELP, re.M)
ROWS = re.findall(r"^\| \[(.+?)\]\((results/.+?/record\.json)\) \|(.+)\|$", README, re.M)


@pytest.mark.parametrize(
    ("script", "printed"), COMMANDS, ids=[c[1].split(" #")[0] for c in COMMANDS]
)
def test_every_command_composes_and_builds_its_net(script, printed):
    from tasks import training

    overrides = [word for word in shlex.split(printed, comments=True) if word not in ("-m", "…")]
    if any("glob(" in word or word.startswith("hydra") for word in overrides):
        return  # a sweep, of the operators that the contract builds
    cfg = compose_config(script, audits.spelled_out(overrides))
    if script == "train":
        channels = 1 if overrides.count("data=mnist") else 3
        scale = cfg.data.scale if isinstance(cfg.data.get("scale"), int) else 1
        size = cfg.data.get("size") or [96, 96]
        data = SimpleNamespace(num_classes=5, in_channels=channels, size=size, scale=scale)
        training.build_net(cfg, data)


def test_there_are_results():
    assert len(ROWS) >= 4


@pytest.mark.parametrize(("name", "path", "cells"), ROWS, ids=[row[1] for row in ROWS])
def test_results_are_those_of_the_records(name, path, cells):
    record = records.read(ROOT / path)
    where, *shown = (cell.strip() for cell in cells.split("|"))
    elsewhere = re.search(r"\((results/.+?/record\.json)\)", where)  # scored after the training
    scored = records.read(ROOT / elsewhere[1]) if elsewhere else record
    split = scored.data["split"]
    assert split == "test"
    assert where.startswith(f"{record.data['name']} {'[' if elsewhere else ''}{split}")
    assert scored.choices == record.choices
    scores = scored.metrics[split]
    assert shown == [
        f"{100 * scores['miou']:.1f}",
        f"{100 * scores['boundary_f1']:.1f}",
        f"{record.cost['parameters'] / 1e6:.2f} M",
        f"{record.cost['train_seconds'] / 60:.1f} min",
    ]
    assert name == f"{record.choices['model']}, {record.choices['upsample']}"
    assert record.status == "finished"


def test_the_lines_that_the_main_job_ends_with_are_those_of_its_record(monkeypatch):
    text = (ROOT / "README.md").read_text()
    record = records.read(ROOT / "results/shapes/fcn8s-bilinear_init/record.json")
    (shown,) = re.findall(r"^```text\n(score.*?)^```$", text, re.M | re.S)
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import first_training

    assert any(line.startswith("checkerboard ") for line in shown.splitlines())
    assert shown.splitlines() == first_training.last_lines(record)
    assert f"takes {record.cost['train_seconds'] / 60:.1f} minutes on two cores" in text
    assert record.machine["cores"] == 2


def test_every_operator_that_was_measured_is_in_the_table():
    named = set(re.findall(r"`(\w+)`", README))
    found = json.loads((ROOT / "benchmarks/results/operators.json").read_text())
    assert {row["operator"] for row in found["operators"]} <= named


ARTIFACTS = (ROOT / "docs" / "artifacts.md").read_text()
GRIDS = re.findall(r"^\| \[.+?\]\(\.\./(results/separation/.+?)\) \|(.+)\|$", ARTIFACTS, re.M)
MENDS = re.findall(r"^\| \[.+?\]\(\.\./(results/equalised/.+?)\) \|(.+)\|$", ARTIFACTS, re.M)

#: Operator of the study's DeconvNets, as docs/artifacts.md lists it → variant.
REBUILT = {
    "`transposed_conv`, kernel 4, stride 2": "transposed",
    "`pixel_shuffle`": "pixel_shuffle",
    "`max_unpool`": "max_unpool",
    "`resize_conv`": "resize_nearest",
    "`bilinear_init`, fixed": "bilinear_fixed",
}


def shown(value, decimals=1):
    return f"{value:.{decimals}f}".replace("-", "−")


@pytest.mark.parametrize(("path", "cells"), GRIDS, ids=[row[0] for row in GRIDS])
def test_grids_of_trained_nets_are_those_of_the_records(path, cells):
    record = records.read(ROOT / path)
    scores = record.metrics["test"]
    seed, grid, interval, period, response = (cell.strip() for cell in cells.split("|"))
    figures = scores["artifacts"]
    ends = (figures[f"pictures/period{period}_peak_excess_db_{e}"] for e in ("low", "high"))
    assert int(seed) == record.choices["seed"]
    assert grid == shown(scores["checkerboard_db"])
    assert interval == " … ".join(map(shown, ends))
    assert response == shown(scores["response"], 2)


def test_checkerboards_of_rebuilt_emoji_are_those_of_the_records():
    for listed, variant in REBUILT.items():
        folder = ROOT / "results" / "study" / "deconvnet_emoji" / variant
        scores = [records.read(path).metrics["test"] for path in folder.rglob("record.json")]
        found = sorted(each["checkerboard_db"] for each in scores)
        assert len(found) == 5
        span = f"{shown(found[0])} to {shown(found[-1])}"
        assert f"| {listed} | {span} |" in ARTIFACTS
        if variant in ("transposed", "pixel_shuffle"):
            assert span in README
        assert (found[-1] < 6) == (variant in ("resize_nearest", "bilinear_fixed"))


def test_uneven_kernels_are_told_from_their_twins():
    ends: dict[str, list[list[float]]] = {}
    for path, cells in GRIDS:
        interval = cells.split("|")[2].replace("−", "-").split("…")
        ends.setdefault(path.split("/")[2], []).append([float(end) for end in interval])
    for model, even in (("dcgan", "resize_conv"), ("fcn8s", "bilinear_init")):
        uneven, twin = ends[f"{model}-transposed_conv"], ends[f"{model}-{even}"]
        assert len(uneven) == len(twin) == 3
        assert min(low for low, _ in uneven) > max(high for _, high in twin)


@pytest.mark.parametrize(("path", "cells"), MENDS, ids=[row[0] for row in MENDS])
def test_what_the_mend_costs_is_that_of_the_records(path, cells):
    scores = records.read(ROOT / path).metrics["test"]
    grid, response, score = (cell.strip() for cell in cells.split("|"))
    assert grid.endswith(f"→ {shown(scores['checkerboard_db'])}")
    assert response.endswith(f"→ {shown(scores['response'], 2)}")
    known = (100 * scores.get("miou", 0), scores.get("swd"), scores.get("fid"))
    assert any(score.endswith(f"→ {shown(v)}") for v in known if v is not None)


def benchmark(name):
    return json.loads((ROOT / "benchmarks/results" / f"{name}.json").read_text())


def test_the_digits_distances_are_those_of_the_records():
    ours = records.read(ROOT / "results/mnist/dcgan-transposed_conv/record.json")
    theirs = benchmark("dcgan_example_mnist")
    fid = ours.metrics["test"]["fid"], theirs["test"]["fid"]
    assert f"Fréchet distance {fid[0]:.1f}, where" in README
    assert f"reaches {fid[1]:.1f} in {theirs['seconds'] / 60:.0f} minutes" in README
    assert fid[0] < fid[1] / 2
    assert f"after {ours.cost['train_seconds'] / 60:.0f} minutes on one core" in README
    long = records.read(ROOT / "results/mnist/dcgan-transposed_conv-long/record.json")
    minutes = f"after {long.cost['train_seconds'] / 60:.0f} minutes of a faster core"
    assert f"reaches {long.metrics['test']['fid']:.2f} {minutes}" in README.replace("\n", " ")


def test_the_emojis_distances_are_those_of_the_records():
    text = README.replace("\n", " ")
    ours = records.read(ROOT / "results/emoji/dcgan-resize_conv/record.json")
    before = records.read(ROOT / "results/emoji/dcgan-transposed_conv/record.json")
    theirs = benchmark("dcgan_example_emoji")
    swd, grid = ours.metrics["test"]["swd"], ours.metrics["test"]["checkerboard_db"]
    minutes = ours.cost["train_seconds"] / 60
    assert f"distance of {swd:.1f} after {minutes:.0f} minutes on one core, without" in text
    assert f"visible checkerboard: {grid:.1f} dB above real emoji, below the 6 dB" in text
    assert grid < 6
    scores = before.metrics["test"]
    said = f"after {before.cost['train_seconds'] / 60:.1f} minutes, had {scores['swd']:.1f} and a"
    assert f"{said} checkerboard of {scores['checkerboard_db']:.1f} dB" in text
    seconds = theirs["seconds"]
    assert f"example has {theirs['test']['swd']:.1f} after {seconds / 60:.1f} minutes" in text
    assert swd < scores["swd"] < theirs["test"]["swd"]


def test_the_speeds_of_training_are_those_of_the_records():
    text = README.replace("\n", " ")
    amd, intel = benchmark("training"), benchmark("training_intel")
    for record, words in ((amd, "{:.2f} times the speed"), (intel, "at {:.2f} times on an Intel")):
        bf16 = record["precision"]["speed_over_fp32_channels_first"]["bf16 channels-last"]
        assert words.format(bf16["median"]) in text
        assert record is intel or "({min:.2f} to {max:.2f} over".format(**bf16) in text
    kept = amd["allocator"]["speed_of_kept_over_default"]
    words = "is {median:.2f} times as fast, with a range of {min:.2f} to {max:.2f}."
    assert words.format(**kept) in text


def test_segnets_first_steps_are_those_of_its_curve():
    folder = ROOT / "results/camvid/segnet_basic-max_unpool"
    loss = json.loads((folder / "curves.json").read_text())["train/loss"]
    text = README.replace("\n", " ")
    assert f"holds the first {len(loss)}, in which" in text
    assert f"falls from {loss[0][1]:.1f} to {loss[-1][1]:.1f}." in text
    seconds = records.read(folder / "record.json").cost["train_seconds"] / len(loss)
    assert 50 < seconds < 80  # "a minute a step"


def test_camvids_validation_scores_are_those_of_the_records():
    found = [
        records.read(ROOT / f"results/camvid/{model}-bilinear_init/record.json").metrics["val"]
        for model in ("fcn8s", "unet")
    ]
    fcn, unet = (f"{100 * scores['miou']:.1f}" for scores in found)
    text = README.replace("\n", " ")
    assert f"where they score {fcn} and {unet}:" in text
    lite0 = records.read(ROOT / "results/camvid/unet_lite0-bilinear_init/record.json")
    assert f"It scores {100 * lite0.metrics['val']['miou']:.1f} on the validation clip" in text


def test_the_studys_lines_and_page_are_those_of_its_records(monkeypatch):
    from studies import page as study

    monkeypatch.chdir(ROOT)
    for path, text in study.texts(ROOT / "results").items():
        assert path.read_text() == text, f"{path}: run python -m studies.page"
