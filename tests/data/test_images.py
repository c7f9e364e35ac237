"""A folder of images: what is found, read and split, and every fault with its message."""

import numpy as np
import pytest
import torch
from PIL import Image

from data import images as module
from data.files import DataError
from data.images import Images
from data.listing import list_images
from data.shapes import Shapes

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def save_image(path, rows, mode=None, **options):
    """An image of the given rows of colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.array(rows, np.uint8))
    (image.convert(mode) if mode else image).save(path, **options)


def make_images(root, count=40, size=(4, 4)):
    """Image k is of one grey, 6 k."""
    for index in range(count):
        save_image(root / f"{index:02}.png", np.full((*size, 3), 6 * index))
    return root


def make_data(root, **options):
    return Images(**{"root": root, "size": (4, 4), "val": 0.2, "test": 0.2, **options})


def read(tmp_path, **options):
    """The one image of a folder as uint8, with `options`."""
    pictures = module.Pictures(tmp_path, list_images(tmp_path).names, (2, 2), False, 0)
    for name, value in options.items():
        setattr(pictures, name, value)
    return pictures[0]["image"]


def one_line(caught):
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_found_is_sorted_whole_and_without_hidden_files(tmp_path):
    for name in ("b.png", "a/z.JPG", "a.png", "B/deep/er.webp", ".hidden.png", ".cache/x.png"):
        save_image(tmp_path / name, [[RED]])
    (tmp_path / "a" / "notes.txt").write_text("no image")
    assert list_images(tmp_path).names == ["B/deep/er.webp", "a.png", "a/z.JPG", "b.png"]
    (tmp_path / "0.png").symlink_to(tmp_path / "b.png")
    assert list_images(tmp_path).names == ["0.png", "B/deep/er.webp", "a.png", "a/z.JPG"]


def test_splits_follow_from_names_alone(tmp_path):
    names = make_data(make_images(tmp_path)).names
    assert sorted(names["train"] + names["val"] + names["test"]) == list_images(tmp_path).names
    # the hash is the same on every machine
    assert names["val"] == [f"{index:02}.png" for index in (1, 4, 11, 14, 17, 27, 37, 38, 39)]
    assert names["test"] == [f"{index}.png" for index in ("05", 13, 16, 18, 20, 22, 24, 28, 34, 36)]
    save_image(tmp_path / "new.png", [[RED]])
    (tmp_path / "00.png").unlink()
    for split, found in make_data(tmp_path).names.items():
        assert set(found) - {"new.png"} == set(names[split]) - {"00.png"}


def test_shares_are_those_asked_for():
    places = [module.share_from("split", f"{index}.png") for index in range(4000)]
    assert 0 <= min(places) < max(places) < 1
    # three deviations of a binomial of 4000 at 0.05
    assert abs(sum(place < 0.05 for place in places) - 200) < 3 * np.sqrt(4000 * 0.05 * 0.95)


@pytest.mark.parametrize(
    ("colour", "expected"),
    [((*RED, 255), RED), ((*RED, 0), WHITE), ((*RED, 51), (255, 204, 204))],
)
def test_transparency_is_composited_on_white(tmp_path, colour, expected):
    save_image(tmp_path / "x.png", [[colour] * 3] * 3)
    assert read(tmp_path)[:, 1, 1].tolist() == list(expected)


def test_a_palette_with_a_transparent_colour(tmp_path):
    image = Image.new("P", (2, 2), 0)
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "x.png", transparency=0)
    assert read(tmp_path).permute(1, 2, 0).tolist() == [
        [list(WHITE), list(BLUE)],
        [list(WHITE), list(WHITE)],
    ]


def test_grey_is_luma(tmp_path):
    save_image(tmp_path / "x.png", [[RED, RED], [RED, RED]])
    # 0.299 · 255
    assert read(tmp_path, grey=True).tolist() == [[[76, 76], [76, 76]]]
    for index in range(20):
        save_image(tmp_path / f"{index}.png", [[RED]])
    data = make_data(tmp_path, grey=True)
    assert (data.in_channels, data.card()) == (1, {"mean": [0.5], "std": [0.5]})
    assert data.prepared("val")[0]["image"].shape == (1, 4, 4)


def test_the_exif_turn_is_taken(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the first row is the right-hand column
    save_image(tmp_path / "x.png", [[RED, RED], [BLUE, BLUE]], exif=exif)
    assert read(tmp_path).permute(1, 2, 0).tolist() == [[list(BLUE), list(RED)]] * 2


def test_the_longer_side_is_cropped_about_the_centre(tmp_path):
    save_image(tmp_path / "x.png", [[BLUE, RED, WHITE, BLUE]] * 2)
    assert read(tmp_path).permute(1, 2, 0).tolist() == [[list(RED), list(WHITE)]] * 2
    # (height, width) = (4, 2) of a square: its two columns in the middle
    save_image(tmp_path / "x.png", [[BLUE, RED, WHITE, BLUE]] * 4)
    assert read(tmp_path, size=(4, 2)).permute(1, 2, 0).tolist() == [[list(RED), list(WHITE)]] * 4


def test_resizing_is_antialiased(tmp_path):
    rows = np.zeros((64, 64, 3))
    rows[:, ::2] = 200
    save_image(tmp_path / "x.png", rows)
    small = read(tmp_path, size=(8, 8)).float()
    assert (small - 100).abs().max() < 5


def test_batches_are_normalised_and_hold_each_image_once(tmp_path):
    data = make_data(make_images(tmp_path), batch_size=5, seed=1)
    batches = list(data.train_dataloader())
    assert {tuple(batch["image"].shape) for batch in batches} == {(5, 3, 4, 4)}
    assert all(set(batch) == {"image"} for batch in batches)
    images = torch.cat([batch["image"] for batch in batches])
    assert (images == images[:, :1, :1, :1]).all()
    found = sorted(round((x + 1) * 127.5 / 6) for x in images[:, 0, 0, 0].tolist())
    assert len(set(found)) == len(found)
    assert {f"{index:02}.png" for index in found} <= set(data.names["train"])
    expected = int(data.names["test"][0][:2]) * 6 / 127.5 - 1
    torch.testing.assert_close(
        data.prepared("test")[0]["image"], torch.full((3, 4, 4), expected), atol=1e-6, rtol=1e-6
    )


@pytest.mark.parametrize("memory", [0, 1])
def test_files_are_read_once_within_the_memory_allowed(tmp_path, monkeypatch, memory):
    data = make_data(make_images(tmp_path), memory=memory, batch_size=4)
    count, opened = len(data.names["train"]) // 4 * 4, []
    real = module.open_image
    monkeypatch.setattr(module, "open_image", lambda path: opened.append(path) or real(path))
    loader = data.train_dataloader()
    first, again = (torch.cat([batch["image"] for batch in loader]) for _ in range(2))
    assert torch.equal(first, again)
    assert len(opened) == (count if memory else 2 * count)


def test_memory_is_a_limit_in_bytes(tmp_path):
    make_images(tmp_path)
    pictures = module.Pictures(
        tmp_path, list_images(tmp_path).names, (4, 4), False, 3 * 4 * 4 * 2 + 1
    )
    for index in range(5):
        assert pictures[[index]]["image"][0, 0, 0, 0] == 6 * index
    assert sorted(pictures.kept) == [0, 1]


def test_flips_depend_on_seed_epoch_and_index_alone(tmp_path):
    for index in range(100):
        save_image(tmp_path / f"{index}.png", [[RED, BLUE]])
    options = {"size": (1, 2), "val": 0.05, "test": 0.05}

    def mirrored(epoch=0, **more):
        data = make_data(tmp_path, **options, **more)
        dataset = data.augmented()
        batch = dataset.__getitems__([(epoch, index) for index in range(80)])
        assert torch.equal(batch["image"][7], dataset[epoch, 7]["image"])
        return batch["image"][:, 0, 0, 0] == -1  # blue has come to the left

    assert not mirrored().any()
    assert mirrored(flip=1.0).all()
    half = mirrored(flip=0.5)
    assert 20 < half.sum() < 60
    assert torch.equal(half, mirrored(flip=0.5))
    assert not torch.equal(half, mirrored(flip=0.5, epoch=1))
    assert not torch.equal(half, mirrored(flip=0.5, seed=1))
    assert not mirrored(flip=1.0, overfit=80).any()
    data = make_data(tmp_path, flip=1.0, **options)
    assert (data.prepared("val")[0]["image"][0, 0] == torch.tensor([1.0, -1.0])).all()


def test_fingerprint_follows_names_and_sizes_not_the_place(tmp_path):
    one, two = make_images(tmp_path / "a"), make_images(tmp_path / "b")
    mark = make_data(one).fingerprint()
    assert make_data(two, size=(8, 8), grey=True).fingerprint() == mark
    assert make_data(one, val=0.5).fingerprint() != mark
    (two / "01.png").rename(two / "99.png")
    assert make_data(two).fingerprint() != mark


def test_name_and_licence_are_the_users(tmp_path):
    data = make_data(make_images(tmp_path), name="emoji", licence="Apache 2.0")
    assert (data.name, data.licence, data.num_classes) == ("emoji", "Apache 2.0", 0)


@pytest.mark.parametrize("content", [b"junk", b"", "truncated"])
def test_a_broken_file_is_named_in_one_line(tmp_path, content):
    make_images(tmp_path)
    data = make_data(tmp_path, eval_batch_size=4)
    broken = tmp_path / data.names["val"][1]
    if content == "truncated":
        noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
        save_image(broken, noise)
        content = broken.read_bytes()[:2000]
    broken.write_bytes(content)
    with pytest.raises(DataError, match=f"^cannot read the image {broken}: ") as caught:
        list(data.val_dataloader())
    one_line(caught)


def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*none: set data\.root") as caught:
        Images(root=tmp_path / "none")
    one_line(caught)
    with pytest.raises(DataError, match=r"holds no image; wanted are \.png"):
        Images(root=tmp_path)
    save_image(tmp_path / "x.png", [[RED]])
    with pytest.raises(DataError, match=r"leave no \w+ image of the 1 at") as caught:
        Images(root=tmp_path)
    one_line(caught)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "a/b"}, "name='a/b' must be of letters, digits and underscores"),
        ({"val": 0}, "val=0 and test=0.2 must be shares above 0"),
        ({"val": 0.8}, "val=0.8 and test=0.2 must be shares"),
        ({"flip": 2}, "flip=2 must be a probability"),
        ({"memory": -1}, "memory=-1 must be a whole number of 0 or more"),
        ({"size": (4,)}, r"size=\[4\] must be \[height, width\]"),
    ],
)
def test_wrong_options_are_refused(tmp_path, options, message):
    make_images(tmp_path, 4)
    with pytest.raises(ValueError, match=message) as caught:
        make_data(tmp_path, **options)
    one_line(caught)


def test_drawn_scenes_serve_as_images_and_keep_their_fingerprint():
    batch = next(
        iter(Shapes(size=(64, 64), train=4, val=1, test=1, batch_size=4).train_dataloader())
    )
    assert batch["image"].shape == (4, 3, 64, 64)
    # of the scenes that committed records were made on
    assert Shapes().fingerprint() == "bf9fe0ad702b769d"
    assert Shapes(overfit=4).fingerprint() == "2447b73a515bf11b"
    card = Shapes().card()
    assert card["classes"][:2] == ["background", "disc"]
    assert (card["palette"][1], card["ignore_index"]) == ([230, 85, 60], 255)
    assert (card["mean"], card["std"]) == ([0.5] * 3, [0.25] * 3)
