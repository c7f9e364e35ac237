"""Imports without the garbage collector, and torchmetrics in pieces."""

import gc
import importlib
import subprocess
import sys
import types

import pytest

from runs import imports
from runs.console import ROOT


def test_the_collector_rests_meanwhile_and_what_was_made_is_not_looked_at_again():
    before = gc.get_freeze_count()
    try:
        with imports.without_collecting():
            assert not gc.isenabled()
            made = [[] for _ in range(1000)]
        assert gc.isenabled()
        assert gc.get_freeze_count() >= before + len(made)
        with pytest.raises(ImportError), imports.without_collecting():
            raise ImportError
        assert gc.isenabled()
    finally:
        gc.unfreeze()


def test_torchmetrics_is_imported_in_pieces_and_whole_when_more_is_asked_for():
    code = """
import sys
import types
from runs import imports
from runs.console import ROOT
with imports.without_collecting():
    from torchmetrics import MeanMetric, Metric
    from torchmetrics.image import PeakSignalNoiseRatio
assert issubclass(MeanMetric, Metric) and issubclass(PeakSignalNoiseRatio, Metric)
assert "torchmetrics.functional.text" not in sys.modules
import torchmetrics
assert torchmetrics.BLEUScore and torchmetrics.__version__ and torchmetrics.Metric is Metric
from torchmetrics.functional.image import peak_signal_noise_ratio
from torchmetrics.image import VisualInformationFidelity
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_triton_is_out_of_reach_within_and_back_after(monkeypatch):
    monkeypatch.delitem(sys.modules, "triton", raising=False)
    with imports.without_triton(), pytest.raises(ImportError):
        importlib.import_module("triton")
    assert "triton" not in sys.modules
    there = types.ModuleType("triton")
    monkeypatch.setitem(sys.modules, "triton", there)
    with imports.without_triton():
        assert importlib.import_module("triton") is there
    assert sys.modules["triton"] is there
