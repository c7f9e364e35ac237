"""Classification: the random moves, the scores against plain arithmetic, a whole fit."""

import itertools
import math
from types import SimpleNamespace

import lightning.pytorch as pl
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import rotate, shift
from torch.utils.data import DataLoader

from tasks.classification import Classification, random_affine
from tasks.optimisation import LossNotFiniteError
from upzoo.classifier import Classifier

DATA = SimpleNamespace(name="digits", classes=("a", "b", "c"), masked=False)


def spots(count=2):
    """A bright square off the centre, on a dark ground."""
    images = torch.zeros(count, 1, 21, 21)
    images[:, :, 5:10, 8:13] = 1
    return images


@pytest.fixture
def draws(monkeypatch):
    """Sets what `random_affine` draws: angle, scale, right, down as shares of their largest."""

    def fix(*shares):
        values = (torch.tensor(shares) + 1) / 2
        monkeypatch.setattr(torch, "rand", lambda *_, **__: values[:, None].expand(4, 2))

    return fix


def test_no_strength_moves_nothing():
    images = torch.rand(3, 1, 28, 20)
    torch.testing.assert_close(random_affine(images, 0, 0, 0), images)


def test_a_shift_moves_by_its_share_of_the_side(draws):
    draws(0.0, 0.0, 1.0, -1.0)
    moved = random_affine(spots(), 0, 0, shift=2 / 21)
    expected = shift(spots()[0, 0].numpy(), (2, -2), order=1, mode="nearest")
    torch.testing.assert_close(moved[0, 0], torch.from_numpy(expected), atol=1e-5, rtol=0)


def test_a_rotation_turns_by_degrees(draws):
    draws(1.0, 0.0, 0.0, 0.0)
    turned = random_affine(spots(), rotation=30, zoom=0, shift=0)
    images = (rotate(spots()[0, 0].numpy(), a, reshape=False, order=1) for a in (30, -30))
    differences = [(turned[0, 0] - torch.from_numpy(image)).abs().max() for image in images]
    assert min(differences) < 1e-5 < max(differences)


def test_a_rotation_keeps_shapes_in_images_that_are_not_square(draws):
    draws(1.0, 0.0, 0.0, 0.0)
    wide = F.pad(spots(), (7, 7))
    turned = random_affine(wide, rotation=30, zoom=0, shift=0)[..., 7:-7]
    torch.testing.assert_close(turned, random_affine(spots(), 30, 0, 0), atol=1e-5, rtol=0)


def test_a_zoom_scales_areas(draws):
    draws(0.0, 1.0, 0.0, 0.0)
    larger = random_affine(spots(), 0, zoom=0.5, shift=0)
    assert larger[0].sum().item() == pytest.approx(25 * 1.5**2, rel=0.03)


def test_every_image_has_its_own_draw():
    moved = random_affine(spots(8), rotation=20, zoom=0.1, shift=0.1)
    assert all((a - b).abs().max() > 0.01 for a, b in itertools.combinations(moved, 2))


def batches(count=6, size=8):
    g = torch.Generator().manual_seed(0)
    images, labels = torch.randn(count, 1, size, size, generator=g), torch.arange(count) % 3
    rows = [{"image": i, "label": y} for i, y in zip(images, labels, strict=True)]
    return images, labels, rows


def trainer(**options):
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    return pl.Trainer(accelerator="cpu", enable_model_summary=False, **quiet, **options)


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_scores_are_those_of_the_whole_split():
    images, labels, rows = batches(7)
    net = Classifier(3, width=2)
    task = Classification(net, DATA)
    trainer().test(task, DataLoader(rows, 4), verbose=False)
    with torch.no_grad():
        logits = net.eval()(images)
    assert task.results == pytest.approx(
        {
            "accuracy": (logits.argmax(1) == labels).float().mean().item(),
            "loss": F.cross_entropy(logits, labels).item(),
        }
    )
    trainer().test(task, DataLoader(rows[:1], 1), verbose=False)
    assert task.results["accuracy"] in (0, 1), "an earlier pass is counted"


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_a_fit_learns_its_batch_and_checkpoints_carry_the_card(tmp_path):
    torch.manual_seed(0)
    _, _, rows = batches()
    task = Classification(
        Classifier(3, width=4), DATA, lr=0.02, rotation=0, zoom=0, shift=0, card={"a": 1}
    )
    fit = trainer(max_steps=40, log_every_n_steps=1)
    loader = DataLoader(rows, 6)
    fit.fit(task, loader, loader)
    assert set(task.results) == {"accuracy", "loss"}
    fit.save_checkpoint(tmp_path / "c.ckpt")
    assert torch.load(tmp_path / "c.ckpt", weights_only=True)["card"] == {"a": 1}
    assert fit.callback_metrics["train/loss"] < 0.3 < math.log(3)
    assert fit.optimizers[0].param_groups[0]["lr"] == pytest.approx(0, abs=1e-4)


def test_a_loss_that_is_not_finite_stops_the_run():
    task = Classification(Classifier(3, width=2), DATA)
    batch = {"image": torch.full((2, 1, 8, 8), torch.nan), "label": torch.tensor([0, 1])}
    task.trainer = SimpleNamespace(global_step=0, current_epoch=0)
    with pytest.raises(LossNotFiniteError, match="the loss became nan"):
        task.training_step(batch, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rotation": -1}, "task.rotation=-1 must be 0 to 180 degrees"),
        ({"zoom": 1}, "task.zoom=1 must be a share"),
        ({"shift": 2}, "task.shift=2 must be a share"),
        ({"lr": 0}, "task.lr=0 must be a number above 0"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Classification(Classifier(3, width=2), DATA, **options)


@pytest.mark.parametrize(
    "data",
    [
        SimpleNamespace(name="shapes", classes=("a",), masked=True),
        SimpleNamespace(name="emoji", classes=(), masked=False),
    ],
)
def test_data_without_a_label_for_each_image_is_refused(data):
    with pytest.raises(ValueError, match=f"data={data.name} has no label for each image"):
        Classification.outputs(data)
