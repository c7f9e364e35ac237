"""KilledError and resumed under Lightning, a run sees each sample as an uninterrupted one does."""

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from data.drawing import draw
from data.images import Images
from data.mnist import MNIST
from data.photos import Photos
from data.shapes import Shapes
from tests.data.test_images import save_image
from tests.data.test_mnist import write_mnist

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*isinstance.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*is not sufficient|.*exists and is not empty.*"),
]


class KilledError(Exception):
    pass


class Watcher(pl.LightningModule):
    """Notes a digest of every training batch; stops dead at step `kill`."""

    def __init__(self, kill=None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.kill, self.seen = kill, {}

    def training_step(self, batch, _):
        if self.global_step == self.kill:
            raise KilledError
        # a product with positions tells the order of the batch too
        weights = torch.arange(1.0, len(batch["image"]) + 1)
        digest = (batch["image"].double().sum((1, 2, 3)) * weights).sum().item()
        self.seen[self.global_step] = (self.current_epoch, digest)
        return self.weight**2

    def validation_step(self, batch, _):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def fit(folder, model, every=1, ckpt=None, workers=0, on_train_end=False, data=None):
    data = data or Shapes(
        size=(16, 16),
        train=10,
        val=2,
        test=2,
        batch_size=2,
        num_workers=workers,
        augment={"flip": 0.5, "colour": 0.5},
        seed=4,
    )
    keep = (
        ModelCheckpoint(folder, save_last=True, every_n_train_steps=every)
        if every
        else (ModelCheckpoint(folder, save_last=True, save_on_train_epoch_end=on_train_end))
    )
    trainer = pl.Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        callbacks=[keep],
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(model, data, ckpt_path=ckpt, weights_only=True)
    return model.seen


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    seen = fit(tmp_path_factory.mktemp("whole"), Watcher())
    assert len(seen) == 15
    assert len(set(seen.values())) == 15
    return seen


@pytest.mark.parametrize(
    ("workers", "every", "kill"),
    [(0, 1, 3), (0, 1, 7), (0, 2, 9), (0, 1, 10), (0, 5, 6), (1, 1, 7), (1, 1, 10)],
)
def test_mid_epoch(tmp_path, whole, workers, every, kill):
    with pytest.raises(KilledError):
        fit(tmp_path, Watcher(kill), every)
    seen = fit(tmp_path, Watcher(), every, ckpt=str(tmp_path / "last.ckpt"), workers=workers)
    first = kill // every * every
    assert seen == {step: value for step, value in whole.items() if step >= first}


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("on_train_end", [True, False])
def test_end_of_epoch(tmp_path, whole, workers, on_train_end):
    with pytest.raises(KilledError):
        fit(tmp_path, Watcher(8), None, on_train_end=on_train_end)
    seen = fit(tmp_path, Watcher(), None, str(tmp_path / "last.ckpt"), workers, on_train_end)
    assert seen == {step: value for step, value in whole.items() if step >= 5}


def mnist(folder, workers):
    write_mnist(folder, train=12)
    return MNIST(root=folder, val=2, batch_size=2, num_workers=workers, seed=4)


def images(folder, workers):
    for index in range(16):
        save_image(folder / f"{index}.png", [[(11 * index + index % 3, 90, 7), (9, 9, 15 * index)]])
    return Images(
        root=folder, val=0.2, test=0.2, size=(4, 8), flip=0.5, batch_size=2, num_workers=workers
    )


def photos(folder, workers):
    for index in range(16):
        image, _ = draw((index,), 24, 20)
        save_image(folder / f"{index}.png", image.transpose(1, 2, 0))
    return Photos(
        root=folder, val=0.2, test=0.2, scale=2, patch=4, patches=13, batch_size=2,
        num_workers=workers,
    )  # fmt: skip


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("make", [mnist, images, photos])
def test_mid_epoch_of_data_fetched_by_the_batch(tmp_path, make, workers):
    whole = fit(tmp_path / "whole", Watcher(), data=make(tmp_path / "data", workers))
    assert len(set(whole.values())) == len(whole)
    kill = len(whole) // 2
    with pytest.raises(KilledError):
        fit(tmp_path, Watcher(kill), data=make(tmp_path / "data", 0))
    last = str(tmp_path / "last.ckpt")
    seen = fit(tmp_path, Watcher(), ckpt=last, data=make(tmp_path / "data", workers))
    assert seen == {step: value for step, value in whole.items() if step >= kill}
