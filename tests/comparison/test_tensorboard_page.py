"""TensorBoard itself, opened in headless Chromium: what a reader of a run and of a study sees."""

import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from comparison import groups, hparams, tensorboard
from comparison.analysis import analyse
from comparison.curves import Curve
from panels.kernels import kernel_panel
from panels.segmentation import segmentation_panel
from runs import records
from tasks.board import Board
from tasks.callbacks.pictures import log_picture
from tests.comparison.browser import BINARY, browse
from tests.comparison.browser import NAMES as BROWSERS
from tests.comparison.fabricated import write

pytestmark = pytest.mark.skipif(not BINARY, reason=f"no {', '.join(BROWSERS)} is installed")

#: Classes of a picture.
NAMES, PALETTE = ("grass", "sky"), [[0, 128, 0], [120, 180, 255]]
#: Operator → mean IoU.
STUDY = {"bilinear_init": 0.5, "carafe": 0.625, "pixel_shuffle": 0.5, "transposed_conv": 0.375}
#: Of the curves, the mean, the least and the greatest, around the mean.
RANGE = (0.0, -0.01, 0.01)


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """Records of a study that was run elsewhere, and a run with its own row."""
    elsewhere, logs = tmp_path_factory.mktemp("results"), tmp_path_factory.mktemp("logs")
    for number, (operator, miou) in enumerate(STUDY.items()):
        options = {"kernel": 3, "residual": True} if operator == "transposed_conv" else {}
        for seed in range(2):
            scores = {"miou": miou + seed / 32, "checkerboard_db": 0.5 + number + seed / 8}
            scores |= {"boundary_f1": 0.75 - number / 32, "response": 0.01 * number}
            scores |= {"boundary_iou": 0.5, "global_accuracy": 0.75}
            write(elsewhere, operator, seed, scores, upsample=options)
    own = write(logs / "study", "resize_conv", 7, {"miou": 0.45, "checkerboard_db": 0.5})
    hparams.write(own.parent, records.read(own), scores=False)
    training(own.parent)

    study = groups.collect([elsewhere, logs])
    results = [analyse(group, "bilinear_init") for group in study.groups]
    steps = np.array([5, 9, 20])
    curves = {
        label: {"val/miou": Curve(steps, *(np.array([0.2, 0.4, 0.5]) + n / 32 + d for d in RANGE))}
        for n, label in enumerate(variant.label for variant in results[0].group.variants)
    }
    for name in ("mine", "again"):
        tensorboard.write(logs, name, results, study.left_out, {}, {"fcn8s-shapes": curves})
    return logs


def training(folder):
    """What a training logs into its run."""
    logger = Board(str(folder), name="", version="")
    for step in (0, 5):
        logger.log_metrics({"train/loss": 1.0 - step / 10, "epoch": step, "val/miou": 0.4}, step)
    logger.log_metrics({"test/miou": 0.45, "test/boundary_f1": 0.5, "test/loss": 2.0}, 5)
    logger.log_metrics({"test/checkerboard_db": 0.5, "artifacts/ripple": 0.1}, 5)
    pictures = {
        "predictions/validation": segmentation_panel(
            torch.zeros(1, 3, 32, 64), *(torch.ones(1, 32, 64).long(),) * 2, PALETTE, NAMES
        ),
        "upsampling/upsamples.0.weight": kernel_panel(torch.rand(2, 2, 4, 4)),
    }
    trainer = SimpleNamespace(loggers=[logger], is_global_zero=True)
    for tag, drawn in pictures.items():
        log_picture(trainer, tag, drawn, 5)
    logger.finalize("success")


@pytest.fixture(scope="module")
def address(logs):
    """Where TensorBoard answers, on a port that it finds itself."""
    command = [sys.executable, "-m", "tensorboard.main", "--load_fast=false", "--port=0"]
    process = subprocess.Popen(
        [*command, "--host=127.0.0.1", f"--logdir={logs}"], stderr=subprocess.PIPE, text=True
    )
    try:
        said = []
        for line in process.stderr:
            said.append(line)
            if "http://" in line:
                break
        else:
            pytest.fail(f"TensorBoard ended: {''.join(said)}")
        yield line.partition(" at ")[2].split()[0] + "?darkMode=false"
    finally:
        process.terminate()
        process.communicate()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with browse(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def picture(page, tmp_path):
    """Saves what the window shows, and checks that it is more than a blank page."""

    def save(name):
        time.sleep(1)  # lines are drawn after the words
        with Image.open(page.screenshot(tmp_path / f"{name}.png")) as image:
            pixels = np.asarray(image.convert("L"))
        assert pixels.shape[1] >= 1000
        assert len(np.unique(pixels)) > 50
        return tmp_path / f"{name}.png"

    return save


def test_the_page_opens_on_the_scores(page, address, picture):
    page.open(address)
    said = page.wait_for("1_test", "2_validation", "3_pictures")
    places = [said.index(section) for section in ("1_test", "2_validation", "3_pictures")]
    assert places == sorted(places), "scores first"
    assert said.index("/boundary_f1") < said.index("/checkerboard_db") < said.index("/miou")
    assert "epoch" not in said.partition("1_test")[2]
    picture("scores")


def test_a_run_is_one_line_and_studies_stand_side_by_side(page, address):
    page.open(f"{address}#scalars")
    said = page.wait_for("study/fcn8s-resize_conv-shapes", "comparison/mine", "comparison/again")
    assert "/hparams" not in said


def test_the_hparams_tab_has_a_row_for_each_run(page, address, picture):
    page.open(f"{address}#hparams")
    page.wait_for("Number of matching session groups: 17")
    said = page.wait_for("1_test/miou", "kernel=3 residual=true", "resize_conv", "Trial ID")
    for column in ("operator", "options", "model", "data", "seed", "9_costs/parameters"):
        assert column in said
    _, _, table = said.partition("Trial ID")
    cells = "operator options seed data model 1_test/boundary_f1 1_test/boundary_iou "
    cells += "1_test/checkerboard_db 1_test/global_accuracy 1_test/miou"
    assert table.count(cells) == 1
    row = "carafe default 1.0000 shapes fcn8s 0.71875 0.50000 1.6250 0.75000 0.65625 "
    assert table.count(row) == 2, "a row in each study"
    assert table.count("resize_conv default 7.0000 shapes fcn8s 0.50000 0.50000 0.45000") == 1
    picture("table")


def test_parallel_coordinates_draw_each_run(page, address, picture):
    page.open(f"{address}#hparams")
    page.wait_for("Number of matching session groups: 17")
    page.click("PARALLEL COORDINATES VIEW")
    page.wait_for("Click or hover over a session group")
    lines = "all(document.body).filter(e => e.matches('.foreground path')).length"
    page.wait_until(f"{lines} === 16")  # the one without a boundary score is left out
    picture("parallel")


def test_custom_scalars_overlay_the_operators(page, address, picture):
    page.open(f"{address}#custom_scalars")
    said = page.wait_for("mine: fcn8s on shapes, test", "again: fcn8s on shapes, test")
    page.wait_for("Mean IoU, %", "Mean IoU, %: range of the seeds", "Matches (5)")
    for operator in STUDY:
        assert f"comparison/mine/curves/{operator}" in said
    picture("custom")
