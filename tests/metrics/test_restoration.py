"""Luma against known values, PSNR's and SSIM's picture without its border."""

import math

import numpy as np
import pytest
import torch
from torchmetrics.image import PeakSignalNoiseRatio

from upzoo.metrics.restoration import image_psnr, luma, scored


@pytest.mark.parametrize(
    ("rgb", "y"),
    [
        ((0, 0, 0), 16),
        ((255, 255, 255), 235),
        ((255, 0, 0), 81),  # 16 + 65.481
        ((0, 255, 0), 145),  # 16 + 128.553
        ((0, 0, 255), 41),  # 16 + 24.966
        ((128, 128, 128), 126),  # 16 + 219 · 128 / 255 = 125.93
        ((12, 200, 77), 127),  # 16 + (785.77 + 25710.6 + 1922.38) / 255 = 127.45
    ],
)
def test_luma_is_bt601_in_8_bits(rgb, y):
    for dtype in (torch.uint8, torch.float32):
        image = torch.tensor(rgb, dtype=dtype).view(3, 1, 1).expand(2, 3, 4, 5)
        assert luma(image).shape == (2, 1, 4, 5)
        assert (luma(image) == y).all()


def test_what_is_scored_is_8_bit_and_clipped_and_has_no_border():
    images = torch.linspace(-0.1, 1.1, 63).view(1, 1, 7, 9)
    expected = np.round(255 * np.clip(images.numpy(), 0, 1))[..., 2:5, 2:7]
    np.testing.assert_array_equal(scored(images, 2).numpy(), expected)


def test_colours_are_rounded_then_scored_on_their_luma():
    images = torch.rand(2, 3, 6, 6)
    eight = (255 * images).round().numpy().astype(np.float64)
    weights = np.array([65.481, 128.553, 24.966])
    expected = np.round(16 + np.einsum("bchw,c->bhw", eight, weights) / 255)
    np.testing.assert_array_equal(scored(images, 1)[:, 0].numpy(), expected[:, 1:-1, 1:-1])


def test_an_image_that_is_all_border_is_refused():
    with pytest.raises(ValueError, match="6×9 pixels are all border: 3 are cut off"):
        scored(torch.zeros(1, 1, 6, 9), 3)


def test_psnr_of_images_averages_to_torchmetrics():
    torch.manual_seed(0)
    found, truth = torch.rand(2, 3, 1, 8, 8) * 255
    images = image_psnr(found, truth, 255.0)
    whole = PeakSignalNoiseRatio(data_range=255.0, dim=(1, 2, 3))
    torch.testing.assert_close(images.mean(), whole(found, truth))
    errors = [(f - t).square().mean().item() for f, t in zip(found, truth, strict=True)]
    by_hand = [10 * math.log10(255**2 / error) for error in errors]
    assert images.tolist() == pytest.approx(by_hand, rel=1e-5)
    assert image_psnr(truth, truth, 1.0).isinf().all()
