"""Pooled batch norm in one process is torch's own; tests/test_ddp.py has it in two."""

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tasks.pooled_norm import PooledBatchNorm2d, PooledNorms


@pytest.fixture(autouse=True)
def alone(tmp_path):
    """A group of one process."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("affine", [True, False])
def test_outputs_statistics_and_gradients_of_both_orders_are_torchs(momentum, affine):
    torch.manual_seed(0)
    plain = nn.BatchNorm2d(3, momentum=momentum, affine=affine, dtype=torch.float32)
    pooled = PooledBatchNorm2d(3, momentum=momentum, affine=affine)
    found = []
    for norm in (plain, pooled):
        torch.manual_seed(1)
        if affine:
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.bias)
        for _ in range(2):
            x = (100 + torch.randn(4, 3, 5, 2)).requires_grad_()
            y = norm(x)
        (first,) = torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), x)
        found.append([y, first, second, *norm.buffers(), norm.eval()(x)])
    for ours, torchs in zip(found[1], found[0], strict=True):
        torch.testing.assert_close(ours, torchs, rtol=2e-4, atol=2e-4)


def test_layers_pool_while_a_net_is_trained_and_no_longer():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.BatchNorm1d(2))
    names, parameters = list(net.state_dict()), list(net.parameters())
    sync = PooledNorms()
    assert [type(m) for m in sync.apply(net) if isinstance(m, _BatchNorm)] == [
        PooledBatchNorm2d,
        nn.BatchNorm1d,
    ]
    assert list(net.state_dict()) == names
    assert all(a is b for a, b in zip(net.parameters(), parameters, strict=True))
    assert type(sync.revert(net)[1]) is nn.BatchNorm2d
