"""Operators in others' nets: exact where that exists, measured where not, and kept."""

import copy
import json

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import upzoo
from upzoo.swapping import swap
from upzoo.unet import UNet
from upzoo.upsampling import OPERATORS, DySample


class Pyramid(nn.Module):
    """Feature maps that are enlarged and added, by one line that runs several times."""

    def __init__(self):
        super().__init__()
        self.down = nn.ModuleList([nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 2, 1)])
        self.smooth = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        maps = []
        y = x
        for conv in self.down:
            y = conv(y)
            maps.append(y)
        top = maps.pop()
        while maps:
            below = maps.pop()
            top = F.interpolate(top, size=below.shape[-2:], mode="nearest") + below
        y = self.head(self.smooth(top))
        return F.interpolate(y, size=x.shape[-2:], mode="bilinear", align_corners=False)


class SubPixel(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Conv2d(3, 16, 3, padding=1)
        self.body = nn.Conv2d(4, 8, 3, padding=1, groups=2)

    def forward(self, x):
        return F.pixel_shuffle(torch.relu(self.body(F.pixel_shuffle(self.head(x), 2))), 2)


class Tied(nn.Module):
    def __init__(self, widths=(4, 4)):
        super().__init__()
        self.up = nn.Upsample(scale_factor=2, mode="bilinear")
        self.first, self.second = nn.Conv2d(3, widths[0], 1), nn.Conv2d(*widths, 1)

    def forward(self, x):
        return self.up(self.second(self.up(self.first(x))))


class Area(nn.Module):
    def forward(self, x):
        return F.interpolate(x, scale_factor=2, mode="area")


def deconv(k, p, op, **more):
    layer = nn.ConvTranspose2d(4, 6, k, 2, p, op, **more)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), layer, nn.ReLU())


EXACT = {
    "pyramid to resize_conv": (Pyramid, "resize_conv", 2),
    "pyramid to interpolate": (Pyramid, "interpolate", 2),
    "pyramid to pixel_shuffle": (lambda: nn.Sequential(Pyramid()), "pixel_shuffle", 2),
    "shuffles to transposed_conv": (SubPixel, "transposed_conv", 2),
    "shuffles to pixel_shuffle": (SubPixel, "pixel_shuffle", 2),
    "kernel 4 to pixel_shuffle": (lambda: deconv(4, 1, 0), "pixel_shuffle", 1),
    "kernel 3, a zero tap": (lambda: deconv(3, 1, 1), "transposed_conv", 1),
    "kernel 3, one pixel less": (lambda: deconv(3, 1, 0), "transposed_conv", 1),
    "groups": (lambda: deconv(4, 1, 0, groups=2), "transposed_conv", 1),
    "no bias, dilation": (lambda: deconv(3, 2, 1, dilation=2, bias=False), "transposed_conv", 1),
    "tied to dysample": (Tied, "dysample", 1),
    "nearest-exact to resize_conv": (
        lambda: nn.Upsample(None, 3, "nearest-exact"),
        "resize_conv",
        1,
    ),
    "area to pixel_shuffle": (Area, "pixel_shuffle", 1),
}


@pytest.mark.parametrize("case", EXACT)
def test_an_exact_start_gives_the_same_output(case):
    build, operator, count = EXACT[case]
    torch.manual_seed(0)
    net = build().eval()
    x = torch.rand(2, 3, 16, 16)
    new, swapped = swap(net, operator, example=x)
    exact = [s for s in swapped.replaced if s.start == "exact"]
    if case == "pyramid to pixel_shuffle":  # bilinear repeats the border, a convolution does not
        assert [s.start for s in swapped.replaced] == ["exact", "fitted"]
        return
    assert len(exact) == len(swapped.replaced) == count, str(swapped)
    torch.testing.assert_close(new(x), net(x), rtol=1e-5, atol=1e-6)
    if case == "pyramid to interpolate":
        assert torch.equal(new(x), net(x))
    other = torch.rand(1, 3, 24, 20)  # another size and batch
    torch.testing.assert_close(new(other), net(other), rtol=1e-5, atol=1e-6)


def test_interpolation_with_a_dirac_convolution_is_equal_to_the_bit():
    torch.manual_seed(0)
    net, x = Pyramid().eval(), torch.rand(1, 3, 32, 32)
    new, _ = swap(net, "resize_conv", example=x)
    assert torch.equal(new(x), net(x))


def test_every_new_weight_learns_and_all_can_be_kept(tmp_path):
    torch.manual_seed(0)
    net, x = Pyramid(), torch.rand(1, 3, 32, 32)
    new, swapped = swap(net, "dysample", example=x)
    assert new.training, "modes are kept"
    new(x).square().mean().backward()
    missing = [n for n, p in new.named_parameters() if p.grad is None or not p.grad.any()]
    assert not missing
    torch.save(new.state_dict(), tmp_path / "new.pth")
    recipe = json.loads(json.dumps(swapped.recipe))
    again, _ = upzoo.swap(Pyramid(), recipe=recipe)
    again.load_state_dict(torch.load(tmp_path / "new.pth"))
    assert torch.equal(again(x), new(x))
    twin = copy.deepcopy(new)
    before = new(x)
    with torch.no_grad():
        for parameter in new.parameters():
            parameter.zero_()
    assert torch.equal(twin(x), before), "a copy stands for itself"


def test_a_fit_says_how_far_it_is():
    torch.manual_seed(0)
    net, x = deconv(4, 1, 0).eval(), torch.rand(1, 3, 16, 16)
    new, swapped = swap(net, "resize_conv", example=x)
    (one,) = swapped.replaced
    assert one.start == "fitted"
    with torch.no_grad():
        features = net[0](x)
        error = (new[1](features) - net[1](features)).norm() / net[1](features).norm()
    assert one.error == pytest.approx(error.item(), rel=1e-4)
    # the normal equations give the same: 3·3·4 weights and a bias for each channel
    up = F.interpolate(features, scale_factor=2, mode="nearest")
    columns = F.unfold(up, 3, padding=1)[0].T
    design = torch.cat((columns, torch.ones(len(columns), 1)), 1).double()
    target = net[1](features)[0].flatten(1).T.double()
    best = torch.linalg.lstsq(design, target).solution
    least = (design @ best - target).norm() / target.norm()
    assert one.error == pytest.approx(least.item(), rel=0.02)


def test_where_and_what_is_left():
    torch.manual_seed(0)
    net, x = nn.Sequential(deconv(4, 1, 0), deconv(4, 1, 0)), torch.rand(1, 3, 8, 8)
    net[1][0] = nn.Conv2d(6, 4, 1)
    _, swapped = swap(net, "resize_conv", where="1.*", example=x)
    assert [s.name for s in swapped.replaced] == ["1.1"]
    assert swapped.left == {"0.1": "where='1.*' does not name it"}
    with pytest.raises(ValueError, match="one call serves inputs of 4 and 5 channels"):
        swap(Tied((4, 5)), "dysample", example=x)
    with pytest.raises(ValueError, match="operator='dysampel': did you mean 'dysample'"):
        swap(net, "dysampel", example=x)
    with pytest.raises(ValueError, match="where=Tensor: give a pattern of names"):
        swap(nn.Conv2d(1, 1, 1), "resize_conv", torch.rand(1, 1, 8, 8))
    with pytest.raises(ValueError, match=r"^Conv1d: no layer of pictures .* tells what input"):
        swap(nn.Conv1d(1, 1, 1), "resize_conv")
    with pytest.raises(ValueError, match="needs a guide"):
        swap(net, "sapa", example=x)
    with pytest.raises(ValueError, match="its padding is not that of ×2"):
        swap(deconv(3, 0, 0), "transposed_conv", example=x)


class Reused(nn.Module):
    """The convolution's output goes into the shuffle, and on."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x):
        y = self.conv(x)
        return F.pixel_shuffle(y, 2).mean((2, 3)), F.pixel_shuffle(y, 2) + y.mean()


def test_a_table_of_positions_is_no_map():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.places, self.conv = nn.Parameter(torch.randn(1, 16, 4)), nn.Conv2d(3, 4, 2, 2)

        def forward(self, x):
            table = self.places.reshape(1, 4, 4, 4).permute(0, 3, 1, 2)
            places = nn.functional.interpolate(table, scale_factor=2, mode="bicubic")
            return nn.functional.interpolate(self.conv(x) + places, scale_factor=2)

    new, swapped = swap(Net(), "dysample", example=torch.rand(1, 3, 16, 16))
    assert [one.site for one in swapped.replaced] == [1]
    (left,) = swapped.left.items()
    assert left[0] == "net.interpolate() #1"
    assert "a table of the net's own" in left[1]
    assert new(torch.rand(1, 3, 16, 16)).shape == (1, 4, 16, 16)


def test_a_convolution_that_others_use_stays():
    torch.manual_seed(0)
    net, x = Reused().eval(), torch.rand(1, 3, 8, 8)
    new, swapped = swap(net, "transposed_conv", example=x)
    assert [s.conv for s in swapped.replaced] == [None, None]
    for a, b in zip(new(x), net(x), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["torchvision", "smp"])
def test_nets_of_libraries(source):
    torch.manual_seed(0)
    if source == "torchvision":
        segmentation = pytest.importorskip("torchvision.models.segmentation")
        net = segmentation.fcn_resnet50(weights=None, weights_backbone=None, num_classes=3)
        operator = "interpolate"
    else:
        smp = pytest.importorskip("segmentation_models_pytorch")
        net = smp.Unet("resnet18", encoder_weights=None, classes=3)
        operator = "resize_conv"
    net, x = net.eval(), torch.rand(1, 3, 64, 64)
    new, swapped = swap(net, operator, example=x)
    assert swapped.replaced
    assert {s.start for s in swapped.replaced} == {"exact"}
    before, after = net(x), new(x)
    out = (before["out"], after["out"]) if isinstance(before, dict) else (before, after)
    assert torch.equal(*out)
    again, _ = swap(net, recipe=swapped.recipe)
    again.load_state_dict(new.state_dict())
    out[1].square().mean().backward()
    placed = [m for m in new.modules() if type(m).__name__ == "Placed"]
    assert all(p.grad is not None for m in placed for p in m.parameters())


def test_options_come_with_a_class():
    import functools

    net, x = Tied(), torch.rand(1, 3, 8, 8)
    new, swapped = swap(net, functools.partial(DySample, style="pl"), example=x)
    assert swapped.replaced[0].options == {"style": "pl"}
    assert swapped.replaced[0].start == "exact"
    torch.testing.assert_close(new(x), net(x))


def test_an_operator_of_ours_gives_its_place_to_another():
    """A net of ours hands its operators sizes and skips by name; the new ones take them, too."""
    torch.manual_seed(0)
    x = torch.rand(2, 3, 50, 38)  # cut to the skips
    for name in ("interpolate", "transposed_conv"):
        net = UNet(OPERATORS[name], 3, width=4).eval()
        before = net(x)
        new, swapped = swap(net, "pixel_shuffle", example=x)
        assert {one.old for one in swapped.replaced} == {name}
        assert len(swapped.replaced) == len(net.upsamples)
        assert not any(type(m) is type(net.upsamples[0]) for m in new.modules())
        assert new(x).shape == before.shape
        again, _ = swap(net, recipe=json.loads(json.dumps(swapped.recipe)))
        again.load_state_dict(new.state_dict())
        assert torch.equal(again.eval()(x), new.eval()(x))


@pytest.mark.parametrize(
    ("old", "operator", "options"),
    [
        ("transposed_conv", "pixel_shuffle", {}),
        ("pixel_shuffle", "transposed_conv", {}),
        ("interpolate", "resize_conv", {"mode": "nearest"}),
        ("interpolate", "dysample", {"mode": "bilinear"}),
    ],
)
def test_between_operators_of_ours_there_are_exact_starts(old, operator, options):
    torch.manual_seed(0)
    x = torch.rand(2, 8, 9, 7)
    net = nn.Sequential(OPERATORS[old](8, 8, 2, **options))
    new, swapped = swap(net, operator, example=x)
    assert swapped.replaced[0].start == "exact"
    torch.testing.assert_close(new(x), net(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("operator", ["resize_conv", "carafe", "pixel_shuffle"])
def test_in_half_precision_a_start_is_as_close_as_in_float32(dtype, operator):
    torch.manual_seed(0)
    net = nn.ConvTranspose2d(4, 4, 3, 2, 1, 1)
    x = torch.rand(1, 4, 24, 24)
    (whole,) = swap(net, operator, example=x)[1].replaced
    (half,) = swap(copy.deepcopy(net).to(dtype), operator, example=x.to(dtype))[1].replaced
    assert half.start == whole.start
    assert half.error == pytest.approx(whole.error, rel=0.05, abs=torch.finfo(dtype).eps)


def test_what_autocast_runs_keeps_its_weights_in_float32():
    class Cast(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.ConvTranspose2d(3, 3, 4, 2, 1)

        def forward(self, x):
            with torch.autocast("cpu", torch.bfloat16):
                return self.up(x.bfloat16())

    net, x = Cast(), torch.rand(1, 3, 16, 16)
    new, swapped = swap(net, "transposed_conv", example=x)
    assert [s.start for s in swapped.replaced] == ["exact"]
    assert {p.dtype for p in new.parameters()} == {torch.float32}
    torch.testing.assert_close(new(x), net(x), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.uint8])
def test_numbers_that_no_operator_takes_are_left_with_the_reason(dtype):
    class Other(nn.Module):
        def forward(self, x):
            if dtype.is_complex:
                return F.conv_transpose2d(x, torch.ones(1, 1, 4, 4, dtype=dtype), stride=2)
            return F.interpolate(x, scale_factor=2)

    x = torch.ones(1, 1, 8, 8, dtype=dtype)
    kind = str(dtype).removeprefix("torch.")
    with pytest.raises(ValueError, match=f"it enlarges {kind} numbers; operators take floats"):
        swap(Other(), "resize_conv", example=x)


def test_a_net_that_holds_no_values_is_refused_alike_everywhere():
    with torch.device("meta"):
        empty = nn.ConvTranspose2d(3, 3, 4, 2, 1)
    x = torch.rand(1, 3, 8, 8)
    for change in (
        lambda net: swap(net, "resize_conv", example=x),
        lambda net: upzoo.correct(net, example=x),
        lambda net: upzoo.distil(net, net, x, steps=1),
        lambda net: upzoo.audit(net, x),
    ):
        with pytest.raises(ValueError, match="weight is on the meta device and holds no values"):
            change(empty)
        with pytest.raises(ValueError, match=r"net is int: give a torch\.nn\.Module"):
            change(3)
        with pytest.raises(ValueError, match="weight is not initialised: run LazyConv2d once"):
            change(nn.LazyConv2d(3, 1))


def test_enlarging_by_reshaping_cannot_be_swapped_nor_levelled():
    class Repeated(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 12, 3, padding=1)

        def forward(self, x):
            y = self.conv(x).view(len(x), 3, 2, 2, *x.shape[2:])
            return y.permute(0, 1, 4, 2, 5, 3).reshape(len(x), 3, *(2 * n for n in x.shape[2:]))

    net, x = Repeated(), torch.rand(1, 3, 32, 32)
    with pytest.raises(ValueError, match="or pixel shuffle that enlarges has run"):
        swap(net, "resize_conv", example=x)
    (change,) = upzoo.correct(net, example=x)[1]
    assert change.skipped.endswith("levelled: write it otherwise, or train past it")
