"""What a discriminator sees of images, against plain loops over the same draws."""

import pytest
import torch
from torch.autograd import gradcheck

from tasks.diffaugment import POLICY, augmented, check_policy, color, cutout, translation


@pytest.fixture
def images():
    return torch.rand(6, 3, 16, 11, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_color_is_one_affine_map_for_each_image(images):
    torch.manual_seed(2)
    found = color(images)
    torch.manual_seed(2)
    draws = torch.rand(3, 6, 1, 1, 1)
    for image, result, (b, s, c) in zip(images, found, draws.flatten(1).T.tolist(), strict=True):
        x = image + b - 0.5
        grey = x.mean(0)
        x = torch.stack([grey + 2 * s * (channel - grey) for channel in x])
        torch.testing.assert_close(result, x.mean() + (c + 0.5) * (x - x.mean()))


def test_translation_shifts_whole_pixels_and_brings_zeros(images):
    torch.manual_seed(3)
    found = translation(images)
    torch.manual_seed(3)
    top, left = torch.randint(5, (6,)) - 2, torch.randint(3, (6,)) - 1  # 16/8 and 11/8 rounded
    assert top.unique().numel() > 2
    for image, result, down, right in zip(images, found, top, left, strict=True):
        for i in range(16):
            for j in range(11):
                y, x = i + int(down), j + int(right)
                inside = 0 <= y < 16 and 0 <= x < 11
                expected = image[:, y, x] if inside else torch.zeros(3)
                assert torch.equal(result[:, i, j], expected)


def test_cutout_is_a_hole_of_half_the_sides(images):
    torch.manual_seed(4)
    found = cutout(images + 3)  # nowhere 0
    torch.manual_seed(4)
    centres = [torch.randint(17, (6,)), torch.randint(12, (6,))]  # holes of 8 and 6: even
    for image, result, y, x in zip(images + 3, found, *(c.tolist() for c in centres), strict=True):
        expected = image.clone()
        expected[:, max(y - 4, 0) : max(y + 4, 0), max(x - 3, 0) : max(x + 3, 0)] = 0
        assert torch.equal(result, expected)


@pytest.mark.parametrize("name", POLICY)
def test_gradients_reach_the_images(name):
    images = torch.rand(2, 3, 8, 9, dtype=torch.float64, requires_grad=True)

    def same_draws(x):
        torch.manual_seed(5)
        return POLICY[name](x)

    assert gradcheck(same_draws, (images,))
    assert same_draws(images).dtype == torch.float64


def test_the_order_is_the_papers_and_nothing_is_the_default(images):
    assert check_policy(["cutout", "color"]) == ("color", "cutout")
    assert augmented(images, check_policy([])) is images
    torch.manual_seed(6)
    found = augmented(images, check_policy(["translation", "color"]))
    torch.manual_seed(6)
    assert torch.equal(found, translation(color(images)))
    for wrong in (["colour"], "flip"):
        with pytest.raises(ValueError, match=r"task.diffaugment='(colour|flip)' must be color or"):
            check_policy(wrong)
