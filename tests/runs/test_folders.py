"""Run folders: never the same twice, and the right one to go on with."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from runs import folders, records, resume


def test_runs_of_the_same_second_get_folders_of_their_own(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: folders.new_folder(tmp_path / "variant", 3), range(24)))
    assert len(set(made)) == 24
    assert all(f.is_dir() and f.name.startswith("seed3-") for f in made)


def finish(run, status):
    record = records.new(
        command="python train.py",
        choices=dict.fromkeys(["model", "upsample", "data", "seed", "name"], "x"),
        config={},
        data=dict.fromkeys(["name", "fingerprint", "licence", "split"], "x"),
        status=status,
    )
    records.write(run / folders.RECORD, record)


def test_the_newest_unfinished_run_is_the_one_to_go_on_with(tmp_path):
    made = {}
    for age, (name, status, saved) in enumerate(
        [("done", "finished", True), ("killed", "running", True), ("stopped", "interrupted", True),
         ("young", "running", False)]
    ):  # fmt: skip
        run = made[name] = folders.new_folder(tmp_path, 0)
        finish(run, status)
        (run / "checkpoints").mkdir()
        if saved:
            (run / folders.LAST).touch()
            os.utime(run / folders.LAST, (100 + age, 100 + age))
    assert resume.unfinished(tmp_path, 0) == made["stopped"]
    with pytest.raises(ValueError, match="no unfinished run"):
        resume.unfinished(tmp_path, 1)


def test_first_difference_leaves_out_what_a_resumed_run_may_change():
    old = {"seed": 0, "trainer": {"max_epochs": 3}, "model": {"stride": 8}}
    assert resume.first_difference(old, {**old, "trainer": {"max_epochs": 9}}) is None
    assert resume.first_difference(old, {**old, "model": {"stride": 8, "width": 2}}) == (
        "model.width was None and is now 2"
    )


def test_only_an_empty_folder_is_discarded(tmp_path):
    empty, used = folders.new_folder(tmp_path, 0), folders.new_folder(tmp_path, 0)
    (empty / "config.yaml").touch()
    (used / "record.json").touch()
    folders.discard(empty)
    folders.discard(used)
    assert not empty.exists()
    assert used.exists()
