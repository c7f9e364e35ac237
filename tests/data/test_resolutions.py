"""Pairs of two resolutions: what they are, where patches come from, splits, faults in one line."""

import pytest
import torch
from PIL import Image

from data.drawing import draw
from data.files import DataError, read_image
from data.photos import Photos
from data.resolutions import PatchPairs
from data.symmetries import inverse, symmetry
from data.t91 import T91
from upzoo.bicubic import reduce
from upzoo.metrics.restoration import luma


def draw_folder(folder, count, size=(52, 61), seed=0):
    """Images of drawn scenes; every one has a size of its own."""
    folder.mkdir(parents=True)
    for index in range(count):
        image, _ = draw((seed, index), size[0] + index, size[1] - index)
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    for seed, (name, count) in enumerate({"T91": 6, "Set5": 2, "Set14": 3}.items()):
        draw_folder(root / name, count, seed=seed)
    return root


def make(root, **options):
    return T91(**{"root": root, "val": 2, "patch": 6, "patches": 20, "batch_size": 4} | options)


@pytest.mark.parametrize(("color", "channels"), [("y", 1), ("rgb", 3)])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_pair_is_an_image_and_its_reduction(root, color, channels, scale):
    data = make(root, color=color, scale=scale)
    sample = data.prepared("set14")[2]
    pixels = read_image(root / "Set14" / "2.png")
    height, width = (side - side % scale for side in pixels.shape[1:])
    target = pixels[:, :height, :width].double()
    target = luma(target) if color == "y" else target
    assert data.in_channels == channels == len(sample["image"])
    for name, expected in (("target", target), ("image", reduce(target, scale))):
        expected = ((expected / 255 - 0.5) / 0.25).float()
        torch.testing.assert_close(sample[name], expected, atol=2e-6, rtol=0)


def test_any_folder_is_a_test_set_and_t91_is_for_training_alone(root, tmp_path):
    odd = draw_folder(tmp_path / "elsewhere" / "BSD100", 3, size=(47, 52), seed=9)
    Image.open(odd / "0.png").convert("L").save(odd / "0.png")
    Image.open(odd / "1.png").convert("RGBA").save(odd / "1.png")
    data = T91(root=odd.parent, tests=["BSD100"])
    data.setup()
    assert data.inventory() == "t91x3: 3 bsd100 images"
    for index, size in enumerate([(15, 17), (16, 17), (16, 16)]):  # 47×52, 48×51, 49×50 pixels
        sample = data.prepared("bsd100")[index]
        assert sample["image"].shape == (1, *size)
        assert sample["target"].shape == (1, 3 * size[0], 3 * size[1])
    with pytest.raises(FileNotFoundError, match=r"set data\.root to the folder that holds T91/"):
        data.train_dataloader()
    both = make(root, tests=["Set5", str(odd)])
    both.setup()
    assert both.test_splits == ("set5", "bsd100")
    with pytest.raises(ValueError, match="set5 is another split's name"):
        make(root, tests=["Set5", str(root / "Set5")])


def test_names_splits_and_card(root):
    data = make(root, scale=4)
    data.setup()
    assert (data.name, data.test_split, data.test_splits) == ("t91x4", "set5", ("set5", "set14"))
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 4, "val": 2, "set5": 2, "set14": 3,
    }  # fmt: skip
    train, val = data.splits["train"].names, data.splits["val"].names
    assert sorted(train + val) == [f"{index}.png" for index in range(6)]
    assert data.card() == {"mean": [0.5], "std": [0.25], "color": "y", "scale": 4}
    assert make(root, scale=3).fingerprint() != data.fingerprint()


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_patches_are_cut_at_the_same_place_of_both(root, scale):
    data = make(root, scale=scale, turn=False)
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (4, 1, 6, 6)
    assert batch["target"].shape == (4, 1, 6 * scale, 6 * scale)
    # where the border is far, a patch's reduction is the reduction's patch
    found = reduce(batch["target"], scale)[..., 2:-2, 2:-2]
    torch.testing.assert_close(found, batch["image"][..., 2:-2, 2:-2], atol=1e-4, rtol=0)


def test_turns_turn_both_and_all_eight_occur(root):
    plain, turned = (make(root, patches=200, turn=turn).augmented() for turn in (False, True))
    keys = [(0, index) for index in range(200)]
    a, b = plain.__getitems__(keys), turned.__getitems__(keys)
    kinds = set()
    for i in range(200):
        fits = [
            kind
            for kind in range(8)
            if all(torch.equal(symmetry(a[n][i], kind), b[n][i]) for n in ("image", "target"))
        ]
        assert fits
        kinds.update(fits[:1])
    assert kinds == set(range(8))


@pytest.mark.parametrize("kind", range(8))
def test_symmetries_are_undone_by_their_inverse(kind):
    x = torch.rand(2, 3, 5)
    assert torch.equal(symmetry(symmetry(x, kind), inverse(kind)), x)


def test_patches_depend_on_seed_epoch_and_index_alone(root):
    data = make(root).augmented()
    keys = [(epoch, index) for epoch in range(2) for index in range(20)]
    batch = data.__getitems__(keys)
    for i in (3, 25):
        assert torch.equal(batch["target"][i], make(root).augmented()[keys[i]]["target"])
    assert not torch.equal(batch["target"][:20], batch["target"][20:])
    assert not torch.equal(
        make(root, seed=1).augmented().__getitems__(keys)["image"], batch["image"]
    )


class Coordinates:
    """Two images whose values say where they are: 1000 · image + 100 · y + x."""

    sizes = ((3, 5), (6, 4))

    def __len__(self):
        return 2

    def low_size(self, index):
        return self.sizes[index]

    def __getitem__(self, index):
        height, width = self.sizes[index]
        values = 1000.0 * index + 100 * torch.arange(height)[:, None] + torch.arange(width)
        return {"image": values[None], "target": values[None].repeat(1, 2, 2)}


def test_as_many_patches_as_positions_are_one_of_each():
    places = [y * 100 + x for y in range(2) for x in range(4)]
    places += [1000 + y * 100 + x for y in range(5) for x in range(3)]
    patches = PatchPairs(Coordinates(), [0], [1], 2, len(places), turn=False, seed=3)
    batch = patches.__getitems__([(0, index) for index in range(len(places))])["image"]
    assert (255 * batch[:, 0, 0, 0]).round().tolist() == places


def test_files_are_read_once_within_the_memory_allowed(root, monkeypatch):
    from data import resolutions as module

    opened, real = [], module.read_image
    monkeypatch.setattr(module, "read_image", lambda path: opened.append(path) or real(path))
    for memory, times in ((64, 1), (0, 2)):
        data = make(root, memory=memory)
        opened.clear()
        for _ in range(2):
            list(data.eval_dataloader("set14"))
        assert len(opened) == 3 * times


def test_overfitting_trains_on_and_evaluates_the_first_images(root):
    data = make(root, overfit=2)
    assert len(data.prepared("val")) == len(data.prepared("set14")) == 2
    assert len(data.augmented()) == 20
    assert not data.augmented().turn
    assert torch.equal(data.prepared("val")[1]["target"], make(root).prepared("train")[1]["target"])


def test_any_folder_of_images(tmp_path):
    draw_folder(tmp_path / "x", 12, size=(40, 40))
    data = Photos(root=tmp_path, name="mine", val=0.2, test=0.2, patch=5, patches=8, batch_size=4)
    data.setup()
    assert data.name == "minex3"
    assert sum(len(split) for split in data.splits.values()) == 12
    assert next(iter(data.train_dataloader()))["target"].shape == (4, 1, 15, 15)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 1}, "scale=1 must be a whole number of 2 or more"),
        ({"color": "lab"}, "color='lab' must be y or rgb"),
        ({"patch": 0}, "patch=0 must be a whole number"),
        ({"patches": 0}, "patches=0 must be a whole number"),
        ({"val": 6}, "val=6 must be less than the 6 images"),
        ({"tests": []}, "must name the folder of a test set"),
        ({"tests": ["Set99"]}, r"no folder .*Set99: set data.root to the folder that holds Set99/"),
        ({"patch": 18}, r"the image .*T91/\d.png has a side of 51 pixels .* needs 54: take it out"),
        ({"batch_size": 21}, "batch_size=21 is larger than the 20"),
    ],
)
def test_wrong_options_are_refused_in_one_line(root, options, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        make(root, **options).train_dataloader()
    assert "\n" not in str(caught.value)


def test_test_images_too_small_to_score_are_named(root, tmp_path):
    (tmp_path / "T91").symlink_to(root / "T91")
    draw_folder(tmp_path / "Set5", 1, size=(17, 40))
    with pytest.raises(DataError, match=r"Set5/0.png has a side of 15 pixels .* needs 17"):
        make(tmp_path, tests=["Set5"]).setup()
