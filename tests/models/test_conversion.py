"""Weights that others released, against the nets that they belong to."""

from functools import partial

import pytest
import torch
import yaml
from safetensors.torch import save_file

from tasks.photos import segment
from tests.models.originals import (
    DCGANS,
    FeaturesFCN,
    ReleasedFCN,
    SegmentationModelsUNet,
    brain_unet,
    dcgan,
    lightning_unet,
    popular_unet,
    shaken,
    torchvision_net,
)
from upzoo import checkpoint, conversion


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def agree(ours, theirs):
    """Equal to 1e-5 of the largest value, where a wrong tensor would make 1e-4 and more."""
    assert theirs.std() > 0
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5 * theirs.abs().max().item())


def agree_at(net, original, sizes, channels=3):
    """Equal at these sizes in float64, to a millionth of the largest value."""
    for size in sizes:
        x = torch.rand(1, channels, *size, dtype=torch.float64)
        found, expected = net.double()(x), original.double()(x)
        assert found.shape == expected.shape
        assert expected.std() > 0
        assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()


def values_of(net):
    return torch.cat([p.detach().flatten() for p in net.state_dict().values()])


# Agreement


@pytest.mark.parametrize(
    ("stride", "fmt"), [(32, None), (16, None), (8, None), (8, "fcn8s_at_once")]
)
@torch.no_grad()
def test_fcn_agrees_on_photographs_at_any_size(stride, fmt):
    factors = (0.01, 0.0001) if fmt else (1.0, 1.0)
    original = shaken(ReleasedFCN(stride, width=2, factors=factors))
    for score, factor in (("score_pool4", factors[0]), ("score_pool3", factors[1])):
        if hasattr(original, score):
            getattr(original, score).weight /= factor  # so that it counts as much as the others
    net, card = conversion.load(original.state_dict(), fmt)
    assert card["conversion"]["format"] == (fmt or f"fcn{stride}s")
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
def test_only_the_given_format_takes_the_factors_in():
    state = ReleasedFCN(8).state_dict()
    plain, _ = conversion.load(state)
    at_once, card = conversion.load(state, "fcn8s_at_once")
    assert card["conversion"]["format"] == "fcn8s_at_once"
    torch.testing.assert_close(at_once.scores[1].weight, 0.01 * plain.scores[1].weight)
    torch.testing.assert_close(at_once.scores[2].weight, 0.0001 * plain.scores[2].weight)
    torch.testing.assert_close(at_once.scores[2].bias, plain.scores[2].bias)
    assert torch.equal(state["score_pool4.weight"], plain.scores[1].weight)


@pytest.mark.parametrize("stride", [32, 16, 8])
@torch.no_grad()
def test_fcn_on_pieces_of_vgg_agrees_at_any_size(stride):
    original = shaken(FeaturesFCN(stride))
    for score, factor in (("score_pool4", 0.01), ("score_pool3", 0.0001)):
        if hasattr(original, score):
            getattr(original, score).weight /= factor  # so that it counts as much as the others
    net, card = conversion.load(original.state_dict())
    assert card["conversion"]["format"] == f"fcn{stride}s_features"
    assert card["mean"] == [0.485, 0.456, 0.406]
    agree_at(net, original, [(37, 50), (1, 9)])


#: Sides of all rests when halved four times, of one pixel at the coarsest map, and even ones.
SIZES = [(61, 75), (37, 50), (16, 17), (95, 31), (48, 32)]


@pytest.mark.parametrize(
    ("name", "original"),
    [
        ("unet", partial(popular_unet)),
        ("unet", partial(popular_unet, bias=True)),
        ("unet", partial(popular_unet, bias=True, old=True)),
        ("unet", partial(popular_unet, bias=True, old=True, keep=True)),
        ("unet_bilinear", partial(popular_unet, True)),
        ("unet_bilinear", partial(popular_unet, True, True)),
        ("unet_bilinear", partial(popular_unet, True, True, old=True)),
        ("unet_lightning", partial(lightning_unet)),
        ("unet_lightning", partial(lightning_unet, bias=True)),
        ("unet_lightning_bilinear", partial(lightning_unet, True)),
    ],
)
@torch.no_grad()
def test_unets_agree_at_every_size(name, original):
    original = shaken(original())
    net, card = conversion.load(original.state_dict())
    agree_at(net, original, SIZES)
    assert card["conversion"]["format"] == name
    plain = "bilinear" in name
    assert card["choices"]["upsample"] == ("interpolate" if plain else "transposed_conv")
    assert (card["mean"], card["std"]) == ([0, 0, 0], [1, 1, 1])


@pytest.mark.parametrize("original", [popular_unet, lightning_unet])
@pytest.mark.parametrize("poolings", [1, 2, 3, 5, 6])
@pytest.mark.parametrize("bilinear", [False, True])
@torch.no_grad()
def test_unets_of_other_depths_agree(original, poolings, bilinear):
    original = shaken(original(bilinear, poolings=poolings, width=2))
    net, _ = conversion.load(original.state_dict())
    agree_at(net, original, [(67, 81)])


@torch.no_grad()
def test_unet_of_one_score_and_grey_images_has_two_classes():
    original = shaken(popular_unet(width=2, channels=1, classes=1))
    net, card = conversion.load(original.state_dict())
    agree_at(net, original, [(16, 16)], channels=1)
    assert card["classes"] == ["background", "foreground"]
    assert card["palette"] == [[0, 0, 0], [128, 0, 0]]


@torch.no_grad()
def test_too_small_an_image_is_refused_where_the_original_fails():
    net, _ = conversion.load(popular_unet().state_dict())
    with pytest.raises(ValueError, match=r"15×40 is too small .* give at least 16×16 pixels"):
        net(torch.rand(1, 3, 15, 40))


@torch.no_grad()
def test_the_brain_unet_agrees_where_the_original_takes_the_image():
    original = shaken(brain_unet())
    net, card = conversion.load(original.state_dict())
    agree_at(net, original, [(32, 48), (16, 16)])
    assert card["conversion"]["format"] == "unet_brain"
    assert card["per_image"] is True
    assert card["classes"] == ["background", "foreground"]
    assert net(torch.rand(1, 3, 33, 47, dtype=torch.float64)).shape == (1, 1, 33, 47)


@pytest.mark.parametrize("encoder", ["resnet18", "resnet50"])
@torch.no_grad()
def test_segmentation_models_unet_agrees_at_multiples_of_32(encoder):
    original = shaken(SegmentationModelsUNet(encoder))
    net, card = conversion.load(original.state_dict())
    assert card["conversion"]["format"] == "unet_smp"
    assert card["std"] == [0.229, 0.224, 0.225]
    agree_at(net, original, [(64, 32)])
    assert net(torch.rand(1, 3, 33, 47, dtype=torch.float64)).shape == (1, 3, 33, 47)


@torch.no_grad()
def test_segmentation_models_unet_with_timms_encoder_and_a_1x1_head():
    original = shaken(SegmentationModelsUNet(kernel=1))
    state = {
        key.replace("encoder.", "encoder.model.", 1) if key.startswith("encoder.") else key: value
        for key, value in original.state_dict().items()
    }
    net, _ = conversion.load(state)
    agree_at(net, original, [(64, 32)])


@pytest.mark.parametrize("project", DCGANS)
@pytest.mark.parametrize("doublings", [3, 4, 5])
@torch.no_grad()
def test_dcgan_generators_agree(project, doublings):
    original = shaken(dcgan(project, doublings, True))
    net, card = conversion.load(original.state_dict())
    z = torch.randn(2, 7)
    agree(net(z), original(z[:, :, None, None]))
    assert net(z).shape[-1] == 4 << doublings
    assert (card["mean"], card["std"]) == ([0.5] * 3, [0.5] * 3)


@pytest.mark.parametrize("project", DCGANS)
@pytest.mark.parametrize("halvings", [3, 4, 5])
@torch.no_grad()
def test_dcgan_discriminators_agree(project, halvings):
    original = shaken(dcgan(project, halvings, False))
    net, card = conversion.load(original.state_dict())
    x = torch.rand(4, 1, 4 << halvings, 4 << halvings) * 2 - 1
    agree(net(x).sigmoid(), original(x))
    assert card["choices"]["upsample"] is None


@torch.no_grad()
def test_torchvisions_fcn_agrees_at_every_size():
    original = shaken(torchvision_net("fcn_resnet50"))
    net, card = conversion.load(original.state_dict())
    for size in ((40, 24), (37, 30)):
        x = torch.randn(1, 3, *size)
        agree(net(x), original(x)["out"])
    left_out = card["conversion"]["left_out"]
    assert left_out == [k for k in original.state_dict() if k.startswith("aux_classifier.")]
    assert len(left_out) == 8


# The sizes that were released


@pytest.mark.parametrize(
    ("name", "original"),
    [
        ("fcn32s", partial(ReleasedFCN, 32, width=64, classes=21)),
        ("fcn16s", partial(ReleasedFCN, 16, width=64, classes=21)),
        ("fcn8s", partial(ReleasedFCN, 8, width=64, classes=21)),
        ("fcn8s_features", partial(FeaturesFCN, 8, width=64, classes=21)),
        ("unet", partial(popular_unet, width=64)),
        ("unet", partial(popular_unet, bias=True, width=64)),
        ("unet_bilinear", partial(popular_unet, True, width=64)),
        ("unet_brain", partial(brain_unet, width=32)),
        ("unet_lightning", partial(lightning_unet, width=64)),
        ("unet_smp", partial(SegmentationModelsUNet, "resnet101", (256, 128, 64, 32, 16))),
        ("dcgan_generator", partial(dcgan, "example", 4, True, width=64, latent=100)),
        ("dcgan_discriminator", partial(dcgan, "example", 4, False, width=64)),
        ("fcn_resnet50", partial(torchvision_net, "fcn_resnet50")),
        ("fcn_resnet101", partial(torchvision_net, "fcn_resnet101")),
    ],
)
def test_full_size_is_recognised_and_every_tensor_mapped(name, original):
    with torch.device("meta"):
        state = original().state_dict()
        assert conversion.recognise(state) == name
        fmt, part = conversion.find(state)
        used = fmt.used(part.state)
        ours = checkpoint.build(fmt.spec(used)).state_dict()
        mapped = {fmt.names[k]: v for k, v in fmt.values(used).items()}
    assert {k for k in state if k not in used} == {k for k in state if "aux" in k}
    assert {k: v.shape for k, v in mapped.items() if k} == {k: v.shape for k, v in ours.items()}


# What is kept and said


@pytest.mark.parametrize(
    "original",
    [
        partial(ReleasedFCN, 16),
        partial(popular_unet, True, True, width=2),
        partial(SegmentationModelsUNet),
        partial(dcgan, "deconv", 3, True),
        partial(dcgan, "example", 3, False),
    ],
)
def test_becomes_a_model_file_like_any_other(original, tmp_path):
    save_file(original().state_dict(), tmp_path / "weights.safetensors")
    net, card = conversion.load(tmp_path / "weights.safetensors")
    folder = checkpoint.save(tmp_path / "model", net, card)
    again, stored = checkpoint.load(folder)
    assert stored == card
    assert stored["choices"]["data"] == "conversion"
    assert torch.equal(values_of(again), values_of(net))
    assert not again.training
    assert not net.training
    assert yaml.safe_load(yaml.safe_dump(card)) == card


def test_notes_say_where_it_agrees_what_else_it_may_be_and_what_was_left_out():
    state = ReleasedFCN(8).state_dict()
    _, card = conversion.load({"netG": {f"module.{k}": v for k, v in state.items()}})
    assert conversion.notes(card) == [
        "fcn8s: RGB images normalised by mean and std; equals the original at every size",
        "the FCN-8s trained at once has the same names, and other masks: format=fcn8s_at_once if "
        "it is that one",
        "taken from netG / module.",
    ]
    _, at_once = conversion.load(state, "fcn8s_at_once")
    assert len(conversion.notes(at_once)) == 1
    beside = {f"criterion.{i}": torch.ones(i + 1) for i in range(4)}
    _, card = conversion.load({f"net.{k}": v for k, v in state.items()} | beside)
    assert conversion.notes(card)[2:] == [
        "taken from net.",
        "left out, 4 tensors: criterion.0, criterion.1, criterion.2 …",
    ]
    assert conversion.notes({"model": {}}) == []


def test_the_net_shares_nothing_with_what_was_given():
    original = popular_unet(width=2)
    state = {k: v.clone() for k, v in original.state_dict().items()}
    net, _ = conversion.load(state)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    assert all(torch.equal(state[k], v) for k, v in original.state_dict().items())
