"""Weights that others released, against the nets that they belong to."""

import pickle
from functools import partial
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
import yaml
from safetensors.torch import save_file
from torch import nn

from tasks.prediction import segment
from upzoo import checkpoint
from upzoo import conversion as foreign

# The others' nets, stated once more in their own names


class ReleasedFCN(nn.Module):
    """FCN-32s, -16s or -8s on BGR images from which the mean colour is subtracted."""

    def __init__(self, stride, width=1, classes=3, factors=(1.0, 1.0)):
        super().__init__()
        self.stride, self.factors = stride, factors
        widths, inputs = [m * width for m in (1, 2, 4, 8, 8)], 3
        for stage, (n, repeat) in enumerate(zip(widths, (2, 2, 3, 3, 3), strict=True), 1):
            for i in range(1, repeat + 1):
                padding = 100 if stage == i == 1 else 1
                self.add_module(f"conv{stage}_{i}", nn.Conv2d(inputs, n, 3, padding=padding))
                inputs = n
        self.fc6 = nn.Conv2d(inputs, 64 * width, 7)
        self.fc7 = nn.Conv2d(64 * width, 64 * width, 1)
        self.score_fr = nn.Conv2d(64 * width, classes, 1)
        up = partial(nn.ConvTranspose2d, classes, classes, bias=False)
        if stride == 32:
            self.upscore = up(64, stride=32)
            return
        self.score_pool4 = nn.Conv2d(widths[3], classes, 1)
        self.upscore2 = up(4, stride=2)
        if stride == 16:
            self.upscore16 = up(32, stride=16)
            return
        self.score_pool3 = nn.Conv2d(widths[2], classes, 1)
        self.upscore_pool4 = up(4, stride=2)
        self.upscore8 = up(16, stride=8)

    def forward(self, x):
        def cut(y, offset, like):
            return y[:, :, offset : offset + like.shape[2], offset : offset + like.shape[3]]

        h, pools = x, []
        for stage, repeat in enumerate((2, 2, 3, 3, 3), 1):
            for i in range(1, repeat + 1):
                h = getattr(self, f"conv{stage}_{i}")(h).relu()
            pools.append(h := F.max_pool2d(h, 2, ceil_mode=True))
        h = self.score_fr(self.fc7(self.fc6(h).relu()).relu())
        if self.stride == 32:
            return cut(self.upscore(h), 19, x)
        h = self.upscore2(h)
        h = h + cut(self.score_pool4(pools[3] * self.factors[0]), 5, h)
        if self.stride == 16:
            return cut(self.upscore16(h), 27, x)
        h = self.upscore_pool4(h)
        h = h + cut(self.score_pool3(pools[2] * self.factors[1]), 9, h)
        return cut(self.upscore8(h), 31, x)


class Named(nn.Module):
    """A module whose parts have the names given."""

    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)


class PortedUNet(nn.Module):
    def __init__(self, bilinear, bias, width=3, channels=3, classes=4):
        super().__init__()
        w = [width * m for m in (1, 2, 4, 8, 8 if bilinear else 16)]

        def double(inputs, outputs, middle=None):
            layers = []
            for a, b in ((inputs, middle or outputs), (middle or outputs, outputs)):
                conv = nn.Conv2d(a, b, 3, padding=1, bias=bias)
                layers += [conv, nn.BatchNorm2d(b), nn.ReLU()]
            return Named(double_conv=nn.Sequential(*layers))

        self.inc = double(channels, w[0])
        for i in range(1, 5):
            pooled = nn.Sequential(nn.MaxPool2d(2), double(w[i - 1], w[i]))
            self.add_module(f"down{i}", Named(maxpool_conv=pooled))
        for i in range(1, 5):
            skip, below = w[4 - i], 2 * w[4 - i]
            if bilinear:
                up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
                conv = double(below, skip if i == 4 else skip // 2, below // 2)
            else:
                up, conv = nn.ConvTranspose2d(below, skip, 2, stride=2), double(below, skip)
            self.add_module(f"up{i}", Named(up=up, conv=conv))
        self.outc = Named(conv=nn.Conv2d(w[0], classes, 1))

    def forward(self, x):
        skips = [self.inc.double_conv(x)]
        for i in range(1, 5):
            pool, block = getattr(self, f"down{i}").maxpool_conv
            skips.append(block.double_conv(pool(skips[-1])))
        y = skips.pop()
        for i in range(1, 5):
            part = getattr(self, f"up{i}")
            y = part.conv.double_conv(torch.cat([skips.pop(), part.up(y)], 1))
        return self.outc.conv(y)


def example_generator(doublings, nz=7, ngf=3, channels=3):
    widths = [ngf << i for i in reversed(range(doublings))]
    layers = [nn.ConvTranspose2d(nz, widths[0], 4, 1, 0, bias=False)]
    for a, b in zip(widths, [*widths[1:], channels], strict=True):
        layers += [nn.BatchNorm2d(a), nn.ReLU(), nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False)]
    return Named(main=nn.Sequential(*layers, nn.Tanh()))


def example_discriminator(halvings, ndf=3, channels=1):
    widths = [ndf << i for i in range(halvings)]
    layers = [nn.Conv2d(channels, ndf, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
    for a, b in pairwise(widths):
        conv = nn.Conv2d(a, b, 4, 2, 1, bias=False)
        layers += [conv, nn.BatchNorm2d(b), nn.LeakyReLU(0.2)]
    last = nn.Conv2d(widths[-1], 1, 4, 1, 0, bias=False)
    return Named(main=nn.Sequential(*layers, last, nn.Sigmoid()))


def torchvision_net(name):
    from torchvision.models.segmentation import fcn_resnet50, fcn_resnet101

    make = {"fcn_resnet50": fcn_resnet50, "fcn_resnet101": fcn_resnet101}[name]
    return make(weights=None, weights_backbone=None, num_classes=5, aux_loss=True)


# What the tests share


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def shaken(net):
    """The net in evaluation mode, with weights that keep the signal alive: every tensor counts."""
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                # An output pixel sums k² taps of each input channel, k² / stride² if transposed.
                stride = module.stride[0] if isinstance(module, nn.ConvTranspose2d) else 1
                taps = module.in_channels * (module.kernel_size[0] / stride) ** 2
                module.weight.normal_(0, (2 / taps) ** 0.5)
            if getattr(module, "bias", None) is not None:
                module.bias.normal_(0, 0.3)
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 1.5)
    return net.eval()


def agree(ours, theirs):
    """Equal to 1e-5 of the largest value, where a wrong tensor would make 1e-4 and more."""
    assert theirs.std() > 0
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5 * theirs.abs().max().item())


def values_of(net):
    return torch.cat([p.detach().flatten() for p in net.state_dict().values()])


# Agreement


@pytest.mark.parametrize(
    ("stride", "layout"), [(32, None), (16, None), (8, None), (8, "fcn8s_at_once")]
)
@torch.no_grad()
def test_fcn_agrees_on_photographs_at_any_size(stride, layout):
    factors = (0.01, 0.0001) if layout else (1.0, 1.0)
    original = shaken(ReleasedFCN(stride, width=2, factors=factors))
    for score, factor in (("score_pool4", factors[0]), ("score_pool3", factors[1])):
        if hasattr(original, score):
            getattr(original, score).weight /= factor  # so that it counts as much as the others
    net, card = foreign.load(original.state_dict(), layout)
    assert card["foreign"]["layout"] == (layout or f"fcn{stride}s")
    image = torch.randint(0, 256, (3, 37, 50), dtype=torch.uint8)
    # Caffe's way: BGR from 0 to 255 minus the mean colour, then padding with zeros.
    mean_bgr = torch.tensor([104.00698793, 116.66876762, 122.67891434]).view(3, 1, 1)
    expected = original((image.flip(0).float() - mean_bgr)[None])
    mean, std = (torch.tensor(card[k]).view(3, 1, 1) for k in ("mean", "std"))
    agree(net(((image / 255 - mean) / std)[None]), expected)
    classes = segment(net, image, card["mean"], card["std"])
    assert (classes == expected[0].argmax(0)).float().mean() > 0.999
    assert len(card["classes"]) == len(card["palette"]) == 3


@torch.no_grad()
def test_only_the_given_layout_takes_the_factors_in():
    state = ReleasedFCN(8).state_dict()
    plain, _ = foreign.load(state)
    at_once, card = foreign.load(state, "fcn8s_at_once")
    assert card["foreign"]["layout"] == "fcn8s_at_once"
    torch.testing.assert_close(at_once.scores[1].weight, 0.01 * plain.scores[1].weight)
    torch.testing.assert_close(at_once.scores[2].weight, 0.0001 * plain.scores[2].weight)
    torch.testing.assert_close(at_once.scores[2].bias, plain.scores[2].bias)
    assert torch.equal(state["score_pool4.weight"], plain.scores[1].weight)


@pytest.mark.parametrize("bilinear", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@torch.no_grad()
def test_unet_agrees_at_multiples_of_16(bilinear, bias):
    original = shaken(PortedUNet(bilinear, bias, width=4))
    net, card = foreign.load(original.state_dict())
    x = torch.rand(2, 3, 32, 48)
    agree(net(x), original(x))
    assert card["foreign"]["layout"] == ("unet_bilinear" if bilinear else "unet")
    assert card["choices"]["upsample"] == ("interpolate" if bilinear else "transposed_conv")
    assert (card["mean"], card["std"]) == ([0, 0, 0], [1, 1, 1])


@torch.no_grad()
def test_unet_of_one_score_and_grey_images_has_two_classes():
    original = shaken(PortedUNet(False, False, width=2, channels=1, classes=1))
    net, card = foreign.load(original.state_dict())
    x = torch.rand(1, 1, 16, 16)
    agree(net(x), original(x))
    assert card["classes"] == ["background", "foreground"]
    assert card["palette"] == [[0, 0, 0], [128, 0, 0]]


@pytest.mark.parametrize("doublings", [3, 4, 5])
@torch.no_grad()
def test_dcgan_generator_agrees(doublings):
    original = shaken(example_generator(doublings))
    net, card = foreign.load(original.state_dict())
    z = torch.randn(2, 7)
    agree(net(z), original.main(z[:, :, None, None]))
    assert net(z).shape[-1] == 4 << doublings
    assert (card["mean"], card["std"]) == ([0.5] * 3, [0.5] * 3)


@pytest.mark.parametrize("halvings", [3, 4, 5])
@torch.no_grad()
def test_dcgan_discriminator_agrees(halvings):
    original = shaken(example_discriminator(halvings))
    net, card = foreign.load(original.state_dict())
    x = torch.rand(4, 1, 4 << halvings, 4 << halvings) * 2 - 1
    agree(net(x).sigmoid(), original.main(x).flatten())
    assert card["choices"]["upsample"] is None


@torch.no_grad()
def test_torchvisions_fcn_agrees_at_multiples_of_8():
    original = shaken(torchvision_net("fcn_resnet50"))
    net, card = foreign.load(original.state_dict())
    x = torch.randn(1, 3, 40, 24)
    agree(net(x), original(x)["out"])
    assert net(x[..., 1:, 3:]).shape == (1, 5, 39, 21)
    left_out = card["foreign"]["left_out"]
    assert left_out == [k for k in original.state_dict() if k.startswith("aux_classifier.")]
    assert len(left_out) == 8


# The sizes that were released


@pytest.mark.parametrize(
    ("name", "original"),
    [
        ("fcn32s", partial(ReleasedFCN, 32, width=64, classes=21)),
        ("fcn16s", partial(ReleasedFCN, 16, width=64, classes=21)),
        ("fcn8s", partial(ReleasedFCN, 8, width=64, classes=21)),
        ("unet", partial(PortedUNet, False, False, width=64)),
        ("unet", partial(PortedUNet, False, True, width=64)),
        ("unet_bilinear", partial(PortedUNet, True, False, width=64)),
        ("dcgan_generator", partial(example_generator, 4, nz=100, ngf=64)),
        ("dcgan_discriminator", partial(example_discriminator, 4, ndf=64)),
        ("fcn_resnet50", partial(torchvision_net, "fcn_resnet50")),
        ("fcn_resnet101", partial(torchvision_net, "fcn_resnet101")),
    ],
)
def test_full_size_is_recognised_and_every_tensor_mapped(name, original):
    with torch.device("meta"):
        state = original().state_dict()
        assert foreign.recognise(state) == name
        layout = foreign.find(state)
        used = layout.used(state)
        ours = checkpoint.build(layout.spec(used)).state_dict()
        mapped = {layout.names[k]: v for k, v in layout.values(used).items()}
    assert {k for k in state if k not in used} == {k for k in state if "aux" in k}
    assert {k: v.shape for k, v in mapped.items() if k} == {k: v.shape for k, v in ours.items()}


# Files, wrappers, prefixes


@pytest.fixture(scope="module")
def unet():
    torch.manual_seed(0)
    return shaken(PortedUNet(False, True, width=2))


def without_counters(state):
    return {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: {f"module.{k}": v for k, v in s.items()},
        lambda s: {"epoch": 3, "state_dict": {f"_orig_mod.module.{k}": v for k, v in s.items()}},
        lambda s: {"model_state_dict": s, "optimizer": {"lr": 1.0}},
        lambda s: {"model": s},
        lambda s: {**s, "mask_values": [0, 1]},
        without_counters,
        lambda s: {k: v.double() if v.is_floating_point() else v for k, v in s.items()},
    ],
    ids=["module", "compiled", "model_state_dict", "model", "mask_values", "old", "double"],
)
def test_wrappers_prefixes_and_extras_change_nothing(unet, wrap, tmp_path):
    torch.save(wrap(unet.state_dict()), tmp_path / "weights.pth")
    net, _ = foreign.load(tmp_path / "weights.pth")
    x = torch.rand(1, 3, 16, 32)
    with torch.no_grad():
        agree(net(x), unet(x))
    assert all(p.dtype == torch.float32 for p in net.parameters())


def test_the_net_shares_nothing_with_what_was_given(unet):
    state = {k: v.clone() for k, v in unet.state_dict().items()}
    net, _ = foreign.load(state)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    assert all(torch.equal(state[k], v) for k, v in unet.state_dict().items())


@pytest.mark.parametrize(
    "original",
    [
        partial(ReleasedFCN, 16),
        partial(PortedUNet, True, True, width=2),
        partial(example_generator, 3),
        partial(example_discriminator, 3),
    ],
)
def test_becomes_a_model_file_like_any_other(original, tmp_path):
    save_file(original().state_dict(), tmp_path / "weights.safetensors")
    net, card = foreign.load(tmp_path / "weights.safetensors")
    folder = checkpoint.save(tmp_path / "model", net, card)
    again, stored = checkpoint.load(folder)
    assert stored == card
    assert stored["choices"]["data"] == "foreign"
    assert torch.equal(values_of(again), values_of(net))
    assert not again.training
    assert not net.training
    assert yaml.safe_load(yaml.safe_dump(card)) == card


# Refusals


class Hostile:
    def __init__(self, flag):
        self.flag = flag

    def __reduce__(self):
        import os

        return os.mkdir, (str(self.flag),)


def refused(source, message, **options):
    with pytest.raises(ValueError, match=message) as error:
        foreign.load(source, **options)
    assert "\n" not in str(error.value)


def test_a_pickle_of_objects_is_refused_and_never_executed(tmp_path):
    flag, path = tmp_path / "ran", tmp_path / "weights.pth"
    torch.save(Hostile(flag), path)
    refused(path, r"weights.pth: not a file of weights: .*save model.state_dict\(\)")
    path.write_bytes(pickle.dumps(Hostile(flag)))
    refused(path, "never executed")
    torch.save(nn.Linear(1, 1), path)
    refused(path, "never executed")
    assert not flag.exists()


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_damaged_and_missing_files(unet, tmp_path, suffix):
    path = tmp_path / f"weights.{suffix}"
    with pytest.raises(FileNotFoundError, match="no such file of weights"):
        foreign.load(path)
    write = torch.save if suffix == "pth" else save_file
    write(dict(unet.state_dict()), path)
    path.write_bytes(path.read_bytes()[:-100])
    refused(path, f"weights.{suffix}: not a (file of weights|safetensors file)")
    path.write_bytes(b"")
    refused(path, f"weights.{suffix}: not a (file of weights|safetensors file)")


def test_a_dict_that_fits_nothing_names_the_nearest_and_what_differs():
    state = ReleasedFCN(8).state_dict()
    state["upscore_8.weight"] = state.pop("upscore8.weight")
    assert foreign.recognise(state) is None
    refused(
        state,
        r"^state dict: fits no layout of fcn32s, .*; of the 39 names of the nearest, fcn8s, "
        r"it has 38: it lacks upscore8.weight and has upscore_8.weight$",
    )
    state = {k: v for k, v in PortedUNet(True, False).state_dict().items() if "up4" not in k}
    refused(
        state,
        "nearest, unet_bilinear, .* it lacks up4.conv.double_conv.0.weight, "
        r"up4.conv.double_conv.1.weight, up4.conv.double_conv.1.bias …$",
    )


def test_a_layout_that_is_asked_for_must_fit():
    state = ReleasedFCN(16).state_dict()
    refused(state, "layout='fcn4s' is unknown: choose from fcn32s", layout="fcn4s")
    refused(
        state,
        "fits no layout of fcn8s_at_once; .* lacks score_pool3.weight, .* and has upscore16.weight",
        layout="fcn8s_at_once",
    )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("down1.maxpool_conv.1.double_conv.1.weight", torch.ones(5), r"shape \(5,\), and \(4,\)"),
        ("inc.double_conv.0.weight", torch.ones(3), r"shape \(3,\), and a convolution's kernel"),
        ("inc.double_conv.0.bias", torch.ones(3), "has not the shape of inc.double_conv.1.running"),
        ("up2.up.bias", torch.ones(9), r"up2.up.bias has shape \(9, 1, 1\), and \(8, 1, 1\) would"),
        ("outc.conv.weight", torch.ones(0, 2, 1, 1), "num_classes=0 must be"),
    ],
)
def test_shapes_that_do_not_fit_together(unet, key, value, message):
    refused(unet.state_dict() | {key: value}, message)


def test_fcn_of_other_than_colour_images():
    state = ReleasedFCN(32).state_dict() | {"conv1_1.weight": torch.ones(1, 4, 3, 3)}
    refused(state, "conv1_1.weight reads 4 channels, and BGR has 3")


@pytest.mark.parametrize(
    ("content", "message"),
    [({}, "no tensors, only nothing"), ({"epoch": 1, "lr": 2.0}, "no tensors, only epoch, lr")],
)
def test_content_without_tensors(content, message, tmp_path):
    refused(content, message)
    torch.save([content], tmp_path / "weights.pt")
    refused(tmp_path / "weights.pt", "weights.pt: a list, not a dict of tensors")
