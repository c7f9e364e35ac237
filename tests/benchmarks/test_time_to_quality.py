"""Time to a score: both sides scored at the same lengths, by measures that others compute too."""

from itertools import count
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from torchmetrics.functional.image import peak_signal_noise_ratio
from torchvision.transforms.v2.functional import to_pil_image

from benchmarks import time_to_quality
from benchmarks.time_to_quality import AT_EVERY_LENGTH, TASKS, PlainESPCN, minutes_to, train_peer
from comparison.pages import inserted
from data.t91 import T91

ROOT = Path(__file__).parents[2]


class Counting:
    """A peer whose score is the number of its steps, and whose steps take a second each."""

    def __init__(self, batches: int):
        self.done = 0
        self.data = self
        self.batches = batches

    def train_dataloader(self):
        return range(self.batches)

    def step(self, batch):
        self.done += 1

    def score(self):
        return self.done


def test_a_peer_is_scored_when_it_has_trained_as_long(monkeypatch):
    clock = count()
    # scoring takes time too: the clock is read again after it
    monkeypatch.setattr(time_to_quality.time, "perf_counter", lambda: float(next(clock)))
    curve = train_peer(Counting(batches=3), [2.0, 5.0, 7.5])
    assert [(p["seconds"], p["score"]) for p in curve] == [(2, 2), (5, 5), (8, 8)]


def test_the_first_length_that_is_as_good():
    curve = [{"seconds": 60 * m, "score": s} for m, s in ((1, 9.0), (2, 5.0), (4, 6.0), (8, 2.0))]
    assert minutes_to(curve, 5.0, falls=True) == 2
    assert minutes_to(curve, 1.0, falls=True) is None
    assert minutes_to(curve, 9.0, falls=False) == 1


@pytest.mark.parametrize("name", TASKS)
def test_the_last_length_is_the_trainings_end(name):
    task = TASKS[name]
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        cfg = compose("train", [*task.overrides, *AT_EVERY_LENGTH])
    images = {"camvid": 367, "mnist": 55_000, "set5": cfg.data.get("patches", 0)}[name]
    steps = images // cfg.data.batch_size
    if cfg.trainer.get("limit_train_batches", 1.0) != 1.0:
        steps = min(steps, cfg.trainer.limit_train_batches)
    assert task.steps[-1] == steps * cfg.trainer.max_epochs
    assert list(task.steps) == sorted(set(task.steps))
    assert cfg.task.get("schedule", "constant") == "constant"


def test_the_port_of_espcn_learns_and_is_scored_as_torchmetrics_does(tmp_path):
    torch.manual_seed(0)
    for folder, number, size in (("T91", 12, 72), ("Set5", 2, 60), ("Set14", 1, 60)):
        (tmp_path / folder).mkdir()
        for i in range(number):
            field = torch.rand(3, size // 12, size // 12)
            smooth = F.interpolate(field[None], (size, size), mode="bicubic").clamp(0, 1)[0]
            to_pil_image(smooth).save(tmp_path / folder / f"{i}.png")
    data = T91(root=tmp_path, patch=12, batch_size=16, patches=64)
    data.setup()
    peer = PlainESPCN(data)
    before = peer.score()
    for _ in range(15):
        for batch in data.train_dataloader():
            peer.step(batch)
    assert peer.score() > before + 5
    found = []
    for sample in data.prepared("set5"):
        low, high = (peer.unit(sample[k][None]) for k in ("image", "target"))
        pair = [(255 * x.clamp(0, 1)).round()[..., 3:-3, 3:-3] for x in (peer.net(low), high)]
        found.append(peak_signal_noise_ratio(*pair, data_range=255.0))
    assert peer.score() == pytest.approx(torch.stack(found).mean().item(), abs=1e-4)


def test_the_page_is_what_the_records_give():
    page = (ROOT / time_to_quality.PAGE).read_text()
    records = time_to_quality.kept()
    assert records
    assert inserted(page, {"time to quality": time_to_quality.rows(records)}) == page
    for result in records:
        ours, peer = result["curves"]["ours"], result["curves"]["peer"]
        # each has trained as long as the other, but for a step
        for one, other in zip(ours, peer, strict=True):
            assert one["seconds"] <= other["seconds"] <= one["seconds"] * 1.02 + 5
