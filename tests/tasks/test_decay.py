"""Weight decay towards a kernel's start, against steps by hand."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from tasks.optimisation import Optimisation, starts_of
from upzoo.upsampling import OPERATORS, BilinearInit, TransposedConv

LR, DECAY = 0.1, 0.3


def optimisation(optimiser: str = "adamw", **options) -> Optimisation:
    settings = {"lr": LR, "weight_decay": DECAY, "betas": (0.9, 0.999), "warmup": 0.0}
    settings |= {"optimiser": optimiser, "momentum": 0.5, "schedule": "constant"}
    return Optimisation(**settings | options)


def configured(net: nn.Module, **options) -> torch.optim.Optimizer:
    trainer = SimpleNamespace(
        datamodule=SimpleNamespace(train_batches=5),
        max_steps=-1,
        max_epochs=2,
        accumulate_grad_batches=1,
    )
    (optimizer,), _ = optimisation(**options).configure(net, trainer)
    return optimizer


def moved(dense: bool) -> tuple[BilinearInit, torch.Tensor]:
    """An operator away from its start, and that start."""
    net = BilinearInit(3, 3, 2, trainable=True, dense=dense).double()
    start = net.weight.detach().clone()
    with torch.no_grad():
        net.weight += torch.randn_like(net.weight)
    return net, start


def gradients(like: torch.Tensor) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(like.shape, generator=generator).to(like) for _ in range(3)]


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("with_closure", [False, True])
def test_adamw_by_hand(dense, with_closure):
    net, start = moved(dense)
    optimizer = configured(net)
    p, m, v = net.weight.detach().clone(), 0, 0
    for step, g in enumerate(gradients(p), 1):

        def closure(g=g):
            net.weight.grad = g.clone()
            return torch.tensor(0.0)

        if with_closure:  # Lightning computes the gradients within the step
            optimizer.step(closure)
        else:
            closure()
            optimizer.step()
        # p ← p − lr·λ·(p − p₀), then Adam's step
        p = p - LR * DECAY * (p - start)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        p = p - LR * (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)
    torch.testing.assert_close(net.weight.detach(), p, rtol=1e-10, atol=1e-12)


def test_sgd_by_hand():
    net, start = moved(dense=True)
    optimizer = configured(net, optimiser="sgd")
    p, velocity = net.weight.detach().clone(), 0
    for g in gradients(p):
        net.weight.grad = g.clone()
        optimizer.step()
        # v ← m·v + g + λ·(p − p₀), p ← p − lr·v
        velocity = 0.5 * velocity + g + DECAY * (p - start)
        p = p - LR * velocity
    torch.testing.assert_close(net.weight.detach(), p, rtol=1e-10, atol=1e-12)


def test_without_gradients_a_kernel_returns_to_its_start_and_others_go_to_zero():
    net = nn.ModuleList((moved(dense=True)[0], TransposedConv(3, 3, 2).double()))
    start = BilinearInit(3, 3, 2, trainable=True, dense=True).weight.double()
    optimizer = configured(net)
    for _ in range(1000):
        for parameter in net.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
    torch.testing.assert_close(net[0].weight, start, rtol=0, atol=1e-8)
    assert net[1].weight.abs().max() < 1e-8


def test_it_can_be_turned_off():
    net, _ = moved(dense=False)
    plain = moved(dense=False)[0]
    plain.load_state_dict(net.state_dict())
    optimizer = configured(net, decay_to_start=False)
    reference = torch.optim.AdamW([plain.weight], LR, weight_decay=DECAY, fused=True)
    for g in gradients(net.weight):
        net.weight.grad, plain.weight.grad = g.clone(), g.clone()
        optimizer.step()
        reference.step()
    torch.testing.assert_close(net.weight, plain.weight, rtol=0, atol=0)


def test_other_weights_step_as_ever():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 3, 3), BilinearInit(3, 3, 2, trainable=True))
    alone = nn.Conv2d(3, 3, 3)
    alone.load_state_dict(net[0].state_dict())
    optimizer, reference = configured(net), configured(alone)
    for g in gradients(alone.weight):
        for conv in (net[0], alone):
            conv.weight.grad, conv.bias.grad = g.clone(), g[:, 0, 0, 0].clone()
        net[1].weight.grad = torch.zeros_like(net[1].weight)
        optimizer.step()
        reference.step()
    for name, value in alone.state_dict().items():
        assert torch.equal(net[0].state_dict()[name], value)


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_only_learned_bilinear_kernels_name_a_start_and_start_there(name):
    cls = OPERATORS[name]
    guide = {"guide_channels": 4} if cls.needs_guide else {}
    assert starts_of(cls(4, 4, 2, **guide)) == {}
    if cls is BilinearInit:
        for options in ({}, {"dense": True}, {"kernel": 6}):
            ((parameter, start),) = starts_of(cls(4, 4, 2, trainable=True, **options)).items()
            assert torch.equal(parameter, start)


def test_warm_up_may_be_a_number_of_steps():
    factor = optimisation(warmup=4)._factor(1000)
    assert [factor(step) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    for wrong in (1.5, -0.1):
        with pytest.raises(ValueError, match=f"task.warmup={wrong} must be a share of the steps"):
            optimisation(warmup=wrong)
    with pytest.raises(ValueError, match=r"task\.decay_to_start=1 must be true or false"):
        optimisation(decay_to_start=1)


class Encoded(nn.Module):
    """A decoder behind a backbone."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
        self.head = nn.Conv2d(3, 2, 1)


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_an_encoder_has_its_share_of_the_learning_rate(optimiser):
    net = Encoded()
    optimizer = configured(net, optimiser=optimiser, encoder_factor=0.1)
    rates = {p: group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert set(rates) == set(net.parameters())
    for p in net.head.parameters():
        assert rates[p] == pytest.approx(LR)
    for p in net.backbone.parameters():
        assert rates[p] == pytest.approx(0.1 * LR)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(LR)  # the one that is logged


def test_an_encoders_share_needs_an_encoder():
    with pytest.raises(ValueError, match=r"encoder_factor=0\.1: Conv2d has no backbone"):
        configured(nn.Conv2d(1, 1, 1), encoder_factor=0.1)
    with pytest.raises(ValueError, match="encoder_factor=0"):
        Optimisation(encoder_factor=0)
