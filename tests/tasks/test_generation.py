"""Losses, steps, counters, collapse and pictures of adversarial training, against plain sums."""

import copy
import math
from pathlib import Path
from types import SimpleNamespace

import lightning.pytorch as pl
import pytest
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.utils.data import DataLoader

from panels.samples import sample_grid
from tasks import collapse
from tasks.adversarial import LOSSES, frozen, r1, untracked
from tasks.averaging import ExponentialAverage
from tasks.callbacks import GenerationPanels, Repeatable
from tasks.callbacks import generation as generation_callback
from tasks.diffaugment import color, translation
from tasks.generation import FEATURES, Generation
from tasks.pictures import draw
from upzoo.dcgan import DCGAN
from upzoo.metrics.generation import GenerationScores
from upzoo.upsampling import OPERATORS

DATA = SimpleNamespace(mean=(0.25,), std=(0.5,), in_channels=1)
IMAGES = (torch.rand(16, 1, 32, 32, generator=torch.Generator().manual_seed(2)) - 0.25) / 0.5


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def make(task=None, **model):
    model = {"latent": 4, "width": 2, "norm": False} | model
    net = DCGAN(OPERATORS["transposed_conv"], 1, (32, 32), **model)
    made = Generation(net, DATA, **(task or {}))
    made.scores = GenerationScores(patches=8, directions=8)  # for speed
    return made


def fit(task, folder: Path, *, epochs=2, callbacks=(), images=IMAGES, ckpt=None):
    """Train on batches of 4 in order, and validate on all after every epoch."""
    loader = DataLoader([{"image": x} for x in images], 4)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        logger=pl.loggers.TensorBoardLogger(folder, name="", version=""),
        callbacks=[Repeatable(0), *callbacks],
        enable_checkpointing=len(callbacks) > 1,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(task, loader, loader, ckpt_path=ckpt, weights_only=True if ckpt else None)
    return trainer


def whole_set(folder: Path):
    """Pictures, an averaged generator, and a checkpoint of every epoch."""
    return [
        GenerationPanels(rows=2),
        ExponentialAverage(0.5),
        pl.callbacks.ModelCheckpoint(
            folder / "kept", "{epoch}", save_top_k=-1, save_on_train_epoch_end=True
        ),
    ]


pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*exists and is not empty"),
]


def events(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), {"scalars": 0, "images": 0}).Reload()


OPTIONS = {"r1_gamma": 1.0, "r1_every": 3, "generator_steps": 2}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A whole run: its task, trainer, folder and events."""
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    task = make(OPTIONS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generation_callback, "kernel_panel", lambda *_: IMAGES[0].clamp(0, 1))
        trainer = fit(task, folder, callbacks=whole_set(folder))
    return SimpleNamespace(task=task, trainer=trainer, folder=folder, events=events(folder))


REAL, FAKE = [0.3, 2.0], [-0.4, 1.5]


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize(
    ("name", "discriminator", "generator"),
    [
        (
            "non_saturating",
            -sum(math.log(sigmoid(x)) for x in REAL) / 2
            - sum(math.log(1 - sigmoid(x)) for x in FAKE) / 2,
            -sum(math.log(sigmoid(x)) for x in FAKE) / 2,
        ),
        ("hinge", (0.7 + 0.0) / 2 + (0.6 + 2.5) / 2, -(-0.4 + 1.5) / 2),
        ("least_squares", (0.49 + 1) / 4 + (0.16 + 2.25) / 4, (1.96 + 0.25) / 4),
    ],
)
def test_losses_are_the_papers(name, discriminator, generator):
    found = LOSSES[name](torch.tensor(REAL), torch.tensor(FAKE))
    assert [x.item() for x in found] == pytest.approx([discriminator, generator], rel=1e-6)


def test_r1_of_a_quadric_is_known():
    a = torch.tensor(3.0, requires_grad=True)
    x = torch.randn(5, 1, 2, 2, requires_grad=True)
    penalty = r1((a * x.square()).sum((1, 2, 3)), x)
    # ∇ Σ a x² = 2 a x, so E‖∇‖² = 4 a² E Σ x², whose derivative by a is 8 a E Σ x².
    mean = x.detach().square().sum((1, 2, 3)).mean()
    torch.testing.assert_close(penalty, 4 * 9 * mean)
    penalty.backward()
    torch.testing.assert_close(a.grad, 8 * 3 * mean)


def by_hand(task):
    """Let the two steps run outside a trainer and leave their gradients."""
    idle = SimpleNamespace(zero_grad=lambda: None, step=lambda: None)
    task.optimizers = lambda: (idle, idle)
    task.manual_backward = lambda loss: loss.backward()
    return task


@pytest.mark.parametrize("iteration", [0, 1, 4])
def test_discriminator_descends_its_loss_and_every_so_often_the_penalty(iteration):
    task = by_hand(make({"r1_gamma": 3.0, "r1_every": 4}))
    task.iteration = iteration
    net = copy.deepcopy(task.net.discriminator)
    real, fake = torch.rand(4, 1, 32, 32), torch.rand(4, 1, 32, 32)
    values = task._discriminator_step(real.clone(), fake)

    x = real.clone().requires_grad_()
    ones, zeros = torch.ones(4), torch.zeros(4)
    entropy = F.binary_cross_entropy_with_logits
    loss = entropy(net(x), ones) + entropy(net(fake), zeros)
    torch.testing.assert_close(values["loss_d"], loss.detach())
    if iteration % 4 == 0:
        each = [torch.autograd.grad(net(x[i : i + 1]), x, create_graph=True)[0] for i in range(4)]
        loss = loss + 3.0 / 2 * 4 * sum(g.square().sum() for g in each) / 4
    loss.backward()
    for found, expected in zip(task.net.discriminator.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad, rtol=1e-4, atol=1e-6)


def test_both_nets_learn_from_augmented_images_of_both_kinds():
    task = by_hand(make({"diffaugment": ["translation", "color"]}))
    net = copy.deepcopy(task.net)
    real, z = torch.rand(4, 1, 32, 32), torch.randn(4, 4)
    torch.manual_seed(1)
    task._discriminator_step(real.clone(), net(z).detach())
    task.net.generator.zero_grad()
    discriminator = [p.grad for p in task.net.discriminator.parameters()]
    task._generator_step(task.net.generator(z))

    torch.manual_seed(1)
    seen = [translation(color(x)) for x in (real, net(z).detach())]
    ones, zeros = torch.ones(4), torch.zeros(4)
    entropy = F.binary_cross_entropy_with_logits
    loss = entropy(net.discriminator(seen[0]), ones) + entropy(net.discriminator(seen[1]), zeros)
    loss.backward()
    for found, expected in zip(discriminator, net.discriminator.parameters(), strict=True):
        torch.testing.assert_close(found, expected.grad, rtol=1e-4, atol=1e-6)
    entropy(net.discriminator(translation(color(net(z)))), ones).backward()
    for found, expected in zip(
        task.net.generator.parameters(), net.generator.parameters(), strict=True
    ):
        torch.testing.assert_close(found.grad, expected.grad, rtol=1e-4, atol=1e-6)


def test_generator_descends_its_own_loss_alone():
    task = by_hand(make())
    net = copy.deepcopy(task.net)
    z = torch.randn(4, 4)
    task._generator_step(task.net.generator(z))
    F.binary_cross_entropy_with_logits(net.discriminator(net(z)), torch.ones(4)).backward()
    for found, expected in zip(
        task.net.generator.parameters(), net.generator.parameters(), strict=True
    ):
        torch.testing.assert_close(found.grad, expected.grad, rtol=1e-4, atol=1e-6)
    assert all(p.grad is None and p.requires_grad for p in task.net.discriminator.parameters())


def test_frozen_and_untracked_leave_no_trace():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)).train()
    before = copy.deepcopy(net.state_dict())
    x = torch.randn(3, 1, 4, 4)
    with untracked(net), frozen(net):
        y = net(x)
        assert not y.requires_grad
        torch.testing.assert_close(y.mean((0, 2, 3)), torch.zeros(2))  # by the batch's statistics
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    net(x)
    assert not torch.equal(net[1].running_mean, before["1.running_mean"])


def test_images_come_from_the_datas_range_to_the_generators():
    task = make()
    # 0, 0.25 and 1 of the original image, and a rounding error beyond
    batch = {"image": torch.tensor([-0.5, 0.0, 1.5, 1.5000002]).view(1, 1, 2, 2)}
    assert task.real_images(batch).flatten().tolist() == [-1.0, -0.5, 1.0, 1.0]


def test_everything_is_logged_against_our_own_iteration(run):
    assert run.task.iteration == 8
    assert run.trainer.global_step == 8 * 3  # one step of the discriminator, two of the generator
    steps = {tag: [e.step for e in run.events.Scalars(tag)] for tag in run.events.Tags()["scalars"]}
    train = [
        "loss_d", "loss_g", "d_real", "d_fake", "d_fake_after", "grad_norm_d", "grad_norm_g",
        "collapsed",
    ]  # fmt: skip
    for name in train:
        assert steps[f"train/{name}"] == list(range(1, 9))
    for name in ("swd", "diversity"):
        assert steps[f"val/{name}"] == [4, 8]
    for tag in (
        "3_pictures/samples_fixed_z",
        "3_pictures/samples_interpolation",
        "7_kernels/generator.upsamples.0.weight",
    ):
        assert [e.step for e in run.events.Images(tag)] == [0, 4, 8]


def test_scores_are_kept_and_repeat(run):
    assert {"swd", "diversity"} <= run.task.results.keys()
    assert all(math.isfinite(v) for v in run.task.results.values())
    before = dict(run.task.results)
    loader = DataLoader([{"image": x} for x in IMAGES], 4)
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False)
    trainer.test(run.task, loader, verbose=False)  # the averaged weights, as in validation
    assert run.task.results == pytest.approx(before, rel=1e-5)


def test_a_resumed_run_ends_bit_for_bit_where_a_whole_one_does(run, tmp_path):
    torch.manual_seed(7)
    task = make(OPTIONS)
    callbacks = whole_set(run.folder)[1:]
    fit(task, tmp_path, callbacks=callbacks, ckpt=run.folder / "kept/epoch=0.ckpt")
    assert task.iteration == 8
    expected = run.task.state_dict()
    assert all(torch.equal(v, expected[k]) for k, v in task.state_dict().items())
    scalars = events(tmp_path).Scalars("train/loss_d")
    assert [e.step for e in scalars] == [5, 6, 7, 8]
    assert [e.value for e in scalars] == [e.value for e in run.events.Scalars("train/loss_d")[4:]]


def test_checkpoints_carry_the_card_and_nothing_but_plain_data(run):
    content = torch.load(run.folder / "kept/epoch=1.ckpt", weights_only=True)
    assert content["card"] == {}
    assert content["generation"]["iteration"] == 8


@pytest.mark.parametrize("lost", [True, False])
def test_collapse_is_noticed_in_training(lost, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(collapse, "PATIENCE", 3)
    # White images against a generator that cannot follow, or one that does not lose.
    rates = {"generator_lr": 1e-9, "discriminator_lr": 0.02} if lost else {}
    fit(make(rates), tmp_path, epochs=6, images=torch.full((16, 1, 32, 32), 1.5))
    flags = [e.value for e in events(tmp_path).Scalars("train/collapsed")]
    said = capsys.readouterr().out.count("training has collapsed at iteration")
    assert (flags[0], flags[-1], said > 0) == (0.0, float(lost), lost)


def test_a_beaten_generator_is_told_once_until_it_recovers(capsys):
    watch = collapse.CollapseWatch()
    for i in range(collapse.PATIENCE - 1):
        watch.see_loss(0.001, i)
    assert not watch.collapsed
    again = collapse.CollapseWatch()
    again.load_state_dict(watch.state_dict())
    for i in range(3):
        again.see_loss(0.001, 100 + i)
    assert again.collapsed
    said = capsys.readouterr().out
    assert said.startswith("training has collapsed at iteration 100: the discriminator's loss")
    assert said.count("\n") == 1
    again.see_loss(0.5, 200)
    assert not again.collapsed


def test_a_single_picture_is_told_at_the_second_validation(capsys):
    real = torch.rand(8, 1, 4, 4)
    one = torch.rand(1, 1, 4, 4).expand(8, -1, -1, -1)
    assert collapse.diversity(real, real) == pytest.approx(1)
    assert collapse.diversity(0.5 * real, real) == pytest.approx(0.5)
    assert collapse.diversity(one, real) == 0
    watch = collapse.CollapseWatch()
    watch.see_diversity(collapse.diversity(one, real), 10)
    assert not watch.collapsed
    watch.see_diversity(collapse.diversity(one, real), 20)
    assert watch.collapsed
    assert "iteration 20: generated images differ by 0.000" in capsys.readouterr().out


def test_data_decide_what_auto_compares_images_in(monkeypatch, capsys):
    def filled(features, data):
        options = OmegaConf.create({"features": features})
        Generation.fill(options, SimpleNamespace(features=data))
        return options.features

    assert filled("auto", "mnist_classifier") == "mnist_classifier"
    assert filled("auto", None) is None
    assert filled(None, "mnist_classifier") is None
    assert filled("inception", "mnist_classifier") == "inception"
    assert capsys.readouterr().out == ""

    def gone():
        raise ConnectionError("mnist_classifier is not here")

    monkeypatch.setitem(FEATURES, "mnist_classifier", gone)
    assert filled("auto", "mnist_classifier") is None
    assert capsys.readouterr().out == "no Fréchet distance: mnist_classifier is not here\n"


def test_drawing_keeps_the_tasks_mode():
    task = make(norm=True).train()
    before = copy.deepcopy(task.state_dict())
    assert draw(task, task.fixed_z[:2]).shape == (2, 1, 32, 32)
    assert task.net.generator.norms[0].training
    assert all(torch.equal(v, before[k]) for k, v in task.state_dict().items())


def test_grid_holds_the_images_on_white():
    images = torch.tensor([-1.0, 0.0, 1.0]).view(3, 1, 1, 1).expand(3, 1, 32, 32)
    grid = sample_grid(images, 2)
    assert grid.dtype == torch.uint8
    # 32 is enlarged to 64; two columns and two rows with gaps of 2.
    assert grid.shape == (3, 2 * 66 + 2, 2 * 66 + 2)
    assert grid[:, 2:66, 2:66].unique().tolist() == [0]
    assert grid[:, 2:66, 68:132].unique().tolist() == [128]
    assert grid[:, 66].unique().tolist() == [255]


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    from tasks.segmentation import LossNotFiniteError

    task = make()
    nn.init.constant_(task.net.discriminator.layers[0].bias, math.nan)
    with pytest.raises(LossNotFiniteError, match="a loss became nan at iteration 0, epoch 0"):
        fit(task, tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"generator_lr": 0}, "task.generator_lr=0 must be a number above 0"),
        ({"generator_steps": 0}, "task.generator_steps=0 must be an integer of at least 1"),
        ({"r1_gamma": -1}, "task.r1_gamma=-1 must be a number of at least 0"),
        ({"loss": "wgan"}, "task.loss='wgan' must be non_saturating or hinge or least_squares"),
        ({"features": "vgg"}, "task.features='vgg' must be"),
        ({"diffaugment": ["flip"]}, "task.diffaugment='flip' must be color or translation or"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        make(options)
