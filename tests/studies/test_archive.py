"""Records that are kept hold on any machine, and nothing unfinished is among them."""

import dataclasses

import pytest

from comparison.curves import scalars
from runs import records
from studies import archive as keep
from tests.comparison.fabricated import write


def test_records_come_without_places(tmp_path):
    config = {
        "logs": "/home/somebody/logs",
        "run_dir": "/home/somebody/logs/study/x",
        "data": {"_target_": "data.mnist.MNIST", "root": "/home/somebody/data", "val": 5000},
    }
    command = "python train.py -m seed=0,1 data.root=/home/somebody/data logs=/home/somebody/logs"
    path = write(
        tmp_path / "study", "carafe", 0, {"miou": 0.5}, config=config, command=command,
        checkpoint="model",
    )  # fmt: skip
    write(tmp_path / "study", "carafe", 1, {"miou": 0.6}, status="failed")

    kept, left_out = keep.keep(tmp_path / "study", tmp_path / "results")

    assert kept == [tmp_path / "results" / path.relative_to(tmp_path / "study")]
    assert len(left_out) == 1
    assert "failed" in left_out[0]
    assert "somebody" not in kept[0].read_text()
    before, after = records.read(path), records.read(kept[0])
    assert after.command == "python train.py -m seed=0,1 data.root=PATH"
    assert after.config["data"]["val"] == 5000
    assert after.checkpoint is None
    assert dataclasses.replace(
        after, command=before.command, config=before.config, checkpoint="model"
    ) == before  # fmt: skip


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no record of a finished run"):
        keep.keep(tmp_path, tmp_path / "results")


def test_curves_are_kept_and_read_again(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    path = write(tmp_path / "study", "carafe", 0, {"miou": 0.5})
    with SummaryWriter(str(path.parent)) as events:
        for step in range(3):
            events.add_scalar("train/loss", 1 / (1 + step), step)
        events.add_scalar("val/miou", 0.5, 2)

    (kept,), _ = keep.keep(tmp_path / "study", tmp_path / "results", curves=True)

    found = scalars(kept.parent, ["train/loss", "val/miou", "val/psnr"])
    assert found["train/loss"] == pytest.approx({0: 1.0, 1: 0.5, 2: 1 / 3})
    assert found["val/miou"] == {2: 0.5}
    assert found["val/psnr"] == {}
