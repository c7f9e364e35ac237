"""MNIST from small idx files: pixels, splits, batches and every fault with its message."""

import struct
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torch.utils.data import Subset

from data.base import ImageData
from data.files import DataError
from data.mnist import FILES, MNIST


def digits(count, first):
    """Digit k: pixel (y, x) is (first + 7 k + 3 y + x) mod 256; its label is k mod 10."""
    k, y, x = np.ogrid[:count, :28, :28]
    return ((first + 7 * k + 3 * y + x) % 256).astype(np.uint8)


def idx(values):
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


def write_mnist(root: Path, train=24, test=6):
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    for part, count, first in (("train", train, 0), ("t10k", test, 100)):
        labels = np.arange(count, dtype=np.uint8) % 10
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(digits(count, first)))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
    return root


@pytest.fixture
def root(tmp_path):
    return write_mnist(tmp_path)


def one_line(caught):
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_held_out_digits_are_evenly_spaced_and_no_others_are(root):
    data = MNIST(root=root, val=5)
    data.setup()
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 19,
        "val": 5,
        "test": 6,
    }
    # ⌊24 k / 5⌋
    held = [0, 4, 9, 14, 19]
    assert data.splits["val"].images[:, 0, 0, 0].tolist() == [7 * k for k in held]
    kept = [k for k in range(24) if k not in held]
    assert data.splits["train"].images[:, 0, 0, 0].tolist() == [7 * k for k in kept]
    assert data.splits["train"].labels.tolist() == [k % 10 for k in kept]


def test_at_32_the_digit_lies_in_a_frame_of_background(root):
    sample = MNIST(root=root, val=5).prepared("test")[3]
    assert (sample["image"].shape, sample["image"].dtype) == ((1, 32, 32), torch.float32)
    assert (sample["label"].item(), sample["label"].dtype) == (3, torch.int64)
    inner = torch.from_numpy(digits(6, 100)[3]).float()
    torch.testing.assert_close(sample["image"][0, 2:-2, 2:-2], inner / 127.5 - 1)
    frame = torch.ones(32, 32, dtype=torch.bool)
    frame[2:-2, 2:-2] = False
    assert (sample["image"][0, frame] == -1).all()


def test_at_28_pixels_are_the_files_own(root):
    image = MNIST(root=root, val=5, size=(28, 28)).prepared("test")[0]["image"]
    torch.testing.assert_close(image[0], torch.from_numpy(digits(1, 100)[0]) / 127.5 - 1)


@pytest.mark.parametrize("index", [2, [2]])
def test_at_other_sizes_digits_are_resized_about_their_centres(root, index):
    data = MNIST(root=root, val=5, size=(56, 56))
    data.setup()
    image = data.splits["test"][index]["image"].reshape(56, 56)
    source = torch.from_numpy(digits(6, 100)[2]).float()
    # output pixel 2i + 1 lies a quarter of a pixel beyond input pixel i
    rows = 0.75 * source[:-1] + 0.25 * source[1:]
    expected = 0.75 * rows[:, :-1] + 0.25 * rows[:, 1:]
    torch.testing.assert_close(image[1:-1:2, 1:-1:2], expected)
    # antialiased, a coarser map keeps the mean, however fine the pattern
    stripes = MNIST(root=root, val=5, size=(7, 7))
    stripes.setup()
    stripes.splits["test"].images[:] = (torch.arange(28) % 2 * 200).to(torch.uint8)
    small = stripes.splits["test"][0]["image"]
    torch.testing.assert_close(small[:, 1:-1, 1:-1], torch.full((1, 5, 5), 100.0), atol=8, rtol=0)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_hold_each_training_digit_once_with_its_own_label(root, workers):
    data = MNIST(root=root, val=4, size=(28, 28), batch_size=5, num_workers=workers)
    batches = list(data.train_dataloader())
    assert [tuple(batch["image"].shape) for batch in batches] == [(5, 1, 28, 28)] * 4
    images = torch.cat([batch["image"] for batch in batches])
    found = ((images[:, 0, 0, 0] + 1) * 127.5 / 7).round().int()
    kept = [k for k in range(24) if k not in (0, 6, 12, 18)]
    assert sorted(found.tolist()) == kept
    assert found.tolist() != kept
    labels = torch.cat([batch["label"] for batch in batches])
    assert labels.tolist() == [k % 10 for k in found.tolist()]
    # the next epoch is in another order
    loader = data.train_dataloader()
    loader.sampler.set_epoch(1)
    again = torch.cat([batch["image"] for batch in loader])
    assert not torch.equal(again, images)


def test_evaluation_shares_cover_every_digit_once(root, monkeypatch):
    data = MNIST(root=root, val=5, eval_batch_size=2)
    found = []
    for rank in range(3):
        monkeypatch.setattr(ImageData, "_rank", lambda _, rank=rank: (rank, 3))
        loader = data.test_dataloader()
        assert isinstance(loader.dataset, Subset)
        found += [label for batch in loader for label in batch["label"].tolist()]
    assert sorted(found) == [0, 1, 2, 3, 4, 5]


def test_overfit_evaluates_what_it_trains_on(root):
    data = MNIST(root=root, val=5, overfit=3, batch_size=3)
    (train,), (test,) = data.train_dataloader(), data.test_dataloader()
    # digit 0 is held out
    assert sorted(train["label"].tolist()) == test["label"].tolist() == [1, 2, 3]


def test_attributes_and_card(root):
    data = MNIST(root=root)
    assert (data.in_channels, data.size, data.test_split) == (1, (32, 32), "test")
    assert (data.num_classes, data.classes[7]) == (10, "7")
    assert data.card() == {"classes": list("0123456789"), "mean": [0.5], "std": [0.5]}


def test_fingerprint_is_of_the_pixels_labels_and_split(root, tmp_path):
    mark = MNIST(root=root, val=5).fingerprint()
    assert MNIST(root=root, val=5, size=(64, 64), seed=3).fingerprint() == mark
    assert MNIST(root=root, val=6).fingerprint() != mark
    images = root / "MNIST" / "raw" / FILES[0]
    images.write_bytes(images.read_bytes()[:-1] + b"\x01")
    assert MNIST(root=root, val=5).fingerprint() != mark


def test_missing_files_name_the_folder_and_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setenv("UPZOO_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"data\.download=true") as caught:
        MNIST()
    assert f"no MNIST at {tmp_path}: MNIST/raw/train-images-idx3-ubyte" in one_line(caught)
    write_mnist(tmp_path)
    assert MNIST().root == tmp_path


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (FILES[0], b"junk", "cannot read MNIST at"),
        (FILES[0], idx(digits(4, 0))[:-9], "cannot read MNIST at"),
        (FILES[0], b"", "cannot read MNIST at"),
        (FILES[0], idx(digits(4, 0)[:, :20]), r"images \(4, 20, 28\) and 24 labels"),
        (FILES[1], idx(np.zeros(3, np.uint8)), r"images \(24, 28, 28\) and 3 labels"),
    ],
)
def test_broken_files(root, name, content, message):
    (root / "MNIST" / "raw" / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        MNIST(root=root, val=2).setup()
    assert str(root) in one_line(caught)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (32, 48)}, r"size=\[32, 48\] must be square"),
        ({"val": 0}, "val=0 must be a whole number of 1 or more"),
        ({"val": 24}, "val=24 must be less than the 24 training digits"),
        ({"batch_size": 40}, "batch_size=40 is larger than the 19 training images of mnist"),
    ],
)
def test_wrong_options_are_refused(root, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        MNIST(**{"root": root, "val": 5, **options}).train_dataloader()
    one_line(caught)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The folder from whose MNIST/raw torchvision now downloads."""
    source = write_mnist(tmp_path / "server") / "MNIST" / "raw"

    def download(url, download_root, filename, md5):
        name = filename.removesuffix(".gz")
        try:
            (Path(download_root) / name).write_bytes((source / name).read_bytes())
        except FileNotFoundError:
            raise URLError(f"no {filename}\nat {url}") from None

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", download)
    return source


def test_download(tmp_path, server):
    home = tmp_path / "home"
    data = MNIST(root=home, download=True, val=5)
    assert data.prepared("test")[5]["label"] == 5
    assert [path.name for path in home.iterdir()] == ["MNIST"]
    # a copy that is there is used as it is
    (server / FILES[0]).unlink()
    MNIST(root=home, download=True)


@pytest.mark.parametrize("fault", ["absent", "broken"])
def test_download_that_fails_leaves_nothing(tmp_path, server, fault):
    (server / FILES[2]).unlink() if fault == "absent" else (server / FILES[0]).write_bytes(b"junk")
    home = tmp_path / "home"
    with pytest.raises(DataError, match="cannot fetch MNIST to") as caught:
        MNIST(root=home, download=True)
    assert str(home) in one_line(caught)
    assert list(home.iterdir()) == []
