"""Pictures of shipped nets: what they show, and that they are small."""

import io
from types import SimpleNamespace

import torch
from PIL import Image

from release import picture

PALETTE = [[0, 0, 0], [255, 0, 0]]
METADATA = {"mean": [0.5] * 3, "std": [0.5] * 3, "classes": ["a", "b"], "palette": PALETTE}


class Halves:
    """Class 1 in the right half."""

    takes, makes = "images", "maps"

    def __call__(self, x):
        right = torch.zeros(1, 1, *x.shape[2:])
        right[..., x.shape[3] // 2 :] = 1
        return torch.cat((0.5 - right, right - 0.5), 1)


def test_a_segmentation_is_shown_under_its_classes():
    data = SimpleNamespace(
        test_split="test", prepared=lambda split: [{"image": torch.ones(3, 8, 12)}]
    )
    shown, words = picture.draw(Halves(), METADATA, data)
    assert words == "a test image under its classes"
    assert shown.shape[2] == picture.LONGEST
    assert shown[:, 100, 100].tolist() == [127] * 3  # half white, half the colour of its class
    assert shown[:, 100, 400].tolist() == [255, 127, 127]


class Judge(Halves):
    """Class b, surely."""

    makes = "scores"

    def __call__(self, x):
        return torch.tensor([[0.0, 9.0]]).expand(len(x), -1)


def test_a_judgement_is_written_below_each_image():
    data = SimpleNamespace(
        test_split="test", prepared=lambda split: [{"image": torch.ones(3, 28, 28)}] * 9
    )
    shown, words = picture.draw(Judge(), METADATA, data)
    assert words.startswith("the first 8 test images")
    assert shown.shape == (3, picture.SIDE + 2 + picture.LINE, 8 * (picture.SIDE + 4))
    assert shown[:, -picture.LINE :].float().std() > 10, "there is text"


def test_files_are_small():
    small = torch.zeros(3, 40, 60, dtype=torch.uint8)
    small[0, :, 30:] = 201
    with Image.open(io.BytesIO(picture.encoded(small))) as image:
        assert image.convert("RGB").getpixel((40, 5)) == (201, 0, 0), "no colour is changed"
    noise = torch.randint(0, 255, (3, 240, 320), generator=torch.Generator().manual_seed(0))
    assert len(picture.encoded(noise.byte())) <= picture.MAX_BYTES
