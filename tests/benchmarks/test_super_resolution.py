"""The cost of a super-resolution net's end: its arithmetic, and the page against the record."""

import json

import torch

from benchmarks import super_resolution
from benchmarks.super_resolution import BicubicFirst, fitting, flops, start
from comparison.pages import inserted
from tests.conftest import ROOT


def test_bicubic_first_has_espcns_layers_at_full_size():
    """2 · pixels · (5²·64 + 3²·64·32 + 3²·32 weights, and the 5²·s² of bicubic interpolation)."""
    for scale in (2, 3):
        net, x = BicubicFirst(scale), torch.rand(1, 1, 6, 5)
        layers = 25 * 64 + 9 * 64 * 32 + 9 * 32
        assert flops(net, x) == 2 * 30 * scale**2 * (layers + 25)
        assert net(x).shape == (1, 1, 6 * scale, 5 * scale)


def test_what_is_measured():
    assert "pixel_transposed" not in fitting(3)
    assert set(fitting(2)) == set(super_resolution.EVERY_SCALE) <= set(fitting(3))


def test_icnr_starts_flat():
    assert start(True, 0) < 1e-3 < 1 < start(False, 0)


def test_the_page_is_what_the_record_gives():
    record = json.loads((ROOT / super_resolution.RECORD).read_text())
    page = (ROOT / super_resolution.PAGE).read_text()
    assert inserted(page, super_resolution.parts(record)) == page
    for scale, published in super_resolution.PUBLISHED["Set5"].items():
        assert abs(record["bicubic"]["Set5"][scale] - published) <= 0.01
    at3 = record["scales"]["3"]
    assert set(at3) == {*fitting(3), "bicubic first", "bicubic alone"}
