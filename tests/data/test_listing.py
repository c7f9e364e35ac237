"""One listing: what of a folder is used, what is left out, and why; which mask is whose."""

import os

import numpy as np
import pytest
from PIL import Image

from data.files import DataError
from data.folder import Folder
from data.images import Images
from data.listing import list_files, list_images, summary
from data.pairs import list_pairs


def save(path, colour=0, mode="RGB", size=(4, 3)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)


def save_mask(path, values=((0, 1), (1, 0))):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(values, np.uint8)).save(path)


def make_folder(root, names=("a", "b", "c", "d"), size=(2, 2)):
    """images/ and masks/ with train/ and val/."""
    for split in ("train", "val"):
        for name in names:
            save(root / "images" / split / f"{name}.png", size=size)
            save_mask(root / "masks" / split / f"{name}.png")
    return root


def make_data(root, **options):
    return Folder(**{"root": root, "size": (2, 2), "batch_size": 1, "num_workers": 0, **options})


def test_everything_is_used_or_left_out_with_a_reason(tmp_path):
    for name in ("b.png", "a/z.JPG", "x.png/in.png"):  # the last: a folder called like an image
        save(tmp_path / name)
    for name in ("._b.png", ".DS_Store", "Thumbs.db", "notes.txt", "photo.heic"):
        (tmp_path / name).write_bytes(b"\0\5\x16\7")
    save(tmp_path / ".ipynb_checkpoints" / "b-checkpoint.png")
    (tmp_path / "nowhere.png").symlink_to(tmp_path / "gone.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "again.png").symlink_to(tmp_path / "b.png")
    listing = list_images(tmp_path)
    assert listing.names == ["a/z.JPG", "again.png", "x.png/in.png"]
    assert listing.left_out == {
        "._b.png": "hidden",
        ".DS_Store": "hidden",
        ".ipynb_checkpoints": "hidden",
        "Thumbs.db": "no image",
        "notes.txt": "no image",
        "photo.heic": "no image",
        "nowhere.png": "link to nothing",
        "pipe.png": "no regular file",
        "b.png": "second link to another file",
        "empty.png": "unreadable: no whole PNG, JPEG, BMP, TIFF, WebP or GIF",
    }
    told = summary(listing.left_out)
    assert told.startswith("left out: 3 × hidden (.DS_Store, ._b.png, .ipynb_checkpoints), ")
    assert "1 × unreadable (empty.png: no whole" in told
    assert summary({}) == ""


def test_linked_folders_are_followed_and_loops_are_not(tmp_path):
    save(tmp_path / "elsewhere" / "deep" / "x.png")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "deep" / "up").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "self").symlink_to(tmp_path / "root")
    listing = list_files(tmp_path / "root")
    assert listing.names == ["linked/deep/x.png"]
    assert listing.left_out == dict.fromkeys(
        ("linked/deep/up", "self"), "link to a folder around it"
    )


def test_a_name_that_is_no_utf8_is_left_out_in_words(tmp_path):
    save(tmp_path / "a.png")
    with open(os.fsencode(tmp_path) + b"/\xff.png", "wb"):
        pass
    listing = list_images(tmp_path)
    assert listing.names == ["a.png"]
    assert listing.left_out == {"\\udcff.png": "name that is no UTF-8"}


def test_a_folder_with_no_image_says_what_it_holds(tmp_path):
    (tmp_path / "photo.heic").write_bytes(b"x")
    with pytest.raises(DataError, match=r"holds no image; wanted are .*1 × no image \(photo\.heic"):
        list_images(tmp_path)


def test_broken_images_are_left_out_of_any_folder_of_images(tmp_path):
    for index in range(20):
        save(tmp_path / f"{index}.png")
    names = Images(root=tmp_path, val=0.2, test=0.2).names
    broken = names["train"][0]
    (tmp_path / broken).write_bytes((tmp_path / broken).read_bytes()[:40])
    data = Images(root=tmp_path, val=0.2, test=0.2)
    assert data.names == {
        split: [n for n in found if n != broken] for split, found in names.items()
    }
    assert list(data.left_out) == [broken]
    assert f"1 × unreadable ({broken}: " in data.inventory()


def test_nested_pairs_and_any_case_of_any_kind_of_mask(tmp_path):
    images, masks = tmp_path / "images", tmp_path / "masks"
    kinds = ("a/x.PNG", "a/b/y.TIF", "z.bmp", "w.tiff", "v.GIF")
    for name in kinds:
        save((images / name).with_suffix(".JPG"))
        save_mask(masks / name)
    np.save(masks / "n.npy", np.zeros((2, 2)))
    save(images / "n.webp")
    listing = list_pairs(images, masks)
    found = {(i.relative_to(images).as_posix(), m.relative_to(masks).as_posix())
             for i, m in listing.pairs}  # fmt: skip
    expected = {(name.rpartition(".")[0] + ".JPG", name) for name in kinds}
    assert found == expected | {("n.webp", "n.npy")}
    assert listing.left_out == {}


def test_a_mask_goes_with_one_image_and_an_image_with_one_mask(tmp_path):
    images, masks = tmp_path / "images", tmp_path / "masks"
    for name in ("a.png", "two.jpg", "two.png", "three.png", "lossy.png", "own.jpg", "own.png"):
        save(images / name)
    for name in ("a.png", "two.png", "three.png", "three.tif", "own.jpg.png", "own.png.png"):
        save_mask(masks / name)
    save(masks / "lossy.jpg")
    save_mask(masks / "alone.png")
    listing = list_pairs(images, masks)
    assert [image.name for image, _ in listing.pairs] == ["a.png", "own.jpg", "own.png"]
    why = {path.relative_to(tmp_path).as_posix(): text for path, text in listing.left_out.items()}
    assert why["images/two.jpg"] == "image of a name that another one has: both want two.png"
    assert why["images/three.png"] == "image with several masks: three.png and three.tif"
    assert "a JPEG or WebP, which changes class indices" in why["images/lossy.png"]
    assert why["masks/alone.png"] == "mask without an image"


def test_a_suffix_of_masks_is_taken_and_guessed_in_the_message(tmp_path):
    for split in ("train", "val"):
        save(tmp_path / "images" / split / "x.png", size=(2, 2))
        save_mask(tmp_path / "masks" / split / "x_mask.png")
    with pytest.raises(DataError, match=r"x\.png wants x\.png, .*set data\.mask_suffix=_mask$"):
        make_data(tmp_path)
    data = make_data(tmp_path, mask_suffix="_mask")
    assert [mask.name for _, mask in data.pairs["train"]] == ["x_mask.png"]


def test_a_folder_leaves_out_what_does_not_fit_and_says_so(tmp_path):
    root = make_folder(tmp_path)
    (root / "images/train/a.png").write_bytes(b"junk")
    (root / "masks/train/b.png").unlink()
    save_mask(root / "masks/train/c.png", [[0, 1]])
    (root / "masks/val/d.png").write_bytes(b"junk")
    (root / "images" / "extra").mkdir()
    data = make_data(root)
    assert {name: len(pairs) for name, pairs in data.pairs.items()} == {"train": 1, "val": 3}
    assert set(data.left_out) == {
        "images/extra",
        "images/train/a.png",
        "images/train/b.png",
        "images/train/c.png",
        "images/val/d.png",
    }
    told = data.inventory()
    assert told.startswith("folder: 1 train, 3 val images; left out: ")
    assert "1 × image of another size than its mask (images/train/c.png: 2×2 and 2×1)" in told
    assert "1 × image with an unreadable mask (images/val/d.png: no whole PNG, TIFF" in told
    (root / "images/train/d.png").unlink()
    with pytest.raises(DataError, match=r"no train image at .* can be used: left out: "):
        make_data(root)


@pytest.mark.parametrize(("train", "val"), [("train", "validation"), ("Train", "valid")])
def test_other_names_of_the_split_folders(tmp_path, train, val):
    for split in (train, val):
        save(tmp_path / "images" / split / "x.png", size=(2, 2))
        save_mask(tmp_path / "masks" / split / "x.png")
    assert {name: len(pairs) for name, pairs in make_data(tmp_path).pairs.items()} == {
        "train": 1,
        "val": 1,
    }
    (tmp_path / "masks" / val / "x.png").unlink()
    (tmp_path / "masks" / val).rmdir()
    with pytest.raises(FileNotFoundError, match=r"masks has no val/"):
        make_data(tmp_path)
