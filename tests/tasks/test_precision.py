"""Arithmetic: what "auto" is with and without a GPU, and float32 that is not rounded."""

import pytest
import torch

from tasks.precision import resolve_precision
from tasks.scoring import _trainer


@pytest.fixture
def gpu(monkeypatch):
    """A machine with an Ampere GPU, whose processor has no bfloat16."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 0))
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)


def test_auto_is_that_of_the_accelerator(gpu):
    assert resolve_precision("auto") == "bf16-mixed"
    assert resolve_precision("auto", "cuda") == "bf16-mixed"
    assert resolve_precision("auto", "cpu") == "32-true"  # the GPU is not asked


def test_an_older_gpu_has_no_bfloat16(gpu, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    assert resolve_precision("auto", "gpu") == "32-true"


def test_a_scoring_trainer_forbids_tf32(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    _trainer("cpu", 1.0, [])
    assert torch.backends.cudnn.allow_tf32 is False
