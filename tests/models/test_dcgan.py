"""DCGAN: PyTorch's example and TensorFlow's tutorial number by number, any operator, refusals."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from upzoo.dcgan import DCGAN, Discriminator, Generator
from upzoo.upsampling import OPERATORS

TRANSPOSED = OPERATORS["transposed_conv"]
#: Operators that need nothing but the coarse map.
FITTING = [n for n, op in OPERATORS.items() if not (op.needs_switches or op.needs_guide)]
PIXELS = torch.randn(6, 3, 64, 64, generator=torch.Generator().manual_seed(1)).tanh()


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def build(upsample=TRANSPOSED, channels=1, side=32, **options):
    return DCGAN(upsample, channels, (side, side), **{"latent": 6, "width": 4} | options)


def count(module):
    return sum(p.numel() for p in module.parameters())


def example(width, latent, channels):
    """Both nets of PyTorch's example (ngf = ndf), written out."""

    def up(i, o, stride, padding):
        return nn.ConvTranspose2d(i, o, 4, stride, padding, bias=False)

    def down(i, o, stride, padding):
        return nn.Conv2d(i, o, 4, stride, padding, bias=False)

    w = width
    generator = [up(latent, 8 * w, 1, 0), nn.BatchNorm2d(8 * w), nn.ReLU()]
    for i in (8, 4, 2):
        generator += [up(i * w, i * w // 2, 2, 1), nn.BatchNorm2d(i * w // 2), nn.ReLU()]
    generator += [up(w, channels, 2, 1), nn.Tanh()]
    discriminator = [down(channels, w, 2, 1), nn.LeakyReLU(0.2)]
    for i in (1, 2, 4):
        discriminator += [down(i * w, 2 * i * w, 2, 1), nn.BatchNorm2d(2 * i * w)]
        discriminator += [nn.LeakyReLU(0.2)]
    discriminator += [down(8 * w, 1, 1, 0), nn.Sigmoid()]
    return nn.Sequential(*generator), nn.Sequential(*discriminator)


def as_example(net):
    """Our weights under the example's names."""
    generator, steps = {}, [net.generator.start, *net.generator.upsamples]
    for i, step in enumerate(steps):
        generator[f"{3 * i}.weight"] = step.weight
    for i, norm in enumerate([net.generator.start_norm, *net.generator.norms]):
        generator |= {f"{3 * i + 1}.{k}": v for k, v in norm.state_dict().items()}
    discriminator = net.discriminator.layers.state_dict()
    return generator, discriminator


def test_pytorchs_example_has_as_many_parameters():
    net = DCGAN(TRANSPOSED, 3, (64, 64))
    assert count(net.generator) == 3_576_704
    assert count(net.discriminator) == 2_765_568


@pytest.mark.parametrize("training", [True, False])
def test_pytorchs_example_computes_the_same(training):
    net = build(channels=3, side=64, std=0.2).train(training)
    generator, discriminator = (part.train(training) for part in example(4, 6, 3))
    for part, state in zip((generator, discriminator), as_example(net), strict=True):
        part.load_state_dict(state)
    z = torch.randn(6, 6)
    with torch.no_grad():
        images = net(z)
        assert images.std() > 0.01
        torch.testing.assert_close(images, generator(z[:, :, None, None]), atol=1e-5, rtol=1e-5)
        chance = discriminator(PIXELS).flatten()
        torch.testing.assert_close(net.discriminator(PIXELS).sigmoid(), chance, atol=1e-5, rtol=0)


def test_tensorflows_tutorial_has_as_many_parameters():
    upsample = partial(TRANSPOSED, kernel=5)
    net = DCGAN(upsample, 1, (28, 28), slope=0.3, stem=5, kernel=5, norm=False, dropout=0.3)
    # model.summary(): conv2d, conv2d_1, dense.
    assert count(net.discriminator) == 1_664 + 204_928 + 6_273
    # dense, conv2d_transpose, _1, _2; then scale and shift of 256, 128 and 64 channels (the
    # tutorial's first normalisation has one for each of 12,544 numbers instead of 256 channels).
    assert count(net.generator) == 1_254_400 + 819_200 + 204_800 + 1_600 + 2 * (256 + 128 + 64)


def test_tensorflows_generator_computes_the_same():
    upsample = partial(TRANSPOSED, kernel=5)
    net = build(upsample, side=28, slope=0.3, stem=5, kernel=5, norm=False).generator.eval()
    z = torch.randn(2, 6)
    stem, ups = net.stem[0].weight, [up.weight for up in net.upsamples]

    def norm(x):  # as it starts: mean 0, variance 1
        return x / math.sqrt(1 + 1e-5)

    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.ones_(layer.weight)
    with torch.no_grad():
        x = (z @ net.start.weight.flatten(1)).view(2, 16, 7, 7)  # a dense layer
        x = F.leaky_relu(norm(x), 0.3)
        # A stride of 1: a convolution, here as the transposed one with the kernel turned.
        turned = stem.flip(2, 3).transpose(0, 1)
        x = F.leaky_relu(norm(F.conv_transpose2d(x, turned, padding=2)), 0.3)
        # SAME of kernel 5 at stride 2 cuts one pixel left and two right of 2n + 3.
        x = F.conv_transpose2d(x, ups[0], stride=2)[..., 1:-2, 1:-2]
        x = F.conv_transpose2d(F.leaky_relu(norm(x), 0.3), ups[1], stride=2)[..., 1:-2, 1:-2]
        torch.testing.assert_close(net(z), x.tanh(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kernel", [3, 4, 5])
def test_discriminator_pads_as_tensorflows_same_in_a_mirror(kernel):
    conv = Discriminator(32, 1, 2, kernel=kernel).layers[0]
    x = PIXELS[:, :1, :32, :32]
    lead, trail = {3: (0, 1), 4: (1, 1), 5: (1, 2)}[kernel]  # of SAME at stride 2
    mirrored = F.pad(x.flip(2, 3), (lead, trail, lead, trail))
    same = F.conv2d(mirrored, conv.weight.flip(2, 3), stride=2)
    torch.testing.assert_close(conv(x), same.flip(2, 3), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("side", "steps"), [(28, 2), (32, 3), (64, 4), (96, 4), (128, 5)])
def test_sizes(side, steps, channels):
    net = build(channels=channels, side=side, width=2)
    images = net(torch.randn(2, 6))
    assert images.shape == (2, channels, side, side)
    assert images.abs().max() < 1
    assert net.discriminator(images).shape == (2,)
    assert len(net.generator.upsamples) == steps
    assert net.size == (side, side)


def test_the_same_convolution_stands_behind_every_operator():
    net = build(OPERATORS["interpolate"], side=32, width=2, refine=3).eval().generator
    assert [tuple(conv.weight.shape) for conv in net.refines] == [
        (4, 4, 3, 3),
        (2, 2, 3, 3),
        (1, 2, 3, 3),
    ]
    x = net.stem(F.relu(net.start_norm(net.start(torch.ones(1, 6, 1, 1)))))
    for up, conv, norm in zip(net.upsamples, net.refines, (*net.norms, None), strict=True):
        x = F.conv2d(up(x), conv.weight, padding=1)
        x = x.tanh() if norm is None else F.relu(norm(x))
    torch.testing.assert_close(net(torch.ones(1, 6)), x)


@pytest.mark.parametrize("refine", [None, 3])
@pytest.mark.parametrize("name", FITTING)
def test_every_operator_trains_every_parameter(name, refine):
    net = build(OPERATORS[name], refine=refine).train()
    # An operator that starts at nothing (a zero offset, say) needs a second step to reach all.
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        net.discriminator(net(torch.randn(4, 6))).square().sum().backward()
        gradients = {n: p.grad for n, p in net.named_parameters()}
        optimizer.step()
    assert [n for n, g in gradients.items() if g is None or not g.any()] == []


def test_all_but_the_operators_starts_alike_whatever_they_are():
    def start(name):
        torch.manual_seed(3)
        state = build(OPERATORS[name]).state_dict()
        return {k: v for k, v in state.items() if ".upsamples." not in k}

    expected = start("transposed_conv")
    assert expected
    for name in FITTING:
        found = start(name)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[k], expected[k]) for k in expected)


def test_start_is_normal_but_for_the_operators_own():
    net = build(width=16, latent=50)
    assert net.generator.start.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert net.discriminator.layers[2].weight.std().item() == pytest.approx(0.02, rel=0.05)
    norms = torch.cat([m.weight for m in net.modules() if isinstance(m, nn.BatchNorm2d)])
    assert norms.mean().item() == pytest.approx(1, abs=0.01)
    assert norms.std().item() == pytest.approx(0.02, rel=0.2)
    first = net.generator.upsamples[0].weight
    # N(0, scale² / (kernel²·in_channels)), as the operator says.
    assert first.std().item() == pytest.approx(2 / (4 * 8), rel=0.05)


def test_keras_start_is_uniform_after_glorot():
    conv = Discriminator(64, 3, 32, kernel=5, norm=False, std=None).layers[2]
    bound = math.sqrt(6 / (25 * 32 + 25 * 64))
    assert bound * 0.99 < conv.weight.abs().max().item() <= bound
    assert not conv.bias.any()


@pytest.mark.parametrize("norm", [True, False])
def test_normalisation_and_biases_of_the_discriminator(norm):
    layers = Discriminator(64, 3, 2, norm=norm, dropout=0.5).layers
    assert sum(isinstance(m, nn.BatchNorm2d) for m in layers) == (3 if norm else 0)
    assert [m.bias is None for m in layers if isinstance(m, nn.Conv2d)] == [norm] * 5
    assert [m.p for m in layers if isinstance(m, nn.Dropout)] == [0.5] * 4


def test_channels_last_changes_nothing():
    net = build(channels=3, side=64).eval()
    z = torch.randn(2, 6)
    with torch.no_grad():
        plain, scores = net(z), net.discriminator(PIXELS)
        fast = net.to(memory_format=torch.channels_last)(z)
        last = PIXELS.to(memory_format=torch.channels_last)
        torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(net.discriminator(last), scores, rtol=1e-4, atol=1e-5)
    assert fast.is_contiguous(memory_format=torch.channels_last)


def test_compiling_compiles_both_nets_under_the_same_names():
    net, graphs = build(width=2), []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    names = list(net.state_dict())
    net.compile(backend=backend)
    images = net.generator(torch.randn(2, 6))
    assert len(graphs) == 1
    net.discriminator(images.detach())
    assert len(graphs) == 2
    assert list(net.state_dict()) == names


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"side": 48}, r"size=\[48, 48\] does not fit DCGAN: set data.size to \[s, s\], s one of"),
        ({"latent": 0}, "latent=0 must be an integer of at least 1"),
        ({"channels": None}, "in_channels=None must be"),
        ({"kernel": 6}, "kernel=6 of the discriminator must be 3, 4 or 5"),
        ({"stem": 4}, "stem=4 must be an odd kernel"),
        ({"refine": 2}, "refine=2 must be an odd kernel"),
        ({"dropout": 1.0}, "dropout=1.0 must be a share"),
        ({"upsample": OPERATORS["max_unpool"]}, "DCGAN does not take MaxUnpool: .*no pooling"),
        ({"upsample": partial(OPERATORS["fade"])}, "DCGAN does not take Fade: .*no encoder"),
    ],
)
def test_refusals_are_one_line_and_say_what_works(options, message):
    with pytest.raises(ValueError, match=message) as error:
        build(**options)
    assert "\n" not in str(error.value)


def test_an_image_that_is_not_square_is_refused():
    with pytest.raises(ValueError, match=r"size=\[64, 32\] does not fit"):
        DCGAN(TRANSPOSED, 3, [64, 32])


def test_label():
    assert build().label == "dcgan"
    assert isinstance(build().generator, Generator)
