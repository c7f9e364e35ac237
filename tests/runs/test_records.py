import json
import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from runs import environment, metadata, records


def example(**changes):
    fields = {
        "command": "python train.py model=fcn",
        "choices": {
            "model": "fcn",
            "upsample": "bilinear_init",
            "data": "shapes",
            "seed": 3,
            "name": "été",
        },
        "config": {"trainer": {"precision": "auto", "devices": [0, 1]}},
        "data": {"name": "shapes", "fingerprint": "f00", "licence": "MIT", "split": "test"},
    }
    return records.new(**(fields | changes))


def test_round_trip(tmp_path):
    record = example()
    record.status = "finished"
    record.metrics = {"test": {"miou": 0.5, "per_class_iou": {"sky": 0.25, "road": None}}}
    record.cost |= {"parameters": 12, "image_size": [96, 128], "train_seconds": 1.5}
    record.checkpoint = "checkpoints/best.ckpt"
    records.write(tmp_path / "run" / "record.json", record)
    assert records.read(tmp_path / "run" / "record.json") == record
    assert os.listdir(tmp_path / "run") == ["record.json"]
    assert "été" in (tmp_path / "run" / "record.json").read_text(encoding="utf-8")


def test_a_new_record_knows_where_it_is():
    record = example()
    assert record.schema_version == records.SCHEMA_VERSION == 1
    assert record.status == "running"
    assert record.created.endswith("+00:00")
    assert record.versions["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert record.versions["numpy"] == np.__version__
    assert set(record.versions) == {
        "torch",
        "torchvision",
        "lightning",
        "hydra",
        "torchmetrics",
        "numpy",
    }
    assert record.machine["python"] == ".".join(map(str, sys.version_info[:3]))
    assert 1 <= record.machine["cores"] <= os.cpu_count()
    assert record.machine["memory_bytes"] is None or record.machine["memory_bytes"] > 2**27
    assert isinstance(record.machine["amx_bf16"], bool)
    assert set(record.cost.values()) == {None}


def test_tensors_and_numbers_that_json_lacks(tmp_path):
    record = example()
    record.metrics = {
        "val": {
            "miou": torch.tensor(0.25),
            "loss": float("nan"),
            "worst": torch.tensor([1.0, float("inf")]),
            "count": np.int64(7),
        }
    }
    record.config = {"root": Path("data") / "camvid", "size": (4, 5)}
    path = tmp_path / "record.json"
    records.write(path, record)
    assert "NaN" not in path.read_text()
    assert "Infinity" not in path.read_text()
    back = records.read(path)
    assert back.metrics["val"] == {"miou": 0.25, "loss": None, "worst": [1.0, None], "count": 7}
    assert back.config == {"root": "data/camvid", "size": [4, 5]}


def test_what_json_cannot_hold_is_named(tmp_path):
    record = example(config={"model": {"net": object()}})
    with pytest.raises(ValueError, match=r"config\.model\.net is a object"):
        records.write(tmp_path / "record.json", record)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("fault", [OSError("disk full"), KeyboardInterrupt()])
def test_an_interrupted_write_leaves_the_old_record(tmp_path, monkeypatch, step, fault):
    path = tmp_path / "record.json"

    def fail(*args):
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises(type(fault)):
            records.write(path, example())
        assert os.listdir(tmp_path) == [], "nothing, neither half a record nor a leftover"
    records.write(path, example())
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises(type(fault)):
            records.write(path, example(status="finished"))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "schema_version=2 is not 1"),
        ({"extra": 1}, "has unknown extra"),
        ({"cost": {"parameters": 1}}, "cost lacks flops_forward"),
        ({"choices": []}, "choices is list, expected dict"),
        ({"status": "done"}, "status='done' is unknown: use running, finished"),
        ({"metrics": {"test": 0.5}}, r"metrics\['test'\] is float"),
        ({"checkpoint": "/tmp/best.ckpt"}, "is absolute"),
        ({"commit": "abc"}, "commit is str, expected dict or null"),
    ],
)
def test_a_wrong_record_is_refused_in_one_line_that_names_the_file(tmp_path, change, message):
    path = tmp_path / "record.json"
    records.write(path, example())
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=message) as error:
        records.read(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_missing_fields_and_files_and_text(tmp_path):
    path = tmp_path / "record.json"
    with pytest.raises(FileNotFoundError, match=r"record\.json: no such record"):
        records.read(path)
    path.write_text('{"schema_version": 1, "created": ')
    with pytest.raises(ValueError, match=r"record\.json: not a JSON record"):
        records.read(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"record\.json: not a JSON record"):
        records.read(path)
    path.write_text("[1]")
    with pytest.raises(ValueError, match="a JSON object, not list"):
        records.read(path)
    path.write_text('{"schema_version": 1}')
    with pytest.raises(ValueError, match="the record lacks checkpoint, choices"):
        records.read(path)


def test_wrong_choices_are_refused_at_once():
    with pytest.raises(ValueError, match="choices lacks name, seed, upsample and has unknown net"):
        example(choices={"model": "fcn", "data": "shapes", "net": 1})
    with pytest.raises(ValueError, match="cost has unknown seconds"):
        example(cost={"seconds": 3})


def test_commit_tells_clean_from_dirty(tmp_path):
    def git(*arguments):
        options = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(
            ["git", "-C", str(tmp_path), *options, *arguments], check=True, capture_output=True
        )

    assert environment.commit(tmp_path) is None
    git("init")
    assert environment.commit(tmp_path) is None, "no commit yet"
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_text("1")
    git("add", ".")
    git("commit", "-m", "first")
    clean = environment.commit(tmp_path)
    assert len(clean["sha"]) == 40
    assert clean["dirty"] is False
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "record.json").write_text("{}")  # what a sweep leaves
    assert environment.commit(tmp_path) == clean
    (tmp_path / "sub" / "file").write_text("2")
    assert environment.commit(tmp_path) == clean | {"dirty": True}
    assert environment.commit(tmp_path / "sub") is None, "somebody else's repository"


def test_no_git_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.commit() is None


def test_budgets_are_kept_and_records_without_them_are_read(tmp_path):
    path = tmp_path / "record.json"
    record = example()
    record.budgets = [{"step": 8, "seconds": 1.5, "metrics": {"test": {"miou": torch.tensor(0.5)}}}]
    records.write(path, record)
    assert records.read(path).budgets == [
        {"step": 8, "seconds": 1.5, "metrics": {"test": {"miou": 0.5}}}
    ]
    fields = json.loads(path.read_text())
    del fields["budgets"]
    path.write_text(json.dumps(fields))
    assert records.read(path).budgets == []


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ([], "budgets holds a list, expected an object"),
        ({"step": 8, "seconds": 1.5}, "an entry of budgets lacks metrics"),
        ({"step": 8, "seconds": 1.5, "metrics": {"test": 1}}, "metrics.'test'. is int"),
    ],
)
def test_broken_budgets_are_refused(tmp_path, budget, message):
    record = example()
    record.budgets = [budget]
    with pytest.raises(ValueError, match=message) as error:
        records.write(tmp_path / "record.json", record)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("choices.seed", [0], r"choices.seed=\[0\] is neither text nor a number"),
        ("choices.model", {"a": 1}, "choices.model=.* is neither text nor a number"),
        ("data.fingerprint", ["f00"], "data.fingerprint=.* is neither text nor a number"),
        ("data.split", {"test": 1}, "data.split=.* is neither text nor a number"),
        ("data.left_out", ["a.png"], r"data.left_out=\['a.png'\] is no group of values"),
        ("data.images", 3, "data.images=3 is no group of values"),
        ("cost.parameters", "many", "cost.parameters='many' is no number"),
        ("cost.image_size", ["a", "b"], "cost.image_size=.* is no number"),
        ("cost.train_seconds", 10**400, "cost.train_seconds=10+ is no number"),
        ("cost.peak_memory_bytes", {}, "cost.peak_memory_bytes={} is no number"),
        ("metrics.test", [0.5], r"metrics\['test'\] is list, expected name: score"),
        ("metrics", 0.5, "metrics is float, expected dict"),
        ("config", "text", "config is str, expected dict"),
        ("machine", None, "machine is NoneType, expected dict"),
        ("commit", "abc", "commit is str, expected dict or null"),
        ("command", 3, "command is int, expected str"),
        ("status", "done", "status='done' is unknown"),
        ("checkpoint", "../../x", "leaves the record's folder"),
        ("schema_version", True, "schema_version=True is not 1"),
        ("budgets", [{"step": 1, "seconds": 1.0, "metrics": [1]}], r"budgets: metrics is \[1\]"),
    ],
)
def test_wrong_types_are_one_line(tmp_path, place, value, message):
    path = tmp_path / "record.json"
    records.write(path, example())
    fields = json.loads(path.read_text())
    group, _, name = place.partition(".")
    if name:
        fields[group][name] = value
    else:
        fields[group] = value
    path.write_text(json.dumps(fields))
    with pytest.raises(ValueError, match=message) as caught:
        records.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_endless_text_is_one_line(tmp_path):
    path = tmp_path / "record.json"
    path.write_text("[" * 100_000)
    with pytest.raises(ValueError, match=r"record.json: not a JSON record"):
        records.read(path)


def test_what_is_left_out_is_recorded(tmp_path):
    class Data:
        left_out: ClassVar = {f"{n}.png": "hidden" for n in range(metadata.NAMED + 3)}
        splits: ClassVar = {"train": [1, 2], "val": [3]}

    told = metadata.inventory(Data)
    assert told["images"] == {"train": 2, "val": 1}
    assert len(told["left_out"]) == metadata.NAMED + 1
    assert told["left_out"]["…"] == "3 more"
    record = example(data=example().data | told)
    records.write(tmp_path / "record.json", record)
    assert records.read(tmp_path / "record.json").data["left_out"]["2.png"] == "hidden"
