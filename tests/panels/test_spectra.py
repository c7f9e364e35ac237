import pytest
import torch

from panels.spectra import (
    FOOT,
    GAP,
    HEAD,
    LEFT,
    SIDE,
    overlap_panel,
    phase_panel,
    spectrum_panel,
    step_panel,
)


def picture(panel, place):
    left = LEFT + place * (SIDE + GAP)
    return panel[:, HEAD : HEAD + SIDE, left : left + SIDE].float()


def brightest(tile):
    """Centre of the brightest pixels inside a tile, in shares of its side."""
    light = tile.sum(0)[20:-20, 20:-20]
    places = (light >= light.max() - 1).nonzero().float().mean(0)
    return tuple(((20 + places) / SIDE).tolist())


@pytest.mark.parametrize("size", [32, 33])
def test_the_constant_part_is_in_the_middle_and_both_share_a_scale(size):
    low = torch.full((size, size), 1e-3)
    high = low.clone()
    high[0, 0] = 1.0
    panel = spectrum_panel({"low": low, "high": high}, periods=(2,))
    assert panel.dtype == torch.uint8
    assert panel.shape == (3, HEAD + SIDE + FOOT, LEFT + 2 * (SIDE + GAP))
    # the axes run a little beyond ±½
    assert brightest(picture(panel, 1)) == pytest.approx((0.5, 0.5), abs=0.01)
    quarter = [picture(panel, place)[:, 70, 70] for place in (0, 1)]
    assert torch.equal(*quarter)


def test_a_peak_lies_inside_the_ring_of_its_frequency():
    power = torch.full((64, 64), 1e-3)
    power[16, 0] = 1.0  # f = (¼, 0), and −f
    power[48, 0] = 1.0
    plain, ringed = (spectrum_panel({"x": power}, periods=p) for p in ((2,), (2, 4)))
    drawn = (picture(plain, 0) - picture(ringed, 0)).abs().sum(0) > 100
    # rings of period 4: a white peak remains in the middle of one of them
    top, left = SIDE // 4 - 20, SIDE // 2 - 20
    places = drawn[top : top + 40, left : left + 40].nonzero().float().mean(0)
    share = (places + torch.tensor([top, left])) / SIDE
    # f is ¼ on an axis from −0.53 to 0.53
    assert share.tolist() == pytest.approx([(0.53 - 0.25) / 1.06, 0.5], abs=0.015)


def test_a_grid_of_both_signs_is_red_and_blue_and_white_at_zero():
    panel = phase_panel({"grid": torch.tensor([[1.0, -1.0], [0.0, 0.0]]) * 1e-3})
    tile = picture(panel, 0)
    red, blue, white = (tile[:, y, x] for y, x in ((20, 20), (20, 280), (280, 280)))
    assert red[0] > red[2] + 50
    assert blue[2] > blue[0] + 50
    assert (white > 240).all()


def test_an_even_overlap_is_one_colour_and_an_uneven_one_is_not():
    panel = overlap_panel({"even": torch.full((2, 2), 4), "uneven": torch.tensor([[4, 2], [2, 1]])})
    colours = [
        {tuple(picture(panel, place)[:, y, x].tolist()) for y in (20, 280) for x in (20, 280)}
        for place in (0, 1)
    ]
    assert [len(found) for found in colours] == [1, 3]


def test_a_map_of_many_phases_and_a_constant_one():
    maps = {"many": torch.rand(32, 32), "same": torch.ones(3, 3), "none": torch.zeros(2, 2)}
    panel = phase_panel(maps)
    assert panel.shape[2] == LEFT + 3 * (SIDE + GAP)


def test_a_step_rises_where_the_values_do():
    low, high = (
        step_panel({"c": torch.tensor([[0.0] * 9 + [top] * 9, [0.0] * 9 + [0.0] * 9])})
        for top in (1.0, 2.0)
    )
    assert low.shape == high.shape
    assert not torch.equal(low, high)
    alone = step_panel({"c": torch.tensor([0.0] * 9 + [1.0] * 9)}, start=100)
    assert alone.dtype == torch.uint8


@pytest.mark.parametrize("panel", [spectrum_panel, phase_panel, overlap_panel, step_panel])
def test_bad_input_is_refused(panel):
    with pytest.raises(ValueError, match=r"^nothing to draw: name one "):
        panel({})
    with pytest.raises(ValueError, match=r"^'x' is \(2, 3, 4\), expected "):
        panel({"x": torch.ones(2, 3, 4)})
    with pytest.raises(ValueError, match=r"^'x' is \(0, 4\), expected "):
        panel({"x": torch.ones(0, 4)})
