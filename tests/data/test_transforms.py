"""The joint transforms keep image and mask together."""

import pytest
import torch
from torchvision import tv_tensors

from data.transforms import RandomScale, Resize, eval_transform, train_transform

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


def coded(height=64, width=96):
    """A map of 4×4 blocks of classes 0 .. 4 and an image whose grey level is 50 · class."""
    generator = torch.Generator().manual_seed(0)
    blocks = torch.randint(0, 5, (height // 8, width // 8), generator=generator)
    mask = blocks.repeat_interleave(8, 0).repeat_interleave(8, 1).to(torch.uint8)
    return tv_tensors.Image((mask * 50).expand(3, -1, -1).clone()), tv_tensors.Mask(mask)


@pytest.mark.parametrize("seed", range(5))
def test_image_and_mask_stay_aligned(seed):
    torch.manual_seed(seed)
    transform = train_transform((48, 80), MEAN, STD, 255, {"scale": (0.6, 1.8), "flip": 0.5})
    image, mask = transform(*coded())
    assert image.shape == (3, 48, 80)
    assert mask.shape == (48, 80)
    grey = (image[0] * 0.25 + 0.5) * 255 / 50
    labelled = mask != 255
    # away from the blocks' edges, which the image blends and the mask does not
    interior = labelled & (grey - grey.round()).abs().lt(0.02)
    assert interior.sum() > 0.4 * labelled.sum()
    agree = grey.round()[interior] == mask[interior]
    # a blend of two classes may pass for a third
    assert agree.float().mean() > 0.95


@pytest.mark.parametrize("factor", [2, 3])
def test_scaling_up_puts_edges_at_the_same_place(factor):
    image, mask = coded(16, 16)
    scale = RandomScale(factor, factor)
    big, big_mask = scale(image, mask)
    expected = mask.repeat_interleave(factor, 0).repeat_interleave(factor, 1)
    assert torch.equal(big_mask, expected)
    # the blended image lies nearer to the class of its mask, so both edges are at one place
    assert ((big[0].float() / 50).sub(big_mask).abs() * (1 - 1e-6)).max() <= 4 * 0.5
    agree = (big[0].float() / 50).round() == big_mask
    assert agree[:, : 8 * factor][: 8 * factor - factor, : 8 * factor - factor].all()


def test_scaling_down_by_three_is_about_pixel_centres():
    ramp = tv_tensors.Mask(torch.arange(9).to(torch.uint8).expand(9, 9).clone())
    # centre of output pixel i of 3 is input pixel 3i + 1
    assert Resize((3, 3))(ramp)[0].tolist() == [1, 4, 7]


def test_padding_is_ignored_and_grey():
    image, mask = coded(16, 16)
    torch.manual_seed(0)
    out, labels = train_transform((40, 40), MEAN, STD, 255)(image, mask)
    assert (labels == 255).sum() == 40 * 40 - 16 * 16
    assert out[:, labels == 255].abs().max() < 0.02
    assert sorted(labels[labels != 255].tolist()) == sorted(mask.flatten().tolist())


def test_flip_and_colour():
    image, mask = coded()
    flipped, labels = train_transform((64, 96), MEAN, STD, 255, {"flip": 1.0})(image, mask)
    assert torch.equal(labels, mask.flip(-1).long())
    torch.testing.assert_close(
        flipped, ((image / 255 - 0.5) / 0.25).flip(-1).as_subclass(torch.Tensor)
    )
    torch.manual_seed(0)
    coloured, labels = train_transform((64, 96), MEAN, STD, 255, {"colour": 0.5})(image, mask)
    assert torch.equal(labels, mask.long())
    assert not torch.allclose(coloured, flipped.flip(-1), atol=0.05)


def test_evaluation_only_normalises_and_resizes_on_request():
    image, mask = coded()
    out, labels = eval_transform((0.1, 0.2, 0.3), (1.0, 2.0, 4.0))(image, mask)
    for channel, (mean, std) in enumerate([(0.1, 1.0), (0.2, 2.0), (0.3, 4.0)]):
        torch.testing.assert_close(
            out[channel], (image[channel].as_subclass(torch.Tensor) / 255 - mean) / std
        )
    assert torch.equal(labels, mask.long())
    out, labels = eval_transform(MEAN, STD, (32, 48))(image, mask)
    assert out.shape == (3, 32, 48)
    assert torch.equal(labels[2::4, 2::4], mask[4::8, 4::8].long())
