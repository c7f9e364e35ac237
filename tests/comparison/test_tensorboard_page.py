"""TensorBoard itself, opened in headless Chromium: what a reader of a study sees."""

import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from comparison import groups, hparams, tensorboard
from comparison.analysis import analyse
from comparison.curves import Curve
from runs import records
from tests.comparison.browser import BINARY, NAMES, browse
from tests.comparison.fabricated import write

pytestmark = pytest.mark.skipif(not BINARY, reason=f"no {', '.join(NAMES)} is installed")

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
            write(elsewhere, operator, seed, scores, upsample=options)
    own = write(logs / "study", "resize_conv", 7, {"miou": 0.45, "checkerboard_db": 0.5})
    hparams.write(own.parent / hparams.FOLDER, records.read(own))

    study = groups.collect([elsewhere, logs])
    results = [analyse(group, "bilinear_init") for group in study.groups]
    steps = np.array([5, 9, 20])
    curves = {
        label: {"val/miou": Curve(steps, *(np.array([0.2, 0.4, 0.5]) + n / 32 + d for d in RANGE))}
        for n, label in enumerate(variant.label for variant in results[0].group.variants)
    }
    tensorboard.write(logs, results, study.left_out, {}, {"fcn8s-shapes": curves})
    return logs


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


def test_the_hparams_tab_has_a_row_for_each_run(page, address, picture):
    page.open(f"{address}#hparams")
    page.wait_for("Number of matching session groups: 9")
    said = page.wait_for("test/miou", "kernel=3 residual=true", "resize_conv", "Trial ID")
    for column in ("operator", "options", "model", "data", "seed", "usage/parameters"):
        assert column in said
    _, _, table = said.partition("Trial ID")
    cells = "operator options seed data model test/boundary_f1 test/checkerboard_db test/miou"
    assert table.count(cells) == 1
    assert table.count("carafe default 1.0000 shapes fcn8s 0.71875 1.6250 0.65625 ") == 1
    assert table.count("resize_conv default 7.0000 shapes fcn8s 0.50000 0.45000 ") == 1
    picture("table")


def test_parallel_coordinates_draw_each_run(page, address, picture):
    page.open(f"{address}#hparams")
    page.wait_for("Number of matching session groups: 9")
    page.click("PARALLEL COORDINATES VIEW")
    page.wait_for("Click or hover over a session group")
    lines = "all(document.body).filter(e => e.matches('.foreground path')).length"
    page.wait_until(f"{lines} === 8")  # the one without a boundary score is left out
    picture("parallel")


def test_custom_scalars_overlay_the_operators(page, address, picture):
    page.open(f"{address}#custom_scalars")
    said = page.wait_for("fcn8s on shapes, test", "Mean IoU, %", "Mean IoU, %: range of the seeds")
    page.wait_for("Matches (5)")
    for operator in STUDY:
        assert f"comparison/curves/{operator}" in said
    picture("custom")
