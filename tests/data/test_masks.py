"""Masks as they come: values, sparse values, colours, arrays; and what the messages say of them."""

import numpy as np
import pytest
import torch
from PIL import Image

from data.files import DataError
from data.folder import Folder
from data.masks import Coding, name_values, read_values
from data.palette import CODINGS, bit_colours

TRUTH = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
COLOURS = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0]], np.uint8)  # VOC's first three


def indexed(values, colours=COLOURS):
    image = Image.fromarray(values)
    image.putpalette([int(c) for colour in colours for c in colour])
    return image


def make_data(root, masks, **options):
    """A folder of one image for each split, with masks of these arrays, images or files."""
    for split, mask in zip(("train", "val"), masks, strict=True):
        folder = root / "masks" / split
        folder.mkdir(parents=True)
        (root / "images" / split).mkdir(parents=True)
        if isinstance(mask, np.ndarray):
            mask = Image.fromarray(mask)
        mask.save(folder / "x.png")
        Image.new("RGB", mask.size).save(root / "images" / split / "x.png")
    return Folder(root=root, size=(2, 3), batch_size=1, num_workers=0, **options)


def mask_of(data, split="train"):
    data.setup()
    return data.splits[split].mask(0).tolist()


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("l.png", Image.fromarray(TRUTH)),
        ("p.png", indexed(TRUTH, [[9, 9, 9]] * 3)),
        ("16.png", Image.fromarray(TRUTH.astype(np.uint16))),
        ("la.png", Image.fromarray(np.dstack([TRUTH, np.full_like(TRUTH, 255)]))),
        ("rgb.png", Image.fromarray(np.repeat(TRUTH[..., None], 3, -1))),
        ("l.tif", Image.fromarray(TRUTH)),
        ("i.tif", Image.fromarray(TRUTH.astype(np.int32))),
        ("f.tif", Image.fromarray(TRUTH.astype(np.float32))),
        ("l.bmp", Image.fromarray(TRUTH)),
        ("l.gif", Image.fromarray(TRUTH)),
    ],
)
def test_every_kind_of_file_gives_its_values(tmp_path, name, image):
    image.save(tmp_path / name)
    values, coloured = read_values(tmp_path / name)
    assert (values.tolist(), coloured) == (TRUTH.tolist(), False)


@pytest.mark.parametrize(
    "array",
    [
        TRUTH,
        TRUTH.astype(np.int64),
        TRUTH.astype(float),
        TRUTH[None],
        TRUTH[..., None],
        np.repeat(TRUTH[..., None], 3, -1),
    ],
)
def test_arrays_are_masks(tmp_path, array):
    np.save(tmp_path / "x.npy", array)
    assert read_values(tmp_path / "x.npy")[0].tolist() == TRUTH.tolist()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((2, 2), 0.5), "fractions, not integers"),
        (np.zeros((2, 2, 2, 2)), r"an array of shape \(2, 2, 2, 2\)"),
        (np.array([["a"]]), "values, not integers"),
        (np.array([[{}]], object), "(allow_pickle=False|Python objects in dtype)"),
    ],
)
def test_arrays_that_are_no_masks(tmp_path, array, message):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(DataError, match=rf"cannot read the mask .*x\.npy: .*{message}"):
        read_values(tmp_path / "x.npy")


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (Image.fromarray(np.dstack([TRUTH, TRUTH])), {}, "transparent pixels, which are no class"),
        (Image.new("RGB", (3, 2)), {"format": "JPEG"}, "a JPEG changes class indices"),
        (Image.new("CMYK", (3, 2)), {"format": "TIFF"}, "CMYK pixels"),
    ],
)
def test_images_that_are_no_masks(tmp_path, image, options, message):
    image.save(tmp_path / "x.png", **options)
    with pytest.raises(DataError, match=rf"cannot read the mask .*x\.png: .*{message}"):
        read_values(tmp_path / "x.png")


def test_a_gif_gives_its_greys_since_writers_renumber_its_indices(tmp_path):
    Image.fromarray(np.array([[0, 5], [5, 0]], np.uint8)).save(tmp_path / "x.gif")
    assert read_values(tmp_path / "x.gif")[0].tolist() == [[0, 5], [5, 0]]
    indexed(TRUTH[:, 1:] * 0 + 2).save(tmp_path / "y.gif")
    values, coloured = read_values(tmp_path / "y.gif")
    assert coloured
    assert name_values(values.flatten().tolist()[:1], True) == "[0,128,0]"


def test_void_is_void_unless_it_is_listed(tmp_path):
    path = tmp_path / "x.png"
    Image.fromarray(np.array([[0, 255, 1]], np.uint8)).save(path)
    assert Coding(2).encode(path, 255).tolist() == [[0, 255, 1]]
    assert Coding(256, void=0).encode(path, 99).tolist() == [[99, 255, 1]]
    assert Coding(3, 255, (1, 0, 255)).encode(path, 99).tolist() == [[1, 2, 0]]
    with pytest.raises(DataError, match=r"x\.png holds 255; .* 0 \.\. 1 and no void"):
        Coding(2, None).encode(path, 255)


def test_0_and_255_are_two_classes_once_that_is_said(tmp_path):
    binary = (TRUTH > 0).astype(np.uint8) * 255
    with pytest.raises(DataError, match=r"the value 0, and 255, which is void .*values=\[0,255\]"):
        make_data(tmp_path / "a", [binary, binary])
    with pytest.raises(DataError, match=r"hold 0, 255, and 255 is void .*values=\[0,255\]"):
        make_data(tmp_path / "b", [binary, binary], classes=["ground", "object"])
    data = make_data(tmp_path / "c", [binary, binary], values=[0, 255], classes=["no", "yes"])
    assert mask_of(data) == (TRUTH > 0).astype(int).tolist()
    assert data.classes == ("no", "yes")


def test_sparse_values_are_no_phantom_classes(tmp_path):
    sparse = np.array([0, 50, 100], np.uint8)[TRUTH]
    with pytest.raises(DataError) as caught:
        make_data(tmp_path / "a", [sparse, sparse])
    assert str(caught.value).endswith(
        "masks hold the values 0, 50, 100, not 0, 1, 2 …: set data.values=[0,50,100] for these 3 "
        "classes, or data.classes=101 if each of 0 .. 100 is a class"
    )
    data = make_data(tmp_path / "b", [sparse, sparse], values=[0, 50, 100])
    assert (data.num_classes, mask_of(data)) == (3, TRUTH.tolist())
    reordered = make_data(tmp_path / "c", [sparse, sparse], values=[100, 0, 50])
    assert mask_of(reordered) == [[1, 2, 0], [0, 2, 1]]
    assert reordered.fingerprint() != data.fingerprint()
    assert make_data(tmp_path / "d", [sparse, sparse], classes=101).num_classes == 101


def test_values_beyond_the_classes_are_listed_before_training(tmp_path):
    with pytest.raises(DataError) as caught:
        make_data(tmp_path, [TRUTH, TRUTH * 3], classes=["a", "b", "c"])
    assert "hold 0, 1, 2, 3, 6; allowed are the classes 0 .. 2 and 255 for void" in str(
        caught.value
    )
    assert "3, 6 is neither (x.png): data.void says what is void" in str(caught.value)


@pytest.mark.parametrize("palette", ["voc", COLOURS.tolist()])
@pytest.mark.parametrize("kind", ["rgb", "indexed otherwise"])
def test_colours_are_classes(tmp_path, palette, kind):
    rgb, other = Image.fromarray(COLOURS[TRUTH]), indexed(2 - TRUTH, COLOURS[::-1])
    mask = rgb if kind == "rgb" else other  # what counts is the colour
    data = make_data(tmp_path, [mask, mask], palette=palette)
    assert mask_of(data) == TRUTH.tolist()
    assert data.palette[:3] == tuple(map(tuple, COLOURS.tolist()))
    assert data.num_classes == (21 if palette == "voc" else 3)
    assert data.classes[0] == ("background" if palette == "voc" else "class 0")


def test_named_colours_have_their_void(tmp_path):
    for name, (colours, void) in CODINGS.items():
        mask = np.array([[*colours.values(), void]], np.uint8)
        data = make_data(tmp_path / name, [mask, mask], palette=name)
        assert mask_of(data) == [[*range(len(colours)), 255]]
    assert tuple(CODINGS["voc"][0].values()) == bit_colours(21)
    mask = COLOURS[TRUTH]
    own = make_data(tmp_path / "own", [mask, mask], palette=COLOURS[1:].tolist(), void=[0, 0, 0])
    assert mask_of(own) == [[255, 0, 1], [1, 0, 255]]


def test_colours_that_nobody_explained(tmp_path):
    with pytest.raises(DataError) as caught:
        make_data(tmp_path / "a", [COLOURS[TRUTH]] * 2)
    assert "masks hold [0,0,0], [0,128,0], [128,0,0]: set data.palette=voc or " in str(caught.value)
    assert "data.palette=[[0,0,0],[0,128,0],[128,0,0]]" in str(caught.value)
    with pytest.raises(DataError, match=r"so that \[0,128,0\] is neither"):
        make_data(tmp_path / "b", [COLOURS[TRUTH]] * 2, palette=[[0, 0, 0], [128, 0, 0]])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (255, "hold nothing but 255, which is void"),
        (0, "hold the value 0; two classes are needed"),
    ],
)
def test_masks_of_one_value(tmp_path, values, message):
    with pytest.raises(DataError, match=message):
        make_data(tmp_path, [np.full((2, 3), values, np.uint8)] * 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ["a", "a", "b"]}, "classes: 'a' is there twice"),
        ({"classes": ["a", 2, "b"]}, "classes: name 1, 2, must be text in one line"),
        ({"classes": ["a", "b\nc", "d"]}, "must be text in one line"),
        ({"classes": ["a", " ", "d"]}, "must be text in one line"),
        ({"classes": "abc"}, "classes='abc' must be a list of names"),
        ({"classes": 1}, "classes: 1 of them; 2 to 255 are possible"),
        ({"classes": 10**9}, "2 to 255 are possible"),
        ({"classes": ["a", "b"], "values": [0, 1, 2]}, "classes are 2 and values are 3"),
        ({"values": [0, 0]}, "must be 2 to 255 different integers"),
        ({"values": [0, "x"]}, "must be a list of integers"),
        ({"values": 3}, "must be a list of integers"),
        ({"values": [0, 1], "palette": "voc"}, "two ways to code masks"),
        ({"palette": "cityscapes"}, r"must be voc, camvid or a list of \[r,g,b\]"),
        ({"palette": [[0, 0, 0], [0, 0, 999]]}, r"must be a colour \[red,green,blue\]"),
        ({"palette": [[0, 0, 0], [0, 0, 0]]}, "has a colour twice"),
        ({"void": "x"}, "void='x' must be an integer"),
        ({"void": [0, 0, 0]}, "a colour goes with palette"),
        ({"mask_suffix": 5}, "mask_suffix=5 must be text"),
        ({"size": 64}, r"size=64 must be \[height, width\]"),
        ({"batch_size": True}, "batch_size=True must be a whole number"),
        ({"bath_size": 2}, "data.bath_size is no option here"),
    ],
)
def test_wrong_options_are_refused_before_training(tmp_path, options, message):
    make_data(tmp_path, [TRUTH, TRUTH])
    with pytest.raises(ValueError, match=message) as caught:
        Folder(**{"root": tmp_path, "size": (2, 3), "batch_size": 1, "num_workers": 0, **options})
    assert "\n" not in str(caught.value)


def test_a_batch_of_void_alone_trains(tmp_path):
    void = np.full((2, 3), 255, np.uint8)
    data = make_data(tmp_path, [void, TRUTH], classes=3)
    (batch,) = data.train_dataloader()
    assert (batch["mask"] == 255).all()
    assert torch.isfinite(batch["image"]).all()
