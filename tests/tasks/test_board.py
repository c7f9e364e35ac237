"""Pictures that TensorBoard is given: all of a run by itself, in a sweep the last predictions."""

import io

import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from runs import sweeps
from tasks import board
from tasks.board import Board

PREDICTIONS = "3_pictures/predictions_validation"


def picture(seed, height=40, width=60):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=generator)


def logged(folder, **options):
    """The events of a training with pictures at steps 0 and 5, and a score."""
    logger = Board(str(folder), name="", version="", **options)
    for step in (0, 5):
        logger.log_picture("predictions/validation", picture(step, 1200, 900), step)
        logger.log_picture("upsampling/up.weight", picture(10 + step), step)
        logger.log_metrics({"val/miou": 0.4}, step)
    logger.finalize("success")
    logger.log_metrics({"test/miou": 0.5}, 5)  # as once the training has ended
    logger.finalize("success")
    events = EventAccumulator(str(folder))
    return events.Reload()


def decoded(event):
    return Image.open(io.BytesIO(event.encoded_image_string))


def test_a_run_by_itself_shows_every_picture_whole(tmp_path):
    events = logged(tmp_path)
    assert set(events.Tags()["images"]) == {PREDICTIONS, "7_kernels/up.weight"}
    for tag, first, size in ((PREDICTIONS, 0, (1200, 900)), ("7_kernels/up.weight", 10, (40, 60))):
        for event, step in zip(events.Images(tag), (0, 5), strict=True):
            assert event.step == step
            shown = np.asarray(decoded(event)).transpose(2, 0, 1)
            np.testing.assert_array_equal(shown, picture(first + step, *size).numpy())
    assert not (tmp_path / board.FOLDER).exists()


def test_of_a_sweep_the_last_pictures_are_kept_and_predictions_are_shown_small(tmp_path):
    events = logged(tmp_path, pictures="last")
    assert events.Tags()["images"] == [PREDICTIONS]
    (event,) = events.Images(PREDICTIONS)
    shown = decoded(event)
    assert (event.step, event.width, event.height) == (5, 600, 800)
    assert (shown.size, shown.format) == ((600, 800), "JPEG")
    kept = {path.name: np.asarray(Image.open(path)) for path in (tmp_path / "pictures").iterdir()}
    assert kept.keys() == {"predictions_validation.png", "upsampling_up.weight.png"}
    for name, last in zip(sorted(kept), (picture(5, 1200, 900), picture(15)), strict=True):
        np.testing.assert_array_equal(kept[name].transpose(2, 0, 1), last.numpy())
    assert [event.value for event in events.Scalars("1_test/miou")] == [0.5]


def test_what_is_small_already_keeps_its_size_and_its_colours():
    ramp = torch.arange(64, dtype=torch.uint8).mul(4).expand(3, 32, 64)
    (value,) = board.thumbnail("tag", board.to_picture(ramp)).value
    shown = np.asarray(Image.open(io.BytesIO(value.image.encoded_image_string))).astype(int)
    assert shown.shape == (32, 64, 3)
    assert abs(shown - ramp.permute(1, 2, 0).numpy()).max() <= 6


@pytest.mark.parametrize(("job", "expected"), [(True, "last"), (False, "all")])
def test_unless_told_pictures_are_those_that_fit_a_sweep_or_a_run(
    tmp_path, monkeypatch, job, expected
):
    monkeypatch.setattr(board.HydraConfig, "initialized", lambda: True)
    monkeypatch.setattr(sweeps, "is_job", lambda: job)
    assert Board(str(tmp_path)).pictures == expected
    assert Board(str(tmp_path), pictures="all").pictures == "all"
    assert isinstance(Board(str(tmp_path)), TensorBoardLogger)


def test_another_word_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^logger.tensorboard.pictures=few: give all, last or"):
        Board(str(tmp_path), pictures="few")
