"""Win back what a correction or a swap cost, on the old net's own outputs."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from upzoo.given import checked
from upzoo.recording import call_net
from upzoo.upsampling.reparametrised import copied

BATCH = 8
HELD_OUT = 0.2  # of the batches, that measure and do not train


class Distilled(NamedTuple):
    """What a distillation did.

    Attributes:
        before: ‖student − teacher‖ / ‖teacher‖ on held-out batches, at the start.
        after: the same at the end.
        steps: how many were taken.
    """

    before: float
    after: float
    steps: int


def distil(
    student: nn.Module,
    teacher: nn.Module,
    images: Tensor | Sequence[Any],
    steps: int = 300,
    *,
    frozen: Sequence[str] = (),
    lr: float = 1e-3,
    seed: int = 0,
) -> tuple[nn.Module, Distilled]:
    """A copy of a net, trained to give what another gives, without labels.

    The loss is the mean square difference of all outputs in floating point, each over the mean
    square of the teacher's; Adam, its rate falling to zero along a cosine. Both nets run in
    evaluation mode, so that batch statistics stay.

    A corrected net would learn its checkerboard back with its kernels: give their names as
    `frozen`, and the layers around them make up for what they lost.

        fixed, changes = upzoo.correct(net)
        better, told = upzoo.distil(fixed, net, images, frozen=[c.name for c in changes])

    A swapped net would learn it too, as far as it can: let it learn from `better` instead.

        new, swaps = upzoo.swap(net, "resize_conv", example=images)
        best, told = upzoo.distil(new, better, images)

    Args:
        student: the changed net; it is left as it is.
        teacher: the old net.
        images: their inputs as (N, C, H, W), or a sequence of batches: tensors, tuples of inputs,
            or dicts of keywords; a generator's codes are as good. From five batches on every fifth
            is held out.
        steps: of one batch each.
        frozen: patterns of names of modules or parameters that stay as they are.
        lr: the first learning rate.
        seed: of the batches' order.

    Returns:
        The trained copy, the student's own copy where it did not come closer, and the two errors.

    Raises:
        ValueError: for no images, steps below 1, nothing to train, or outputs of other shapes.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> old, new = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
        >>> _, told = distil(new, old, torch.rand(8, 3, 8, 8), steps=100, lr=0.03)
        >>> told.after < 0.1 < told.before
        True
    """
    if steps < 1:
        raise ValueError(f"steps={steps}: must be at least 1")
    batches = list(images.split(BATCH)) if isinstance(images, Tensor) else list(images)
    if not batches:
        raise ValueError("images are empty: give a tensor (N, C, H, W), or batches")
    student, teacher = checked(student), checked(teacher)
    net = copied(student)
    modes = [(module, module.training) for module in [*net.modules(), *teacher.modules()]]
    net.eval()
    teacher.eval()
    try:
        before, after = _train(net, teacher, batches, steps, frozen, lr, seed)
    finally:
        for module, training in modes:
            module.training = training
    if not after < before:  # nan, too
        return copied(student), Distilled(before, before, steps)
    return net, Distilled(before, after, steps)


def _train(
    net: nn.Module,
    teacher: nn.Module,
    batches: list[Any],
    steps: int,
    frozen: Sequence[str],
    lr: float,
    seed: int,
) -> tuple[float, float]:
    """Train in place; the error on what is held out, before and after."""
    trained = [
        parameter
        for name, parameter in net.named_parameters()
        if parameter.requires_grad and not _matches(name, frozen)
    ]
    if not trained:
        raise ValueError(f"frozen={list(frozen)} leaves nothing to train")
    every = round(1 / HELD_OUT)
    held = batches[every - 1 :: every] or batches
    train = [b for i, b in enumerate(batches) if i % every != every - 1]
    before = _error(net, teacher, held)
    solver = torch.optim.Adam(trained, lr)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(solver, steps)
    order = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        batch = train[int(torch.randint(len(train), (), generator=order))]
        with torch.no_grad():
            wanted = outputs(teacher, batch)
        with torch.enable_grad():
            loss = _loss(outputs(net, batch), wanted)
            grads = torch.autograd.grad(loss, trained, allow_unused=True)
        for parameter, grad in zip(trained, grads, strict=True):
            parameter.grad = grad
        solver.step()
        rate.step()
    for parameter in trained:
        parameter.grad = None
    return before, _error(net, teacher, held)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, p) or fnmatchcase(name, f"{p}.*") for p in patterns)


def outputs(net: nn.Module, batch: Any) -> list[Tensor]:
    """All tensors in floating point that a net gives."""
    leaves = pytree.tree_leaves(call_net(net, batch))
    return [y for y in leaves if isinstance(y, Tensor) and y.is_floating_point()]


def _loss(given: list[Tensor], wanted: list[Tensor]) -> Tensor:
    shapes = [[tuple(y.shape) for y in side] for side in (given, wanted)]
    if shapes[0] != shapes[1] or not given:
        raise ValueError(f"the student gives {shapes[0]}, the teacher {shapes[1]}")
    terms = [
        F.mse_loss(y, t) / t.square().mean().clamp(min=torch.finfo(t.dtype).tiny)
        for y, t in zip(given, wanted, strict=True)
    ]
    return torch.stack(terms).mean()


@torch.no_grad()
def _error(net: nn.Module, teacher: nn.Module, batches: list[Any]) -> float:
    losses = [_loss(outputs(net, b), outputs(teacher, b)).item() for b in batches]
    return (sum(losses) / len(losses)) ** 0.5
