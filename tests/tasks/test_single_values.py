"""A net that batch normalisation cannot train is refused before the first step, and no other."""

import pytest
import torch
from torch import nn

from data.shapes import Shapes
from tasks.single_values import refuse_single_values, single_values


def net_of_stride(stride):
    return nn.Sequential(nn.Conv2d(3, 4, 3, stride, 1), nn.BatchNorm2d(4), nn.ReLU())


def data_of(batch_size, size=(32, 32)):
    return Shapes(size=size, train=4, val=1, test=1, batch_size=batch_size)


@pytest.mark.parametrize("size", [(32, 32), (32, 64)])
@pytest.mark.parametrize("batch_size", [1, 2])
@pytest.mark.parametrize("stride", [16, 32])
def test_refused_is_what_pytorch_would_refuse(size, batch_size, stride):
    net, data = net_of_stride(stride), data_of(batch_size, size)
    try:
        net.train()(torch.zeros(batch_size, 3, *size))
    except ValueError:
        with pytest.raises(ValueError, match=r"use data\.batch_size=2 or data\.size=\[64,64\]$"):
            refuse_single_values(net, data)
    else:
        refuse_single_values(net, data)


def test_what_is_advised_works_and_the_net_stays():
    net = nn.Sequential(net_of_stride(2), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(4)).train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(ValueError, match=r"batch normalisation 2 meets .* use data\.batch_size=2$"):
        refuse_single_values(net, data_of(1))
    assert net.training
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert single_values(net_of_stride(32), (3, 33, 32)) == []
