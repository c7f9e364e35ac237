import pytest
import torch
import torch.nn.functional as F

from benchmarks.memory import peak_bytes
from upzoo.upsampling import sampling
from upzoo.upsampling.dysample import DySample


def plain(operator, x):
    """The paper's formulation: a grid at the input's size, moved, normalised and shuffled."""
    x = operator.project(x)
    (B, _, H, W), s, groups = x.shape, operator.scale, operator.groups
    seen = F.pixel_shuffle(x, s) if operator.style == "pl" else x
    offset = operator.offset(seen)
    offset = offset * (operator.scope(seen).sigmoid() / 2 if operator.dyscope else 0.25)
    if operator.style == "pl":
        offset = F.pixel_unshuffle(offset, s)
    phase = (torch.arange(s, dtype=x.dtype) - (s - 1) / 2) / s
    start = torch.stack((phase.expand(s, s), phase[:, None].expand(s, s)))  # x, then y
    offset = offset.view(B, 2, groups, s, s, H, W) + start.view(1, 2, 1, s, s, 1, 1)
    centres = torch.stack(
        torch.meshgrid(torch.arange(W) + 0.5, torch.arange(H) + 0.5, indexing="xy")
    )
    position = offset + centres.to(x.dtype).view(1, 2, 1, 1, 1, H, W)
    grid = 2 * position / torch.tensor([W, H], dtype=x.dtype).view(1, 2, 1, 1, 1, 1, 1) - 1
    grid = F.pixel_shuffle(grid.reshape(B, 2 * groups * s * s, H, W), s)
    grid = grid.view(B, 2, groups, s * H, s * W).permute(0, 2, 3, 4, 1).flatten(0, 1)
    y = F.grid_sample(
        x.reshape(B * groups, -1, H, W), grid, padding_mode="border", align_corners=False
    )
    return y.view(B, -1, s * H, s * W)


def stirred(*args, **options):
    """An operator with offsets of about a pixel: at its start they are all but zero."""
    operator = DySample(*args, **options).double()
    for parameter in [
        *operator.offset.parameters(),
        *getattr(operator, "scope", operator.offset).parameters(),
    ]:
        torch.nn.init.normal_(parameter)
    return operator


@pytest.mark.parametrize("dyscope", [False, True])
@pytest.mark.parametrize(
    ("channels", "scale", "style"),
    [
        ((8, 8), 2, "lp"),
        ((3, 12), 3, "lp"),
        ((5, 5), 2, "lp"),
        ((8, 8), 2, "pl"),
        ((2, 36), 3, "pl"),
    ],
)
def test_against_the_plain_form(channels, scale, style, dyscope):
    operator = stirred(*channels, scale, style=style, dyscope=dyscope)
    x = torch.randn(2, channels[0], 3, 5, dtype=torch.float64, requires_grad=True)
    found, expected = operator(x), plain(operator, x)
    torch.testing.assert_close(found, expected)
    inputs = [x, *operator.parameters()]
    torch.testing.assert_close(
        torch.autograd.grad(found.square().sum(), inputs),
        torch.autograd.grad(expected.square().sum(), inputs),
    )


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_no_offset_is_bilinear_enlargement(scale):
    operator = DySample(4, 4, scale)
    torch.nn.init.zeros_(operator.offset.weight)
    x = torch.randn(2, 4, 3, 5)
    expected = F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
    torch.testing.assert_close(operator(x), expected)


def test_an_offset_moves_by_that_many_pixels_of_the_input():
    operator = DySample(1, 1, 1)
    torch.nn.init.zeros_(operator.offset.weight)
    with torch.no_grad():
        operator.offset.bias.copy_(torch.tensor([4.0, -2.0]))  # times ¼: 1 right, ½ up
    x = torch.arange(12.0).view(1, 1, 3, 4)
    expected = torch.tensor([[1.0, 2, 3, 3], [3, 4, 5, 5], [7, 8, 9, 9]])  # the border repeats
    torch.testing.assert_close(operator(x)[0, 0], expected)


def test_groups_move_apart():
    operator = DySample(4, 4, 1, groups=2)
    torch.nn.init.zeros_(operator.offset.weight)
    with torch.no_grad():
        operator.offset.bias.copy_(torch.tensor([4.0, 0, 0, 0]))  # x of the first group
    x = torch.arange(3.0).expand(1, 4, 1, 3)
    expected = torch.tensor([[1.0, 2, 2]] * 2 + [[0.0, 1, 2]] * 2)
    torch.testing.assert_close(operator(x)[0, :, 0], expected)


def test_gradients():
    operator = stirred(4, 4, groups=2, dyscope=True)
    names, values = zip(*operator.named_parameters(), strict=True)
    x = torch.randn(1, 4, 3, 2, dtype=torch.float64, requires_grad=True)

    def enlarge(x, *weights):
        return torch.func.functional_call(operator, dict(zip(names, weights, strict=True)), (x,))

    assert torch.autograd.gradcheck(enlarge, (x, *values))


def test_bfloat16_positions_stay_exact():
    operator = DySample(1, 1, 2).bfloat16()
    torch.nn.init.zeros_(operator.offset.weight)
    x = (torch.arange(600) % 2).view(1, 1, 1, 600)
    expected = F.interpolate(x.float(), scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(operator(x.bfloat16()).float(), expected, rtol=0, atol=0.01)


@pytest.mark.parametrize(("channels", "groups"), [(64, 4), (12, 4), (21, 3), (10, 2), (7, 1)])
def test_groups_by_default(channels, groups):
    assert DySample(channels, channels).groups == groups


@pytest.mark.parametrize(
    ("channels", "options", "message"),
    [
        (6, {"groups": 4}, "groups=4 does not divide 6 output channels"),
        (6, {"groups": 0}, "groups=0 must be an integer of at least 1"),
        (6, {"style": "pl"}, "style='pl' at scale 2 shuffles 4 channels into pixels"),
        (6, {"style": "xy"}, "style='xy' is not one of"),
    ],
)
def test_refusals(channels, options, message):
    with pytest.raises(ValueError, match=f"^DySample: {message}.*$"):
        DySample(channels, channels, **options)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("shape", "scale"), [((1, 8, 9, 5), 2), ((3, 4, 7, 6), 3), ((40, 4, 2, 3), 2)]
)
def test_bands_make_the_whole(shape, scale, dtype):
    groups = 2
    x = torch.randn(shape).to(dtype, memory_format=torch.channels_last).requires_grad_()
    size = (shape[0], 2 * groups, scale * shape[2], scale * shape[3])
    offset = torch.randn(size, dtype=dtype, requires_grad=True)
    found = sampling.sample_in_bands(x, offset, scale)
    expected = sampling.sample_reference(x, offset, scale)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert found.dtype == dtype
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    weight = torch.randn_like(expected)
    pairs = zip(
        torch.autograd.grad(found, (x, offset), weight),
        torch.autograd.grad(expected, (x, offset), weight),
        strict=True,
    )
    for one, other in pairs:
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(2, 34, 9, 5), (1, 64, 1, 3), (3, 32, 4, 4)])
def test_without_gradients_many_channels_are_reordered_in_blocks(shape, dtype):
    x = torch.randn(shape).to(dtype, memory_format=torch.channels_last)
    offset = torch.randn(shape[0], 4, 2 * shape[2], 2 * shape[3], dtype=dtype)
    with torch.no_grad():
        assert sampling.blocks_pay(x)
        assert not sampling.blocks_pay(x[:, :16])
        found = sampling.sample(x, offset, 2)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert found.dtype == dtype
    assert torch.equal(found, sampling.sample_reference(x, offset, 2))
    assert not sampling.blocks_pay(x)


def test_bands_cover_every_row_once():
    for shape, dtype in [((1, 4, 9, 5), torch.float32), ((40, 4, 2, 3), torch.bfloat16)]:
        seen = torch.zeros(shape[0], 2 * shape[2])
        for images, bands in sampling.parts(torch.empty(shape, dtype=dtype), scale=2):
            for rows in bands:
                seen[images, rows] += 1
        assert (seen == 1).all()


def test_large_channels_last_maps_go_in_bands():
    large = torch.empty(1, 24, 128, 128).contiguous(memory_format=torch.channels_last)
    assert sampling.takes_bands(large, 2)
    assert not sampling.takes_bands(large, 1)
    with torch.no_grad():
        assert not sampling.takes_bands(large, 2)  # of fewer than 32 channels
    assert not sampling.takes_bands(large.contiguous(), 2)
    assert not sampling.takes_bands(large.to("meta"), 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_more_memory_than_the_plain_form(dtype):
    operator = DySample(64, 64).to(dtype=dtype, memory_format=torch.channels_last)
    x = torch.randn(8, 64, 32, 32, dtype=dtype).contiguous(memory_format=torch.channels_last)
    x.requires_grad_()

    def step(side):
        return lambda: side(x).sum().backward()

    sides = step(operator), step(lambda x: plain(operator, x))
    for side in sides:
        side()
    ours, theirs = (peak_bytes(side) for side in sides)
    assert ours < theirs


def test_official_values_survive_the_bands(monkeypatch):
    monkeypatch.setattr(sampling, "takes_bands", lambda *_: True)
    operator = stirred(8, 8).float()
    x = torch.randn(2, 8, 6, 5).contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(operator(x), plain(operator, x), rtol=1e-6, atol=3e-6)
