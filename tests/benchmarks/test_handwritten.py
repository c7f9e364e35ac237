import pytest
import torch

from benchmarks.facts import build, extras
from benchmarks.handwritten import REFERENCES, RIVALS, rivals
from upzoo.upsampling import OPERATORS, reassembly

PAIRS = [(name, rival) for name, group in RIVALS.items() for rival in group]


def test_rivals_are_of_operators():
    assert RIVALS.keys() <= OPERATORS.keys()
    assert rivals("mine", None, None) == {}
    assert all(rival in RIVALS[name] for name, rival in REFERENCES.items())


@pytest.mark.parametrize("channels", [(8, 8), (8, 4)])
@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize(("name", "rival"), PAIRS)
def test_rivals_compute_the_same(name, rival, scale, channels):
    operator = build(name, *channels, scale)
    for parameter in operator.parameters():  # CARAFE's start is all but uniform
        torch.nn.init.normal_(parameter, std=0.3)
    x = torch.randn(2, channels[0], 7, 6)
    given = extras(operator, x)
    expected = operator(x, **given)
    found = RIVALS[name][rival](operator, x, given)
    assert found.shape == expected.shape
    inner = (..., slice(scale, -scale), slice(scale, -scale))  # FCN's layers darken the border
    where = inner if name == "bilinear_init" else ...
    torch.testing.assert_close(found[where], expected[where], rtol=1e-4, atol=1e-4)


def test_the_readable_reassembly_is_for_one_call_only(monkeypatch):
    chosen = []
    monkeypatch.setattr(reassembly, "unfolding_is_faster", lambda *_: chosen.append(1) or False)
    operator, x = build("carafe", 2, 2, 2), torch.randn(1, 2, 3, 3)
    RIVALS["carafe"]["reference"](operator, x, {})
    assert not chosen
    operator(x)
    assert chosen


@pytest.mark.parametrize("name", ["smooth_transposed", "fir_transposed"])
def test_no_two_dimensional_filter_at_scale_32(name):
    x = torch.zeros(1, 1, 4, 4)
    assert rivals(name, build(name, 1, 1, 8), x)
    assert not rivals(name, build(name, 1, 1, 32), x)


@pytest.mark.parametrize(("name", "channels"), [("carafe", 16), ("fade", 16), ("sapa", 64)])
def test_no_unfolded_copy_of_gigabytes(name, channels):
    operator = build(name, 16, 16, 2)
    side = int((2**26 / (channels * 100)) ** 0.5)  # 16 or 64 channels, 10² copies
    assert rivals(name, operator, torch.empty(1, 16, side, side, device="meta"))
    assert not rivals(name, operator, torch.empty(1, 16, side + 9, side, device="meta"))
