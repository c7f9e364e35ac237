"""Scores are computed in float32, on GPUs too."""

import torch

from tasks.scoring import _trainer


def test_a_scoring_trainer_forbids_tf32(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    _trainer("cpu", 1.0, [])
    assert torch.backends.cudnn.allow_tf32 is False
