"""The loss, the schedule and the scores of the segmentation task, against plain arithmetic."""

import itertools
import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from tasks.segmentation import Segmentation, soft_dice, warmup_cosine

DATA = SimpleNamespace(
    classes=("a", "b", "c"),
    ignore_index=255,
    median_frequency_weights=lambda: torch.tensor([0.5, 1.0, 4.0]),
    enet_weights=lambda: torch.tensor([2.0, 5.0, 30.0]),
)


def task(**options):
    return Segmentation(torch.nn.Conv2d(3, 3, 1), DATA, **options)


@pytest.fixture
def logits_and_mask():
    g = torch.Generator().manual_seed(0)
    mask = torch.randint(0, 3, (2, 5, 7), generator=g)
    mask[0, :2] = 255
    return torch.randn(2, 3, 5, 7, generator=g), mask


def test_loss_is_the_mean_over_pixels_that_are_not_void(logits_and_mask):
    logits, mask = logits_and_mask
    log_p = logits.log_softmax(1)
    picked = [
        -log_p[b, mask[b, i, j], i, j].item()
        for b in range(2)
        for i in range(5)
        for j in range(7)
        if mask[b, i, j] != 255
    ]
    assert task().loss(logits, mask).item() == pytest.approx(sum(picked) / len(picked), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "weights"), [("median_frequency", [0.5, 1.0, 4.0]), ("enet", [2.0, 5.0, 30.0])]
)
def test_weighted_loss_is_the_weighted_mean(logits_and_mask, name, weights):
    logits, mask = logits_and_mask
    weights = torch.tensor(weights)
    each = F.cross_entropy(logits, mask, ignore_index=255, reduction="none")
    w = torch.where(mask == 255, torch.zeros(()), weights[mask.clamp(max=2)])
    expected = (each * w).sum() / w.sum()
    loss = task(class_weights=name).loss(logits, mask)
    torch.testing.assert_close(loss, expected)


def test_dice_is_that_of_another_library(logits_and_mask):
    losses = pytest.importorskip("segmentation_models_pytorch.losses")
    logits, mask = logits_and_mask
    theirs = losses.DiceLoss("multiclass", ignore_index=255, eps=0)(logits, mask)
    torch.testing.assert_close(soft_dice(logits, mask), theirs)


def test_dice_is_the_mean_over_the_classes_that_a_batch_holds(logits_and_mask):
    logits, mask = logits_and_mask
    mask = mask.where(mask != 2, 0)  # class 2 is absent: it has no coefficient
    valid = mask != 255
    p = logits.softmax(1)
    coefficients = [
        2 * p[:, k][mask == k].sum() / (p[:, k][valid].sum() + (mask == k).sum()) for k in (0, 1)
    ]
    expected = 1 - sum(coefficients) / 2
    torch.testing.assert_close(soft_dice(logits, mask), expected)
    alone, both = task().loss(logits, mask), task(dice=0.5).loss(logits, mask)
    torch.testing.assert_close(both, alone + 0.5 * expected)


def test_dice_of_a_certain_and_right_answer_is_0():
    mask = torch.tensor([[[0, 2, 255], [1, 1, 0]]])
    logits = 100 * F.one_hot(mask.clamp(max=2), 3).permute(0, 3, 1, 2).float()
    assert soft_dice(logits, mask).item() == pytest.approx(0, abs=1e-6)
    assert soft_dice(-logits, mask).item() > 0.5


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dice_has_finite_gradients_where_a_class_is_certain_to_be_absent(dtype):
    logits = torch.tensor([[60.0, -60.0]]).view(1, 2, 1, 1).expand(1, 2, 4, 4).to(dtype)
    logits = logits.clone().requires_grad_()
    task(dice=1.0).loss(logits, torch.zeros(1, 4, 4, dtype=torch.long)).backward()
    assert logits.grad.isfinite().all()


def test_an_image_of_nothing_but_void_has_no_loss_and_no_gradient():
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    loss = task(dice=1.0).loss(logits, torch.full((1, 4, 4), 255))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.abs().max() == 0


def test_loss_of_bf16_logits_is_computed_in_float32(logits_and_mask):
    logits, mask = logits_and_mask
    loss = task().loss(logits.bfloat16(), mask)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, task().loss(logits.bfloat16().float(), mask))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("class_weights", [None, "median_frequency"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_compiled_it_has_the_same_loss_gradients_and_names(logits_and_mask, class_weights, dtype):
    torch.compiler.reset()
    logits, mask = logits_and_mask
    plain, compiled = (task(class_weights=class_weights) for _ in range(2))
    compiled.compile(backend="aot_eager")
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    found = []
    for each in (plain, compiled):
        leaf = logits.to(dtype).contiguous(memory_format=torch.channels_last).requires_grad_()
        loss = each.loss(leaf, mask)
        loss.backward()
        found.append((loss.detach(), leaf.grad))
        assert each.loss(leaf, torch.full_like(mask, 255)).item() == 0
    torch.testing.assert_close(found[1], found[0])


def test_schedule_rises_then_falls_to_zero():
    factors = [warmup_cosine(s, steps=100, warmup=10) for s in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9] == factors[10] == 1
    assert factors[55] == pytest.approx(0.5)
    assert factors[100] == pytest.approx(0)
    assert all(a >= b for a, b in itertools.pairwise(factors[10:]))
    assert factors[25] == pytest.approx(0.5 * (1 + math.cos(math.pi / 6)))


def test_only_weights_of_two_or_more_dimensions_decay():
    segmentation = task(weight_decay=0.1)
    segmentation.trainer = SimpleNamespace(
        datamodule=SimpleNamespace(train_batches=5),
        max_steps=-1,
        max_epochs=2,
        accumulate_grad_batches=1,
    )
    (optimizer,), _ = segmentation.configure_optimizers()
    decay = {p.ndim: g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    assert decay == {4: 0.1, 1: 0.0}


def optimise(steps, **options):
    """Learning rates of so many steps, and the optimiser, of a task in ten steps of training."""
    segmentation = task(**options)
    segmentation.trainer = SimpleNamespace(
        datamodule=SimpleNamespace(train_batches=5),
        max_steps=-1,
        max_epochs=2,
        accumulate_grad_batches=1,
    )
    (optimizer,), (schedule,) = segmentation.configure_optimizers()
    scheduler, rates = schedule["scheduler"], []
    for _ in range(steps):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return rates, optimizer


def test_constant_schedule_stays_after_the_warm_up():
    rates, _ = optimise(10, schedule="constant", warmup=0.2, lr=0.4)
    assert rates == pytest.approx([0.2] + [0.4] * 9)
    assert optimise(10, schedule="constant", warmup=0.0, lr=0.4)[0] == pytest.approx([0.4] * 10)


def test_sgd_steps_with_momentum_and_decay():
    _, optimizer = optimise(
        1, optimiser="sgd", momentum=0.5, lr=0.1, warmup=0, schedule="constant", weight_decay=0.2
    )
    weight, bias = (group["params"][0] for group in optimizer.param_groups)
    start, velocity = weight.detach().clone(), torch.zeros_like(weight)
    first = bias.detach().clone()
    for gradient in (1.0, 3.0):
        weight.grad, bias.grad = torch.full_like(weight, gradient), torch.full_like(bias, gradient)
        optimizer.step()
        # v ← m·v + g + λ·w, w ← w − lr·v
        velocity = 0.5 * velocity + gradient + 0.2 * start
        start = start - 0.1 * velocity
    torch.testing.assert_close(weight.detach(), start)
    torch.testing.assert_close(bias.detach(), first - 0.1 * (1 + 3.5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimiser": "adam"}, "task.optimiser='adam' must be adamw or sgd"),
        ({"schedule": "step"}, "task.schedule='step' must be cosine or constant"),
        ({"momentum": 1.0}, "task.momentum=1.0 must be a number from 0 to below 1"),
        ({"lr": 0}, "task.lr=0 must be a number above 0"),
        ({"dice": -1}, "task.dice=-1 must be a number of at least 0"),
        ({"dice": math.inf}, "task.dice=inf must be a number of at least 0"),
        ({"dice": "yes"}, "task.dice='yes' must be a number of at least 0"),
        ({"warmup": 1.5}, "task.warmup=1.5 must be a share of the steps, 0 to 1"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        task(**options)


def test_the_net_gives_a_score_for_each_class():
    assert Segmentation.outputs(SimpleNamespace(num_classes=8, in_channels=3)) == 8
