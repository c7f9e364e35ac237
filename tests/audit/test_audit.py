"""Audits of nets whose checkerboards are known."""

import copy
import gc
import json
import warnings
import weakref
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import upzoo.audit
from upzoo.audit import audit, pictures
from upzoo.audit.boundless import boundless, even_max_pool, repeat_beyond
from upzoo.audit.examples import candidates
from upzoo.audit.layers import Watch
from upzoo.audit.levelling import even_unpool
from upzoo.fcn import FCN
from upzoo.metrics.checkerboard import dc_ripple
from upzoo.upsampling import OPERATORS
from upzoo.upsampling.equalise import equalise_net


def trained(net):
    """The net with channels of all sizes, as training leaves them."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim > 1:
                for axis in (0, 1):
                    sizes = torch.rand(parameter.shape[axis], generator=generator) * 3 + 0.2
                    shape = [1] * parameter.ndim
                    shape[axis] = -1
                    parameter.mul_(sizes.view(shape))
    return net


def dcgan(kernel=4, padding=1, output_padding=0):
    """The generator of PyTorch's example, narrow."""

    def block(i, o):
        up = nn.ConvTranspose2d(i, o, kernel, 2, padding, output_padding, bias=False)
        return [up, nn.BatchNorm2d(o), nn.ReLU(True)]

    first = [nn.ConvTranspose2d(20, 16, 4, 1, 0, bias=False), nn.BatchNorm2d(16), nn.ReLU(True)]
    last = nn.ConvTranspose2d(4, 3, kernel, 2, padding, output_padding, bias=False)
    return nn.Sequential(*first, *block(16, 8), *block(8, 4), last, nn.Tanh())


class Unet(nn.Module):
    """Two levels with a skip; enlarges by a bare function."""

    def __init__(self, mode="bilinear"):
        super().__init__()
        self.mode = mode
        self.down = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.deep = nn.Conv2d(8, 8, 4, stride=2, padding=1)
        self.norm = nn.InstanceNorm2d(8, affine=True)
        self.up = nn.ConvTranspose2d(8, 8, 3, 2, 1, 1)
        self.join = nn.Conv2d(16, 4, 3, padding=1)

    def forward(self, x):
        fine = self.down(x).relu()
        deep = self.norm(self.deep(fine)).relu()
        joined = self.join(torch.cat([fine, self.up(deep)], 1)).relu()
        options = {} if self.mode == "nearest" else {"align_corners": False}
        y = F.interpolate(joined, scale_factor=2.0, mode=self.mode, **options)
        return {"out": y, "aux": deep}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_layers_in_order_of_execution():
    report = audit(trained(Unet()), torch.randn(2, 3, 64, 64))
    found = [(layer.name, layer.kind, layer.geometry(), layer.up) for layer in report.layers]
    assert found == [
        ("down", "convolution", "3×3 s2", False),
        ("deep", "convolution", "4×4 s2", False),
        ("up", "transposed convolution", "3×3 s2", True),
        ("interpolate()", "bilinear interpolation", "×2", True),
    ]
    down, deep, up, resize = report.layers
    assert down.overlap == [[2, 1], [2, 1]]
    assert (down.unevenness, deep.unevenness, up.unevenness) == (4, 1, 4)
    assert (up.period, resize.period, down.period, deep.period) == (4, 2, 2, 4)
    assert resize.inside < 1e-6
    assert (report.output, report.output_size) == ("out", [2, 4, 64, 64])


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_the_main_contributor_is_named(mode):
    net = trained(Unet(mode))
    report = upzoo.audit(net, torch.randn(2, 3, 64, 64))
    assert (report.verdict, report.ok, report.severity) == ("checkerboard", False, "strong")
    assert report.fed == "the input"
    assert [finding.period for finding in report.findings] == [4]
    assert (report.cause, report.causes[0].share) == ("up", 1)
    assert report.layer("up").ripple == dc_ripple(net.up.weight.detach(), 2)
    assert report.finding().startswith("strong checkerboard at period 4: ")
    assert report.passes == 4


def test_figures_of_a_layer_agree_with_its_mean_input():
    net = trained(Unet("nearest"))
    nn.init.zeros_(net.up.bias)
    seen = {}
    net.up.register_forward_hook(lambda m, args, y: seen.update(mean=args[0].mean((0, 2, 3))))
    report = audit(net, torch.randn(2, 3, 64, 64))
    assert len(net.up._forward_hooks) == 1
    net(torch.randn(1, 3, 64, 64))
    assert report.layer("up").weighted == pytest.approx(report.layer("up").inside, rel=0.05)


@pytest.mark.parametrize("operator", ["resize_conv", "pixel_shuffle", "bilinear_init", "carafe"])
def test_flat_operators_are_cleared(operator):
    net = FCN(partial(OPERATORS[operator]), 3, width=2)
    for score in net.scores:
        nn.init.normal_(score.weight)
    report = audit(net, 1 + torch.randn(1, 3, 64, 64))
    assert report.ok
    assert report.causes == []
    assert max(report.contrast.values()) < 1e-4
    names = [layer.name for layer in report.layers if layer.up]
    assert names == ["upsamples.0", "upsamples.1", "upsamples.2"]


def test_an_injected_kernel_is_found_among_random_ones():
    net = dcgan(3, 1, 1)
    z = torch.randn(4, 20, 1, 1)
    report = audit(net, z)
    assert report.random
    assert report.verdict == "unknown"
    assert "random" in report.reason
    assert all(cause.expected for cause in report.causes)
    with torch.no_grad():  # stamps of ones: phases get 4, 2, 2, 1
        net[3].weight.fill_(0.05)
        net[3].weight[:, ::2] *= -0.5
    report = audit(net, z)
    assert report.verdict == "checkerboard"
    found = {f.period: f.causes[0].layer for f in report.findings if not f.expected}
    assert found.get(8) == "3"


def test_each_period_has_its_own_cause():
    net = nn.Sequential(
        nn.Conv2d(2, 4, 1),
        nn.ConvTranspose2d(4, 4, 3, 3, bias=False),
        nn.ConvTranspose2d(4, 1, 2, 2, bias=False),
    )
    trained(net)
    report = audit(net, 1 + torch.rand(1, 2, 32, 32))
    # a grid of period 3, twice enlarged, has the frequencies of period 3 and of period 6
    assert {f.period: f.causes[0].layer for f in report.findings} == {2: "2", 3: "1", 6: "1"}


def test_a_guess_is_as_large_as_its_output_needs():
    def size(*layers):
        return audit(trained(nn.Sequential(*layers))).input_size[0]

    assert size(nn.ConvTranspose2d(3, 3, 3, 2)) == [1, 3, 32, 32]  # no code of one pixel
    head = nn.Conv2d(3, 4, 3, padding=1)
    assert size(head) == [1, 3, 256, 256]
    assert size(head, nn.Conv2d(4, 16, 1), nn.PixelShuffle(4)) == [1, 3, 128, 128]
    assert size(head, nn.Upsample(scale_factor=32)) == [1, 3, 32, 32]  # the least
    eight = nn.Sequential(head, nn.Upsample(scale_factor=8))
    assert audit(trained(eight), input_size=96).input_size == [[1, 3, 96, 96]]


def test_a_generator_may_name_its_code_instead_of_its_layers():
    class Net(nn.Module):
        z_dim = 5

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(5, 3))

        def forward(self, z, c):
            y = (z @ self.weight)[..., None, None] + c.view(-1, 1, 1, 1)
            return nn.functional.interpolate(y.expand(-1, 3, 8, 8), scale_factor=4)

    report = audit(Net())
    assert report.input_size == [[4, 5], [4]]
    assert report.verdict == "none"


def test_times_and_classes_are_given_where_a_net_needs_them_after_all():
    class Net(nn.Module):
        def __init__(self, needed):
            super().__init__()
            self.conv, self.needed = nn.Conv2d(3, 2, 1), needed

        def forward(self, x, timestep=None, class_labels=None, mask=None):
            assert mask is None
            given = [timestep is not None, class_labels is not None]
            assert all(given) if self.needed else not any(given)
            return self.conv(x)

    assert audit(Net(needed=True)).input_size == [[1, 3, 256, 256], [1], [1]]
    assert audit(Net(needed=False)).input_size == [[1, 3, 256, 256]]


def test_a_net_that_takes_its_picture_by_name_alone_is_guessed_for():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3)

        def forward(self, *, pixel_values, labels=None):
            return self.conv(pixel_values)

    assert audit(Named()).input_size == [[1, 3, 256, 256]]


def test_a_second_argument_may_be_a_second_picture():
    class Change(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3)

        def forward(self, x, y):
            return self.conv(x) - self.conv(y)

    assert audit(Change()).input_size == [[1, 3, 256, 256], [1, 3, 256, 256]]


def test_a_guess_that_is_refused_leaves_no_statistics():
    means = []

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

        def forward(self, x):
            y = self.norm(self.conv(x).square())
            if x.shape[-1] not in (64, 128):
                raise ValueError("128, or its half")
            means.append(self.norm.running_mean.clone())
            return y

    net = Net()
    report = audit(net)
    (x,) = next(c.args for c in candidates(net) if c.args[0].shape[-1] == 128)
    assert report.input_size == [list(x.shape)]
    torch.testing.assert_close(means[-1], net.conv(x).square().mean((0, 2, 3)).detach())
    assert not net.norm.running_mean.any()


def test_a_net_that_remembers_the_size_it_met_is_guessed_for():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.state = nn.Conv2d(3, 2, 1), None

        def forward(self, x):
            y = self.conv(x)
            self.state = y if self.state is None else y + 0 * self.state
            return self.state

    report = audit(trained(Net()))
    assert (report.input_size, report.verdict) == ([[1, 3, 256, 256]], "none")


def test_a_number_that_a_net_names_is_a_size_of_each_of_its_axes():
    net = nn.Conv1d(2, 2, 3)
    net.sample_size = 40
    (x,) = next(candidates(net)).args
    assert x.shape == (1, 2, 40)


def test_a_spectrum_is_guessed_with_its_channels_last():
    class Vocoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv1d(80, 8, 7, padding=3)
            self.up = nn.ConvTranspose1d(8, 1, 16, 8, 4)

        def forward(self, spectrum):
            return self.up(self.first(spectrum.transpose(1, 2)))

    report = audit(Vocoder().eval())
    assert report.input_size == [[1, 64, 80]]
    assert report.output_size == [1, 1, 512]
    assert {f.period for f in report.findings} >= {2, 4, 8}


def test_a_net_that_writes_over_its_derivative_is_examined_all_the_same():
    class Overwrites(nn.Sequential):
        def forward(self, x):
            return super().forward(x).exp().add_(1).sin()

    report = audit(Overwrites(nn.Conv2d(1, 2, 3, 2, 1), nn.ConvTranspose2d(2, 1, 3, 2)).eval())
    assert {f.period for f in report.findings} == {2}
    assert any(note.startswith("it has no gradient: RuntimeError") for note in report.notes)


def test_a_net_without_forward_names_parts_that_have_one():
    class Codec(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.rest, self.decoder = nn.Conv2d(1, 1, 3), nn.ModuleList(), nn.ReLU()

    with pytest.raises(ValueError, match=r"^Codec has no forward\(\): .*, encoder or decoder$"):
        audit(Codec())


def test_features_of_tokens_are_no_axis_of_a_map():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide, self.narrow = nn.Linear(16, 32), nn.Linear(32, 16)
            self.up = nn.ConvTranspose2d(16, 1, 2, 2, bias=False)

        def forward(self, x):  # (1, 16, 12, 12) -> (1, 1, 144, 16) -> …
            tokens = self.narrow(self.wide(x.flatten(2).transpose(1, 2).unsqueeze(1)))
            return self.up(tokens[:, 0].transpose(1, 2).unflatten(2, x.shape[2:]))

    report = audit(trained(Net()), 1 + torch.rand(1, 16, 12, 12))
    assert [layer.name for layer in report.layers] == ["up"]
    assert [f.period for f in report.findings] == [2]
    assert report.cause == "up"


@pytest.mark.parametrize(("options", "unevenness"), [((4, 1, 0), 1), ((3, 1, 1), 4)])
def test_a_generator(options, unevenness):
    report = audit(trained(dcgan(*options)))
    assert report.input_size == [[4, 20, 1, 1]]
    assert report.fed == "3"
    assert [layer.unevenness for layer in report.layers] == [unevenness] * 3
    assert [layer.period for layer in report.layers] == [8, 4, 2]
    assert report.verdict == "checkerboard"
    assert report.cause in ("3", "6", "9")
    assert report.gradient == {}


def test_a_pixel_shuffle_is_seen_through_its_convolution():
    """As in SRGAN: its convolution is the one that ran before it, not the one beside it."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.shuffle = nn.PixelShuffle(2)  # shared by both
            self.first = nn.Conv2d(4, 16, 3, padding=1)
            self.act = nn.PReLU()
            self.second = nn.Conv2d(4, 12, 3, padding=1)

        def forward(self, x):
            x = self.act(self.shuffle(self.first(x)))
            return self.shuffle(self.second(x))

    net = trained(Net())
    report = audit(net, 1 + torch.randn(1, 4, 32, 32))
    (layer,) = report.layers
    assert (layer.name, layer.kind, layer.calls) == ("shuffle", "pixel shuffle", 2)
    gains = net.first.weight.detach().double().sum((2, 3)).view(4, 4, 4)  # (out, φ, in)
    mean = gains.mean(1, keepdim=True)
    expected = (gains - mean).square().sum((0, 2)).mean().sqrt() / mean.norm()
    assert layer.ripple == pytest.approx(expected.item())
    assert report.cause == "shuffle"


def test_switches_of_pictures_leave_no_grid():
    """On a constant all places of a window are a maximum: the example says which one it is."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(2, 4, 3, padding=1)
            self.pool = nn.MaxPool2d(2, return_indices=True)
            self.unpool = nn.MaxUnpool2d(2)
            self.head = nn.Conv2d(4, 2, 5, padding=2)

        def forward(self, x):
            y, indices = self.pool(self.stem(x))
            return self.head(self.unpool(y, indices))

    report = audit(trained(Net()), torch.rand(1, 2, 128, 128))
    assert [f for f in report.findings if f.shown_by == "a constant"] == []


def test_outputs_of_every_shape():
    @dataclass
    class Output:
        small: torch.Tensor
        large: torch.Tensor

    class Net(nn.Module):
        def __init__(self, form):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)
            self.up = nn.ConvTranspose2d(3, 3, 3, 2, 1, 1)
            self.form = form

        def forward(self, x):
            small = self.conv(x)
            return self.form(small, self.up(small))

    forms = {
        "a dict": lambda a, b: {"small": a, "large": b},
        "a tuple": lambda a, b: (a, b),
        "lists": lambda a, b: [[a], [b, a]],
        "a dataclass": Output,
        "channels last": lambda a, b: b.permute(0, 2, 3, 1),
        "no channels": lambda a, b: b[:, 0],
    }
    for name, form in forms.items():
        torch.manual_seed(0)
        report = audit(trained(Net(form)), 1 + torch.rand(1, 3, 48, 48))
        assert report.output_size[2:] == [96, 96], name
        assert [(f.period, f.causes[0].layer) for f in report.findings] == [(2, "up")], name
    clean = audit(Net(forms["a dict"]), 1 + torch.rand(1, 3, 48, 48), output="small")
    assert clean.output_size == [1, 3, 48, 48]
    assert clean.ok
    with pytest.raises(ValueError, match=r"output='large1': .* it gives small, large"):
        audit(Net(forms["a dict"]), torch.rand(1, 3, 48, 48), output="large1")


def test_what_cannot_be_told_is_said():
    scores = nn.Sequential(nn.Conv2d(3, 4, 1, stride=2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    report = audit(scores, torch.randn(1, 3, 64, 64))
    assert (report.verdict, report.ok) == ("unknown", False)
    assert "no map: (1, 4)" in report.reason
    assert report.layers[0].gradient == float("inf")
    content = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert content["layers"][0]["unevenness"] is None
    zero = FCN(partial(OPERATORS["transposed_conv"]), 3, width=2)
    assert "comes out as zero" in audit(zero, torch.randn(1, 3, 64, 64)).reason
    small = audit(nn.Conv2d(3, 3, 3, padding=1), torch.rand(1, 3, 9, 9)[..., :7, :7])
    assert "too small" in small.reason


def test_tokens_are_no_line():
    layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True)
    report = audit(trained(nn.TransformerEncoder(layer, 2)), torch.randn(1, 64, 16))
    assert report.verdict == "unknown"
    assert report.reason.startswith("the output is no map: (1, 64, 16); name one")


def test_labels_are_examined_before_the_argmax():
    class Labels(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = trained(Unet())

        def forward(self, x):
            return self.body(x)["out"].argmax(1)

    report = audit(Labels(), torch.randn(1, 3, 64, 64))
    assert report.verdict == "checkerboard"
    assert any("labels" in note for note in report.notes)


def test_a_net_without_gradients():
    class Frozen(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = trained(Unet())

        @torch.no_grad()
        def forward(self, x):
            return self.body(x)["out"]

    report = audit(Frozen(), torch.randn(1, 3, 64, 64))
    assert (report.verdict, report.cause) == ("checkerboard", "body.up")


def test_a_pixel_more_is_no_enlargement():
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ConvTranspose2d(4, 3, 2))
    report = audit(net, torch.rand(1, 3, 32, 32))
    assert report.layers == []
    assert report.ok


class Noisy(nn.Module):
    """Adds noise of its own at every pass, beside what its transposed convolution does."""

    def __init__(self, strength):
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 3, 2, 2)
        self.strength = strength

    def forward(self, x):
        y = self.up(x)
        return y + self.strength * torch.randn_like(y)


def test_two_seeds_give_the_noise_floor():
    clean = Noisy(0.05)
    with torch.no_grad():
        clean.up.weight.copy_(torch.eye(3)[:, :, None, None].expand(3, 3, 2, 2))  # nearest
    report = audit(clean, torch.rand(1, 3, 64, 64))
    assert report.findings == []
    assert report.noise[2] > 1e-4
    assert report.passes == 3
    with torch.no_grad():
        clean.up.weight[..., 0, 0] *= 1.5
    assert audit(clean, torch.rand(1, 3, 64, 64)).cause == "up"


def test_noise_that_would_hide_a_grid_is_held_level():
    net = Noisy(0.5)
    with torch.no_grad():
        net.up.weight.copy_(torch.eye(3)[:, :, None, None].expand(3, 3, 2, 2))
    report = audit(net, torch.rand(1, 3, 64, 64))
    assert report.ok, str(report)
    assert any("random draws" in note for note in report.notes)
    assert report.passes == 3
    with torch.no_grad():
        net.up.weight[..., 0, 0] *= 1.3
    report = audit(net, torch.rand(1, 3, 64, 64))
    assert [(f.period, f.causes[0].layer) for f in report.findings] == [(2, "up")]


class Placed(nn.Module):
    """A decoder of tokens with positions that differ more than the patches' own pattern."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 4, 4)
        self.place = nn.Parameter(torch.randn(1, 256, 8))
        self.up = nn.ConvTranspose2d(8, 3, 4, 4)
        self.head = nn.Conv2d(3, 3, 5, padding=2)

    def forward(self, x):
        tokens = self.embed(x).flatten(2).transpose(1, 2) + self.place
        return self.head(self.up(tokens.transpose(1, 2).unflatten(2, (16, 16))))


def test_positions_that_would_hide_a_grid_are_held_level():
    net = Placed()
    kept = net.place.detach().clone()
    nn.init.zeros_(net.up.weight)
    with torch.no_grad():
        net.up.weight += torch.randn(8, 3, 1, 1)  # nearest enlargement
    report = audit(net, torch.rand(1, 3, 64, 64))
    assert report.ok, str(report)
    assert any(note.endswith("place") for note in report.notes)
    assert torch.equal(net.place, kept)
    assert net.place.requires_grad
    with torch.no_grad():
        net.up.weight[..., 0, 0] *= 3
    report = audit(net, torch.rand(1, 3, 64, 64))
    assert report.cause == "up"
    assert {f.period for f in report.findings} <= {2, 4}


def test_switches_get_the_shares_that_the_example_gives():
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    x[:, 0, ::2, ::2] += 5  # one place of each window wins in the first channel
    pooled, indices = F.max_pool2d(x, 2, return_indices=True)
    y = F.max_unpool2d(pooled, indices, 2)
    even = even_unpool(y, {"input": pooled, "indices": indices})
    first = torch.kron(pooled[:, 0], torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    rest = torch.kron(pooled[:, 1:], torch.full((2, 2), 0.25))
    torch.testing.assert_close(even[:, 0], first)
    torch.testing.assert_close(even[:, 1:], rest)


def test_batch_norms_that_saw_no_data_are_filled_on_the_side():
    net = trained(
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ConvTranspose2d(8, 3, 3, 2))
    )
    with torch.no_grad():
        net[0].weight *= 1e-3  # whose output would be nothing beside a variance of 1
    report = audit(net, torch.rand(1, 3, 64, 64))
    assert any("1 batch norms had seen no data" in note for note in report.notes)
    assert not net[1].running_mean.any()
    assert bool((net[1].running_var == 1).all())


class Meddler(nn.Module):
    """Keeps what it sees, counts, and draws from every generator there is."""

    def __init__(self, fail=False):
        super().__init__()
        self.body = Unet()
        self.count = nn.Buffer(torch.zeros(()))
        self.seen = []
        self.fail = fail

    def forward(self, x):
        self.count += 1
        self.last = self.body(x)["out"]
        self.seen.append(self.last)
        np.random.rand()
        if self.fail:
            raise RuntimeError("as it happens")
        return self.last


@pytest.mark.parametrize("fail", [False, True])
def test_the_net_is_left_as_it_was(fail):
    net = Meddler(fail).train()
    net.body.norm.eval()
    net.body.down.weight.grad = torch.ones_like(net.body.down.weight)
    net.body.deep.weight.requires_grad_(False)
    handle = net.body.register_forward_hook(lambda *args: None)
    before = copy.deepcopy(net.state_dict())
    state, numbers = torch.random.get_rng_state(), np.random.get_state()[1].tolist()
    x = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    if fail:
        with pytest.raises(ValueError, match=r"does not run on its example .*as it happens"):
            audit(net, x)
    else:
        audit(net, x)
    assert net.training
    assert not net.body.norm.training
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    assert torch.equal(net.body.down.weight.grad, torch.ones_like(net.body.down.weight))
    assert net.body.up.weight.grad is None
    assert [p.requires_grad for p in net.parameters()].count(False) == 1
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules()]
    assert sum(hooks) == 1
    assert not hasattr(net, "last")
    assert net.seen == []
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.random.get_state()[1].tolist() == numbers
    handle.remove()


def test_an_error_of_the_net_leaves_no_hooks():
    net = Unet()
    with pytest.raises(RuntimeError), Watch(net, (32, 32), 2):
        net(torch.randn(1, 5, 32, 32))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_a_map_without_end():
    x = torch.randn(1, 2, 6, 8)
    tiled = x.repeat(1, 1, 3, 3)
    conv, up = nn.Conv2d(2, 3, 5, padding=2), nn.ConvTranspose2d(2, 3, 5, 2, 2, 1)
    middle = (..., slice(6, 12), slice(8, 16))
    y = boundless(F.conv2d, (x, conv.weight, conv.bias, 1, 2), {})
    torch.testing.assert_close(y, conv(tiled)[middle])
    args = (x, conv.weight, conv.bias, [1, 1], [2, 2], [1, 1], False, [0, 0], 1)
    torch.testing.assert_close(boundless(torch.ops.aten.convolution, args, {}), conv(tiled)[middle])
    y = boundless(F.conv_transpose2d, (x, up.weight, up.bias), {
        "stride": 2, "padding": 2, "output_padding": 1})  # fmt: skip
    torch.testing.assert_close(y, up(tiled)[..., 12:24, 16:32])
    y = boundless(F.avg_pool2d, (x, 3, 1, 1), {})
    torch.testing.assert_close(y, F.avg_pool2d(tiled, 3, 1)[..., 5:11, 7:15])
    y = boundless(F.pad, (x, (1, 0, 2, 3)), {})
    torch.testing.assert_close(y, tiled[..., 4:15, 7:16])
    assert torch.equal(repeat_beyond(x, [(0, 12), (0, 16)]), tiled)
    inserted = x.view(1, 2, 6, 1, 8, 1)
    padded = boundless(F.pad, (inserted, [0, 1, 0, 0, 0, 1]), {})
    assert torch.equal(padded, F.pad(inserted, [0, 1, 0, 0, 0, 1])), "zeros between pixels stay"


def test_ties_of_a_maximum_share_its_gradient():
    x = torch.ones(1, 1, 8, 8, requires_grad=True)
    even_max_pool(x, {"kernel_size": 2}).sum().backward()
    assert torch.equal(x.grad, torch.full_like(x, 0.25))
    x = torch.rand(1, 2, 9, 9, requires_grad=True)
    y = even_max_pool(x, {"kernel_size": 3, "stride": 2})
    torch.testing.assert_close(y, F.max_pool2d(x, 3, 2))
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(gradient, torch.autograd.grad(F.max_pool2d(x, 3, 2).sum(), x)[0])


def test_layers_that_thin_out():
    """A blur hands gradients out evenly, whatever its overlap; what skips pixels does not."""

    class Blur(nn.Module):
        def forward(self, x):
            line = torch.tensor([1.0, 2.0, 1.0]) / 4
            kernel = (line[:, None] * line).expand(x.shape[1], 1, 3, 3)
            return F.conv2d(x, kernel, stride=2, padding=1, groups=x.shape[1])

    class Slice(nn.Module):
        def forward(self, x):
            return x[..., ::2, ::2]

    class Merge(nn.Module):
        def forward(self, x):
            parts = [x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]
            return torch.cat(parts, 1)[:, ::4]

    class Half(nn.Module):
        def forward(self, x):
            return F.interpolate(x, scale_factor=0.5)

    def found(down):
        net = trained(nn.Sequential(nn.Conv2d(3, 32, 1), down, nn.Conv2d(32, 8, 1)))
        report = audit(net, torch.rand(1, 3, 32, 32))
        (layer,) = report.layers
        return layer, report

    layer, report = found(Blur())
    assert (layer.kind, layer.gradient) == ("convolution", pytest.approx(1, abs=1e-6))
    assert "gradient" not in str(report)
    layer, report = found(Slice())
    assert (layer.kind, layer.gradient, layer.period) == ("slicing", float("inf"), 2)
    assert "gradient: 1[::2] (slicing ×2) gives some pixels all" in " ".join(str(report).split())
    layer, report = found(Half())
    assert (layer.kind, layer.gradient) == ("nearest interpolation", float("inf"))
    layer, _ = found(nn.MaxPool2d(2))
    assert layer.gradient == pytest.approx(1)
    layer, report = found(nn.Conv2d(32, 32, 3, stride=2, padding=1))
    assert layer.gradient > 2
    assert report.ok, "gradients are no checkerboard of the output"
    merged = trained(nn.Sequential(nn.Conv2d(3, 32, 1), Merge(), nn.Conv2d(32, 8, 1)))
    (layer,) = audit(merged, torch.rand(1, 3, 32, 32)).layers
    assert (layer.kind, layer.stride) == ("slicing", [2, 2])


def test_a_grid_that_a_constant_does_not_show():
    class Textured(nn.Module):
        """Detail of every second column is doubled: of a constant there is none."""

        def __init__(self):
            super().__init__()
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)

        def forward(self, x):
            y = self.up(x)
            gain = torch.ones(y.shape[-1])
            gain[::2] = -1
            return y + 0.3 * gain * (y - F.avg_pool2d(y, 5, 1, 2, count_include_pad=False))

    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 3, 128, 128, generator=generator)
    report = audit(Textured(), noise)
    assert all(finding.shown_by == "the example" for finding in report.findings)
    assert report.contrast[2] < 1e-3


def test_corrected_nets_are_cleared():
    net = trained(dcgan(3, 1, 1))
    z = torch.randn(4, 20, 1, 1)
    before = audit(net, z)
    equalised, changes = equalise_net(net)
    after = audit(equalised, z)
    assert before.verdict == "checkerboard"
    assert [f for f in after.findings if f.shown_by == "a constant"] == []
    for layer, change in zip(before.layers, changes, strict=True):
        assert layer.name == change.name
        assert layer.ripple == pytest.approx(change.before, rel=1e-6)
    assert [layer.ripple for layer in after.layers] == pytest.approx([0] * 3, abs=1e-6)


def test_a_generator_with_sizes_built_in():
    class Built(nn.Module):
        def __init__(self):
            super().__init__()
            self.start = nn.ConvTranspose2d(20, 8, 16)
            self.up = nn.ConvTranspose2d(8, 3, 4, 2, 1)
            self.noise = nn.Buffer(torch.zeros(3, 32, 32))

        def forward(self, z):
            return self.up(self.start(z)) + self.noise

    report = audit(trained(Built()), torch.randn(4, 20, 1, 1))
    assert (report.fed, report.cause, report.period) == ("up", "up", 2)


@pytest.mark.parametrize("name", ["resize_conv", "smooth_transposed", "bilinear_init"])
def test_flat_operators_stay_flat_behind_each_other(name):
    """What an operator does to its own kernel, padding it for instance, is no border of a map."""
    from upzoo.dcgan import Generator

    net = Generator(OPERATORS[name], size=64, channels=3, latent=8, width=8)
    report = audit(net, torch.randn(2, 8))
    assert max(report.contrast.values()) < 1e-4


@pytest.mark.parametrize("form", ["scripted", "traced", "compiled", "exported"])
def test_nets_that_are_no_longer_python(form):
    net = trained(
        nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ConvTranspose2d(4, 3, 3, 2, 1, 1))
    )
    x = 1 + torch.rand(1, 3, 64, 64)
    forms = {
        "scripted": lambda: torch.jit.script(net),
        "traced": lambda: torch.jit.trace(net.eval(), x),
        "compiled": lambda: torch.compile(net),
        "exported": lambda: torch.export.export(net.eval(), (x,)).module(),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and people have it
        given = forms[form]()
    report = audit(given, x)
    assert report.verdict == "checkerboard"
    assert report.period == 2


@pytest.mark.parametrize("dims", [1, 3])
def test_lines_and_volumes_without_an_example(dims):
    conv = (nn.Conv1d, None, nn.Conv3d)[dims - 1]
    up = (nn.ConvTranspose1d, None, nn.ConvTranspose3d)[dims - 1]
    net = trained(nn.Sequential(conv(8, 8, 3, padding=1), up(8, 4, 3, 2, 1, 1), nn.Tanh()))
    report = audit(net, input_size=256 if dims == 1 else 24)
    assert (report.verdict, report.period, report.cause) == ("checkerboard", 2, "1")
    assert len(report.output_size) == dims + 2


def test_more_inputs_by_position_and_keyword():
    class Timed(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.ConvTranspose2d(3, 3, 3, 2, 1, 1)

        def forward(self, sample, timestep, *, scale):
            return {"sample": self.up(sample * scale + timestep.view(-1, 1, 1, 1))}

    x = torch.rand(1, 3, 48, 48)
    net = trained(Timed())
    given = audit(net, x, args=(torch.ones(1),), kwargs={"scale": torch.ones(1)})
    named = audit(net, {"sample": x, "timestep": torch.ones(1), "scale": torch.ones(1)})
    assert given.contrast == named.contrast
    assert given.cause == "up"


def test_bad_arguments_are_one_line():
    with pytest.raises(ValueError, match="holds no tensor"):
        audit(nn.Identity(), [[1, 2]])
    with pytest.raises(ValueError, match=r"does not run on its example \(1, 5, 8, 8\)"):
        audit(nn.Conv2d(3, 3, 1), torch.rand(1, 5, 8, 8))
    with pytest.raises(ValueError, match=r"net is function: give a torch\.nn\.Module"):
        audit(lambda x: x, torch.rand(1))
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        audit(nn.Conv2d(3, 3, 1), weights="nowhere.pth")


def test_weights_are_examined_and_not_kept(tmp_path):
    net, other = Unet(), trained(Unet())
    torch.save(
        {"state_dict": {f"module.{k}": v for k, v in other.state_dict().items()}},
        tmp_path / "w.pth",
    )
    before = copy.deepcopy(net.state_dict())
    x = torch.rand(1, 3, 64, 64)
    report = audit(net, x, weights=tmp_path / "w.pth")
    assert report.weights == "w.pth"
    assert report.contrast == pytest.approx(audit(other, x).contrast, rel=1e-4, abs=1e-9)
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    with pytest.raises(ValueError, match=r"0 of the net's 2 tensors are in it"):
        audit(nn.Conv2d(3, 3, 1), x, weights={"a": torch.ones(1)})


def test_own_pictures(tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    for name in "ab":
        pixels = rng.integers(0, 255, (80, 100, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    report = audit(trained(Unet()), torch.rand(1, 3, 64, 64), images=tmp_path)
    assert set(report.photos) == {2, 4}
    with pytest.raises(FileNotFoundError, match="no such picture or folder"):
        audit(Unet(), torch.rand(1, 3, 64, 64), images=tmp_path / "none")


def test_a_pass_that_has_ended_holds_none_of_its_maps():
    net = nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Conv2d(5, 2, 3), nn.Upsample(scale_factor=2)
    )
    maps = []

    def remember(module, args, output):
        maps.append(weakref.ref(output))

    for layer in net:
        layer.register_forward_hook(remember)
    watch = Watch(net, (16, 16), 2)
    with watch, torch.no_grad():
        net(torch.rand(1, 3, 16, 16))[..., ::2, ::2].sum()
    assert [call.name for call in watch.calls] == ["3"]
    gc.collect()
    assert [map() for map in maps[:3]] == [None] * 3


def test_pictures_are_weighed_on_their_device():
    found = pictures._mean({"peak": torch.ones(3, 2, device="meta")})
    assert found["peak"].device.type == "meta"
