"""What a net costs, against counts by hand."""

import mmap
import sys

import numpy as np
import pytest
import torch
from torch import nn

from runs import costs
from upzoo.upsampling import TransposedConv


def test_parameters_and_flops_by_hand() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), TransposedConv(4, 2, 2, kernel=4))
    found = costs.of_net(net, (3, 8, 6))
    up = sum(p.numel() for p in net[1].parameters())
    assert found["parameters_upsampling"] == up
    assert found["parameters"] == 3 * 4 * 9 + 4 + up
    # 8·6 pixels of 4 channels with 27 products each; every input value meets the 4×4 kernel
    assert found["flops_forward"] == 2 * (8 * 6 * 4 * 27) + 2 * (8 * 6 * 4 * 2 * 16)
    assert found["image_size"] == [8, 6]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can reset the peak")
@pytest.mark.skipif(torch.cuda.is_available(), reason="speaks of the GPU's memory there")
def test_the_peak_of_an_earlier_run_is_forgotten() -> None:
    held = mmap.mmap(-1, 256_000_000)  # goes back to the system when it is closed, unlike a tensor
    pages = np.frombuffer(held, dtype=np.uint8)
    pages[:] = 1
    high = costs.peak_memory()
    del pages
    held.close()
    costs.reset_peak_memory()
    assert costs.peak_memory() < high - 200_000_000
