"""Super-resolution: scores against plain arithmetic, self-ensemble, panels, a whole run."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hydra.errors import InstantiationException
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from panels.projection import GAP, HEAD
from runs import per_image, records
from tasks.artifacts import examine
from tasks.pictures import super_resolution_panel
from tasks.super_resolution import SuperResolution, same_size
from tests.data.test_resolutions import draw_folder
from tests.tasks.test_reconstruction import ssim, trainer
from upzoo.base import Net
from upzoo.bicubic import enlarge, reduce
from upzoo.espcn import ESPCN
from upzoo.upsampling import OPERATORS

DATA = SimpleNamespace(mean=(0.5,), std=(0.25,), size=(18, 18), scale=3, in_channels=1)


class Bicubic(Net):
    """Bicubic enlargement, off by a constant."""

    label, scale = "bicubic", 3

    def __init__(self, off=0.0):
        super().__init__()
        self.off = nn.Parameter(torch.tensor(off))

    def forward(self, x):
        return enlarge(x, 3) + self.off


class Corner(Bicubic):
    """What it adds to the first column is its own."""

    def forward(self, x):
        y = super().forward(x)
        return y + nn.functional.one_hot(torch.tensor(0), y.shape[-1])


def samples(count=3, channels=1):
    torch.manual_seed(0)
    found = []
    for index in range(count):
        target = torch.rand(channels, 39 + 3 * index, 48)
        image = reduce(target.double(), 3).float()
        found.append({"image": (image - 0.5) / 0.25, "target": (target - 0.5) / 0.25})
    return found


@pytest.mark.filterwarnings("ignore:.*many workers")
def test_scores_are_means_over_images_of_8_bit_luma_without_the_border():
    task = SuperResolution(Bicubic(0.3), DATA, distance="l2")
    pairs = samples()
    trainer().validate(task, torch.utils.data.DataLoader(pairs, 1), verbose=False)
    psnrs, ssims, squares = [], [], []
    for pair in pairs:
        made = enlarge(pair["image"].double()[None], 3)[0] + 0.3
        squares.append(((made - pair["target"]) ** 2).flatten())
        eight = [
            np.round(255 * (x.numpy() * 0.25 + 0.5).clip(0, 1))[0, 3:-3, 3:-3]
            for x in (made, pair["target"])
        ]
        psnrs.append(10 * math.log10(255**2 / ((eight[0] - eight[1]) ** 2).mean()))
        ssims.append(ssim(*(x[None] / 255 for x in eight)))
    assert task.results == pytest.approx(
        {"psnr": np.mean(psnrs), "ssim": np.mean(ssims), "loss": torch.cat(squares).mean().item()},
        rel=1e-4,
    )


def test_colours_are_scored_on_luma():
    data = SimpleNamespace(**vars(DATA) | {"mean": (0.5,) * 3, "std": (0.25,) * 3})
    red = (torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 9, 9) - 0.5) / 0.25
    y = SuperResolution(Bicubic(), data).scored(red)
    assert y.shape == (1, 1, 3, 3)
    assert (y == 81).all()


def test_self_ensemble_is_the_mean_over_turned_images_turned_back():
    x = torch.rand(1, 1, 4, 6)
    plain = SuperResolution(Bicubic(), DATA)
    ensemble = SuperResolution(Corner(), DATA, self_ensemble=True)
    with torch.no_grad():
        added = ensemble.predict(x) - plain.predict(x)
    # each of the four sides is the first column of two of the eight
    expected = torch.zeros(12, 18)
    for side in (expected[:, 0], expected[:, -1], expected[0], expected[-1]):
        side += 0.25
    torch.testing.assert_close(added[0, 0], expected, atol=1e-5, rtol=0)


def test_charbonnier_is_a_smooth_distance():
    task = SuperResolution(Bicubic(), DATA, distance="charbonnier")
    found, truth = torch.tensor([3.0, 0.0]), torch.zeros(2)
    assert task.loss(found, truth).item() == pytest.approx((math.sqrt(9 + 1e-6) + 1e-3) / 2)


@pytest.mark.parametrize(
    ("net", "data", "message"),
    [
        (
            Bicubic(),
            SimpleNamespace(size=(96, 96), scale=1),
            "needs images in two resolutions.*data=t91",
        ),
        (Net(), DATA, "net does not enlarge by scale=3: take model=espcn"),
        (ESPCN(OPERATORS["interpolate"], 2), DATA, "espcn enlarges by 2, .*give data.scale=2"),
    ],
)
def test_refusals_are_one_line(net, data, message):
    with pytest.raises(ValueError, match=message) as caught:
        SuperResolution(net, data)
    assert "\n" not in str(caught.value)


def test_samples_are_cut_to_the_middle_that_all_have():
    pairs = samples()
    cut = same_size(pairs)
    assert {tuple(pair["image"].shape) for pair in cut} == {(1, 13, 16)}
    assert torch.equal(cut[2]["image"], pairs[2]["image"][:, 1:14])
    assert torch.equal(cut[2]["target"], pairs[2]["target"][:, 3:42])


def test_panel_shows_bicubic_net_original_and_error():
    task = SuperResolution(Bicubic(0.4), DATA)
    flat = [{"image": torch.zeros(1, 64, 64), "target": torch.zeros(1, 192, 192)}]
    panel = super_resolution_panel(task, flat)
    columns = [GAP + i * (192 + GAP + 2 * GAP) + 5 for i in range(4)]
    found = [panel[0, HEAD + 5, column].item() for column in columns]
    assert found == pytest.approx([127.5, 153, 127.5, 25.5], abs=1)


def test_checkerboards_are_looked_for_at_the_periods_of_the_scale():
    torch.manual_seed(0)
    net = ESPCN(lambda *a: OPERATORS["pixel_shuffle"](*a, icnr=False), 3, skip=True)
    grid = torch.zeros(1, 1, 3, 3)
    grid[..., 0, 0] = 0.5

    class Grid(Bicubic):
        def forward(self, x):
            return super().forward(x) + grid.repeat(1, 1, *x.shape[-2:])

    pairs = [
        {"image": torch.randn(1, 32, 32), "target": enlarge(torch.randn(1, 1, 32, 32), 3)[0]}
        for _ in range(4)
    ]
    found = examine(SuperResolution(Grid(), DATA), pairs)
    assert found.periods == (3,)
    assert found.headlines["checkerboard_db"] > 10
    assert examine(SuperResolution(Bicubic(), DATA), pairs).headlines["checkerboard_db"] < 6
    report = examine(SuperResolution(net, DATA), pairs).report
    ripples = sorted(layer.ripple for layer in report.layers if layer.up)
    assert ripples[0] < 1e-4  # the bicubic skip
    assert ripples[1] > 0.1


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    for seed, (name, count) in enumerate({"T91": 6, "Set5": 2, "Set14": 2}.items()):
        draw_folder(root / name, count, size=(48, 51), seed=seed)
    return root


SHORT = (
    "model=espcn",
    "upsample=pixel_shuffle",
    "model.widths=[8,8]",
    "model.skip=true",
    "data.patch=8",
    "data.patches=400",
    "data.batch_size=8",
    "data.val=2",
    "trainer.max_epochs=2",
    "trainer.check_val_every_n_epoch=1",
    "trainer.precision=32-true",
    "average=0",
    "task.lr=4e-3",
)


def test_a_run_trains_scores_every_set_and_can_be_evaluated(train_run, sets, tmp_path, monkeypatch):
    import evaluate
    from tests.conftest import compose_config

    run = train_run(*SHORT, f"data.root={sets}", small=False)
    record = records.read(run / "record.json")
    assert record.choices["data"] == "t91x3"
    assert set(record.metrics) == {"val", "set5", "set14"}
    assert record.data["split"] == "set5"
    assert record.cost["image_size"] == [16, 17]
    events = EventAccumulator(str(run)).Reload()
    (shown,) = events.Scalars("5_more_scores/psnr_test_set14")
    assert shown.value == pytest.approx(record.metrics["set14"]["psnr"])
    assert len(events.Images("3_pictures/enlarged_validation")) == 2
    bicubic = bicubic_psnr(sets / "Set14")
    assert record.metrics["set14"]["psnr"] > bicubic - 1  # an untrained net is 10 dB below

    monkeypatch.setattr("sys.argv", ["evaluate.py"])
    evaluate.use(compose_config("evaluate", [f"ckpt={run}", f"logs={tmp_path}"]))
    (again,) = tmp_path.rglob("record.json")
    found = records.read(again).metrics
    assert found.keys() == {"set5", "set14"}
    for split, scores in found.items():
        assert scores["psnr"] == pytest.approx(record.metrics[split]["psnr"], abs=1e-4)
    assert (again.parent / "set5.png").exists()
    once_more = ["self_ensemble=true", "split=val", "artifacts=0", f"logs={tmp_path / 'turned'}"]
    evaluate.use(compose_config("evaluate", [f"ckpt={run}", *once_more]))
    (turned,) = (tmp_path / "turned").rglob("record.json")
    assert records.read(turned).metrics["val"]["psnr"] != record.metrics["val"]["psnr"]


def bicubic_psnr(folder):
    from data.resolutions import Resolutions

    split = Resolutions(folder, [p.name for p in sorted(folder.iterdir())], 3, True, 0)
    values = []
    for index in range(len(split)):
        pair = split[index]
        made = enlarge(pair["image"][None], 3)[0].round().clamp(0, 255)
        error = (made - pair["target"].float())[..., 3:-3, 3:-3]
        values.append(10 * math.log10(255**2 / (error**2).mean().item()))
    return np.mean(values)


def test_budgets_keep_the_psnr_of_every_image(train_run, sets):
    options = ("average=0", "average_power=3", "task.schedule=constant", "artifacts=0")
    run = train_run(*SHORT, *options, f"data.root={sets}", "budgets=[1,2]", small=False)
    record, figures = records.read(run / "record.json"), per_image.read(run / per_image.FILE)
    assert figures["steps"].tolist() == [1, 2]
    assert figures["set5.psnr"].shape == (2, 2)
    for at, entry in enumerate(record.budgets):
        for split in ("set5", "set14"):
            mean = figures[f"{split}.psnr"][at].mean()
            assert entry["metrics"][split]["psnr"] == pytest.approx(mean, rel=1e-5)


def test_a_model_and_a_task_that_do_not_go_together_are_refused(train_run, sets, tmp_path):
    pairs = ("data=t91", f"data.root={sets}", "data.val=2", "data.patch=8")
    for overrides, message in (
        (("model=unet", "task=super_resolution", *pairs), "unet does not enlarge by scale=3"),
        (("model=espcn", "data=shapes"), r"scale=None must be .*data=t91 and data=photos set it"),
    ):
        with pytest.raises((ValueError, InstantiationException), match=message):
            train_run(*overrides, small=False, logs=tmp_path)
        assert not any(tmp_path.iterdir())
