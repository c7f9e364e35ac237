"""Reconstruction: losses and scores against plain arithmetic, a training, the pictures."""

import math
from types import SimpleNamespace

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.utils.data import DataLoader

from panels.projection import GAP, HEAD
from tasks.callbacks import ProjectionPanels, ReconstructionPanels
from tasks.optimisation import LossNotFiniteError
from tasks.pictures import reconstruction_panel
from tasks.reconstruction import Reconstruction
from upzoo.deconvnet import DeconvNet
from upzoo.upsampling import OPERATORS

DATA = SimpleNamespace(
    mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3), size=(20, 24), in_channels=3, num_classes=8
)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def normalised(count=5, size=DATA.size):
    colours = torch.rand(count, 3, *size)
    return (colours - torch.tensor(DATA.mean).view(-1, 1, 1)) / torch.tensor(DATA.std).view(
        -1, 1, 1
    )


def trainer(**options):
    quiet = {
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return pl.Trainer(**quiet | options)


def loader(images, batch_size=2):
    return DataLoader([{"image": image} for image in images], batch_size)


class Darker(nn.Module):
    """Off by a fixed amount in normalised values, some of it clipped away as a colour."""

    def forward(self, x):
        return x - 0.5


def ssim(a, b):
    """Wang et al. 2004, Gaussian windows of 11 pixels and σ = 1.5; mirrored at the border."""

    def blur(x):
        return gaussian_filter(x, 1.5, radius=5, mode="mirror")

    mu_a, mu_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mu_a**2, blur(b * b) - mu_b**2
    covariance = blur(a * b) - mu_a * mu_b
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mu_a * mu_b + c1) * (2 * covariance + c2)
    return (top / ((mu_a**2 + mu_b**2 + c1) * (var_a + var_b + c2))).mean()


@pytest.mark.filterwarnings("ignore:.*many workers")
def test_scores_of_a_split_are_those_of_all_its_pixels_as_colours():
    task = Reconstruction(Darker(), DATA)
    images = normalised()
    trainer().validate(task, loader(images), verbose=False)
    std, mean = (np.array(v)[:, None, None] for v in (DATA.std, DATA.mean))
    truth = images.double().numpy() * std + mean
    found = (truth - 0.5 * std).clip(0, 1)
    assert task.results == pytest.approx(
        {
            "psnr": -10 * math.log10(((truth - found) ** 2).mean()),
            # the mean over the channels of every image
            "ssim": np.mean(list(map(ssim, truth.reshape(-1, 20, 24), found.reshape(-1, 20, 24)))),
            "loss": 0.5,
        },
        rel=1e-4,
    )
    assert all(isinstance(value, float) for value in task.results.values())


@pytest.mark.filterwarnings("ignore:.*many workers")
def test_a_second_pass_starts_afresh():
    task = Reconstruction(Darker(), DATA)
    trainer().validate(task, loader(normalised()), verbose=False)
    images = normalised(3)
    trainer().test(task, loader(images), verbose=False)
    first = dict(task.results)
    trainer().validate(task, loader(images), verbose=False)
    assert task.results == pytest.approx(first, rel=1e-6)


@pytest.mark.parametrize(("distance", "expected"), [("l1", 1.5), ("l2", 4.5)])
def test_loss_is_the_mean_distance(distance, expected):
    task = Reconstruction(Darker(), DATA, distance=distance)
    found, image = torch.tensor([[[[3.0, 0.0]]]]), torch.zeros(1, 1, 1, 2)
    assert task.loss(found, image).item() == expected
    assert task.loss(found.bfloat16(), image).dtype is torch.float32


def test_colours_undo_the_normalisation_and_clip():
    task = Reconstruction(Darker(), DATA)
    x = torch.tensor([0.0, 1.0, -100.0]).view(1, 3, 1, 1)
    torch.testing.assert_close(task.colours(x).flatten(), torch.tensor([0.5, 0.65, 0.0]))


def test_the_net_gives_the_channels_of_the_image():
    assert Reconstruction.outputs(DATA) == 3


@pytest.mark.filterwarnings("ignore:.*many workers", "ignore:.*logging interval")
def test_a_net_learns_one_image():
    net = DeconvNet(OPERATORS["max_unpool"], 3, width=4, multipliers=(1, 2), convs=(1, 1))
    task = Reconstruction(net, DATA, distance="l2", lr=0.02, card={"model": 1})
    images = normalised(1)
    before = task.loss(task.eval()(images), images).item()
    trainer(max_steps=60).fit(task.train(), loader(images, 1), loader(images, 1))
    after = task.loss(task.eval()(images), images).item()
    assert after < 0.7 * before
    checkpoint = {}
    task.on_save_checkpoint(checkpoint)
    assert checkpoint == {"card": {"model": 1}}


def test_a_loss_that_is_not_finite_stops_the_run():
    task = Reconstruction(Darker(), DATA)
    with pytest.raises(LossNotFiniteError, match="the loss became nan at step 0, epoch 0"):
        task.training_step({"image": torch.full((1, 3, 20, 20), torch.nan)}, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"distance": "l3"}, "task.distance='l3' must be l1 or l2"),
        ({"lr": 0}, "task.lr=0 must be a number above 0"),
        ({"optimiser": "adam"}, "task.optimiser='adam' must be adamw or sgd"),
        ({"data": SimpleNamespace(size=(5, 64))}, r"size=\[5, 64\] is too small.*at least 6"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        Reconstruction(**{"net": Darker(), "data": DATA} | options)


def test_panel_shows_input_reconstruction_and_error():
    task = Reconstruction(Darker(), DATA)
    image = torch.zeros(3, 256, 256)
    panel = reconstruction_panel(task, [{"image": image}, {"image": image + 1}])
    rows = [HEAD + 5, HEAD + 256 + GAP + 5]
    columns = [GAP + i * (256 + GAP + 2 * GAP) + 5 for i in range(3)]
    found = [[panel[:, r, c].tolist() for c in columns] for r in rows]
    colours = [0.5, 0.4, 0.3], [0.7, 0.65, 0.6]
    for row, truth in zip(found, colours, strict=True):
        wrong = [c - 0.5 * s for c, s in zip(truth, DATA.std, strict=True)]
        error = [0.5 * s for s in DATA.std]
        for pixel, expected in zip(row, (truth, wrong, error), strict=True):
            assert pixel == pytest.approx([255 * value for value in expected], abs=1)


class Pictures:
    """Stands in for TensorBoard's writer."""

    def __init__(self):
        self.shapes = {}

    def add_image(self, tag, picture, step):
        assert picture.dtype is torch.uint8
        self.shapes[tag] = tuple(picture.shape)


class Logger(TensorBoardLogger):
    """Writes nothing."""

    def __init__(self):
        self.pictures = Pictures()

    @property
    def experiment(self):
        return self.pictures


def fake_trainer(images):
    logger = Logger()
    samples = [{"image": image} for image in images]
    return SimpleNamespace(
        sanity_checking=False,
        is_global_zero=True,
        current_epoch=0,
        max_epochs=2,
        global_step=7,
        loggers=[logger],
        datamodule=SimpleNamespace(**vars(DATA), prepared={"val": samples}.__getitem__),
        val_dataloaders=loader(images),
        precision_plugin=pl.plugins.Precision(),
    )


def test_callbacks_add_their_pictures():
    net = DeconvNet(OPERATORS["transposed_conv"], 3, width=4, multipliers=(1, 2), convs=(1, 1))
    task = Reconstruction(net, DATA).eval()
    run = fake_trainer(normalised(3))
    ReconstructionPanels(images=2).on_validation_epoch_end(run, task)
    ProjectionPanels(stage=1, channels=3, images=2).on_train_end(run, task.train())
    shapes = run.loggers[0].experiment.shapes
    assert set(shapes) == {
        "3_pictures/reconstructions_validation",
        "3_pictures/projections_stage1",
        "7_kernels/upsamples.0.weight",
        "7_kernels/upsamples.1.weight",
    }
    # two rows of 20×24 pixels, eleven times as large; three channels' 3×3 pixels, 37 times
    assert shapes["3_pictures/reconstructions_validation"][:2] == (3, HEAD + 2 * (220 + GAP))
    assert shapes["3_pictures/projections_stage1"][:2] == (3, HEAD + 3 * (111 + GAP))


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (Darker(), r"not of Darker: set callbacks\.projections=null"),
        (DeconvNet(OPERATORS["interpolate"], 3, from_depth=2), "stage=3 must be one .* 1 to 2"),
    ],
)
def test_projections_of_what_is_not_there_are_refused_before_training(net, message):
    with pytest.raises(ValueError, match=message):
        ProjectionPanels(stage=3).on_fit_start(fake_trainer([]), Reconstruction(net, DATA))
