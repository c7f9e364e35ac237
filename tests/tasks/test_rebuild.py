"""What a checkpoint of anybody's may have built: data and tasks of `configs/`, and nothing else."""

import pytest
from torch import nn

from tasks.rebuild import build, rebuild, rebuild_data, stored_config
from tests.conftest import compose_config
from upzoo import create

SHAPES = {
    "_target_": "data.shapes.Shapes",
    "_convert_": "all",
    "size": [32, 32],
    "train": 4,
    "val": 4,
    "test": 4,
    "batch_size": 2,
    "eval_batch_size": 2,
}
SEGMENTATION = {
    "_target_": "tasks.segmentation.Segmentation",
    "_convert_": "all",
    "lr": 1e-3,
    "class_weights": "median_frequency",
}


def metadata(**changes):
    return {"config": {"data": SHAPES, "task": SEGMENTATION, **changes}}


def test_data_and_task_come_back_without_counting_pixels():
    net = create("fcn8s", "bilinear_init", num_classes=9, width=4)
    task, data = rebuild(metadata(), net)
    assert type(task).__name__ == "Segmentation"
    assert not task.training
    assert task.class_weights is None
    assert (data.name, data.size) == ("shapes", (32, 32))


@pytest.mark.parametrize(
    "target",
    ["pathlib.Path.touch", "os.system", "data.files.open_image", "subprocess.run", None, 3],
)
@pytest.mark.parametrize("group", ["data", "task"])
def test_other_classes_are_refused_and_nothing_runs(tmp_path, group, target):
    path = tmp_path / "made"
    spec = {"_target_": target, "self": str(path), "_args_": [str(path)]}
    with pytest.raises(
        ValueError, match=f"the file's {group} is .* which is not built from a file"
    ):
        rebuild(metadata(**{group: spec}), nn.Identity())
    assert not path.exists()


def test_a_node_within_the_options_stays_text(tmp_path):
    path = tmp_path / "made"
    hostile = {"_target_": "pathlib.Path.touch", "self": str(path)}
    with pytest.raises(ValueError, match="augment"):
        rebuild_data(metadata(data={**SHAPES, "augment": hostile}))
    assert not path.exists()


def test_nothing_is_fetched_and_no_variable_is_read(tmp_path, monkeypatch):
    source = tmp_path / "archive.zip"
    source.write_bytes(b"not fetched")
    spec = {
        "_target_": "data.camvid.CamVid",
        "root": str(tmp_path / "camvid"),
        "download": True,
        "url": f"file://{source}",
    }
    with pytest.raises(FileNotFoundError, match=r"data\.download=true"):
        rebuild_data(metadata(data=spec)).setup()
    assert not (tmp_path / "camvid").exists()
    monkeypatch.setenv("SECRET", "12345")
    secret = {"config": {"data": {"root": "${oc.env:SECRET}"}, "task": {}}}
    assert stored_config(secret)["data"]["root"] == "${oc.env:SECRET}"


def test_an_unknown_option_is_one_line():
    with pytest.raises(ValueError, match=r"task\.x is no option here"):
        build("task", {**SEGMENTATION, "x": 1}, net=nn.Identity(), data=None)


def test_configs_of_today_can_be_rebuilt():
    cfg = compose_config("train", [])
    assert cfg.data._target_ == SHAPES["_target_"]
