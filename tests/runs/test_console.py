"""Which errors become one line, and what it says."""

import io
import subprocess
import sys

import pytest
from hydra.errors import InstantiationException

from runs import console
from upzoo.upsampling import OPERATORS


def caught(function):
    try:
        function()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def test_our_own_value_errors_are_the_users():
    error = caught(lambda: OPERATORS["transposed_conv"](3, 3, 4, kernel=2))
    assert console.explain(error) == (
        "TransposedConv: kernel=2 must be an integer of at least 4: a smaller one leaves gaps "
        "between its stamps at scale 4"
    )


def test_a_librarys_errors_keep_their_traceback():
    import torch

    assert console.explain(caught(lambda: torch.ones(2).view(3))) is None


def test_hydras_wrapper_gives_way_to_its_cause():
    def fail():
        try:
            raise TypeError("no such\n  option")
        except TypeError as error:
            raise InstantiationException("Error in call to target") from error

    assert console.explain(caught(fail)) == "no such option"


def test_exit_status_and_stream(capsys):
    with pytest.raises(SystemExit) as ended, console.user_errors():
        OPERATORS["interpolate"](3, 3, 0)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: Interpolate: scale=0 must be an integer of at least 1\n"


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_image_is_named_in_one_line_from_any_process(tmp_path, workers):
    from PIL import Image

    from data.folder import Folder

    for kind, mode in (("images", "RGB"), ("masks", "L")):
        for split in ("train", "val"):
            (tmp_path / kind / split).mkdir(parents=True)
            Image.new(mode, (16, 16)).save(tmp_path / kind / split / "a.png")
    data = Folder(
        root=tmp_path, classes=["a", "b"], size=(16, 16), batch_size=1, num_workers=workers
    )
    (tmp_path / "images" / "train" / "a.png").write_bytes(b"no image")
    line = console.explain(caught(lambda: next(iter(data.train_dataloader()))))
    assert line is not None
    assert "a.png" in line
    assert "\n" not in line


def test_a_terminal_without_utf_8_gets_plain_signs(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    console.plain_where_needed()
    print("×10³ – −1.5 → é … 東")
    stream.flush()
    assert stream.buffer.getvalue() == b"x103 - -1.5 -> e ... ?\n"


def test_a_closed_pipe_is_no_fault():
    code = (
        "import os, sys; from runs import console\n"
        "with console.user_errors():\n"
        "    r, w = os.pipe(); os.close(r); os.dup2(w, 1); print('x' * 100_000, flush=True)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=console.ROOT, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (141, "")


@pytest.mark.parametrize("error", [PermissionError, FileNotFoundError, NotADirectoryError])
def test_a_place_that_the_system_refuses_is_one_line(error):
    def refuse():
        raise error(13, "Not\nallowed", "/a/place\n")

    assert "\n" not in console.explain(caught(refuse))
    assert console.explain(caught(refuse)).startswith("/a/place")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 4.47 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory:\nyou tried"),
        RuntimeError("CUDA out of memory. Tried to allocate 20 GiB"),
    ],
)
def test_too_little_memory_is_one_line(error):
    def refuse():
        raise error

    line = console.explain(caught(refuse))
    assert line.startswith("more memory is needed than there is (")
    assert line.endswith("make the net, the images, the batches or their number smaller")
    assert "\n" not in line
