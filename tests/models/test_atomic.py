"""Writing whole or not at all: files, folders, interrupted, killed, without room."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from upzoo.atomic import NotWrittenError, remove_strays, whole


def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_a_file_is_the_old_one_until_the_new_is_whole(tmp_path):
    path = tmp_path / "sub" / "scores.json"
    with whole(path) as beside:
        beside.write_text("old")
    with whole(path) as beside:
        beside.write_text("half")
        assert path.read_text() == "old"
        assert beside.parent == path.parent  # on the same device, whatever TMPDIR is
    assert path.read_text() == "half"
    assert os.listdir(path.parent) == ["scores.json"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_what_goes_wrong_leaves_the_old_one(tmp_path, error):
    path = tmp_path / "model"
    with whole(path) as beside:
        beside.mkdir()
        (beside / "weights").write_text("old")

    def write():
        with whole(path) as beside:
            beside.mkdir()
            (beside / "weights").write_text("new")
            raise error

    with pytest.raises(error):
        write()
    assert (path / "weights").read_text() == "old"
    assert os.listdir(tmp_path) == ["model"]


def test_a_folder_is_replaced(tmp_path):
    path = tmp_path / "model"
    for content in ("old", "new"):
        with whole(path) as beside:
            beside.mkdir()
            (beside / content).write_text(content)
    assert os.listdir(path) == ["new"]
    assert os.listdir(tmp_path) == ["model"]


def test_a_full_disk_is_one_line(tmp_path):
    def write():
        with whole(tmp_path / "x") as beside:
            beside.write_text("half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(NotWrittenError) as error:
        write()
    assert str(error.value) == f"{tmp_path / 'x'}: not written: No space left on device"
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_a_file_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotWrittenError, match=r"file/x: not written"), whole(tmp_path / "file/x"):
        pass


@pytest.mark.parametrize("moment", ["written", "aside"])
def test_a_killed_writer_leaves_nothing_for_good(tmp_path, moment):
    """Killed before the name is given, or between the old folder's leaving and the new's coming."""
    place = {"written": "atomic._sync = die", "aside": "os.replace = twice"}[moment]
    code = f"""
import os, signal, sys
from upzoo import atomic
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
plain, calls = os.replace, []
def twice(*arguments):
    calls.append(1)
    die() if len(calls) == 2 else plain(*arguments)
{place}
with atomic.whole(sys.argv[1]) as beside:
    beside.mkdir()
    (beside / "weights").write_text("new")
"""
    path = tmp_path / "model"
    path.mkdir()
    (path / "weights").write_text("old")
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT)
    assert done.returncode == -9
    assert len(os.listdir(tmp_path)) == 2
    remove_strays(tmp_path)
    assert os.listdir(tmp_path) == ["model"]
    assert (path / "weights").read_text() == "old"


def test_only_strays_of_the_dead_are_removed(tmp_path):
    dead, alive = f".a.ckpt.{gone()}.tmp", f".a.ckpt.{os.getpid()}.tmp"
    for name in (dead, alive, ".hidden", "a.ckpt"):
        (tmp_path / name).write_text("")
    remove_strays(tmp_path)
    assert set(os.listdir(tmp_path)) == {alive, ".hidden", "a.ckpt"}
    remove_strays(Path(tmp_path / "nowhere"))
