"""torch.hub's entry points, from this folder as from a clone."""

import subprocess
import sys

import pytest
import torch

import upzoo
from tests.conftest import ROOT
from tests.models.test_zoo import FCN, add
from upzoo import zoo

GENERATOR = {
    "_target_": "models.dcgan.Generator",
    "upsample": {"_target_": "models.upsampling.TransposedConv", "_partial_": True},
    "size": 32,
    "channels": 1,
    "latent": 5,
    "width": 4,
}


def hub(entry, **options):
    return torch.hub.load(str(ROOT), entry, source="local", **options)


@pytest.fixture
def stock(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "ROOT", tmp_path)
    add("dcgan_transposed_conv.mnist", GENERATOR)
    return add("fcn8s_bilinear_init.shapes", FCN)


@pytest.mark.parametrize(
    ("entry", "options", "given", "made"),
    [
        ("fcn32s", {"num_classes": 2, "width": 4}, (1, 3, 40, 33), (1, 2, 40, 33)),
        ("fcn16s", {"num_classes": 2, "width": 4}, (1, 3, 40, 33), (1, 2, 40, 33)),
        ("fcn8s", {"num_classes": 2, "width": 4, "in_channels": 1}, (1, 1, 9, 7), (1, 2, 9, 7)),
        ("unet", {"num_classes": 2, "width": 4, "depth": 3}, (1, 3, 17, 9), (1, 2, 17, 9)),
        ("dcgan", {"width": 4, "latent": 7}, (2, 7), (2, 3, 64, 64)),
        ("deconvnet", {"num_classes": 3, "width": 4}, (1, 3, 17, 9), (1, 3, 17, 9)),
        ("segnet_basic", {"num_classes": 2, "width": 4}, (1, 3, 17, 9), (1, 2, 17, 9)),
        ("espcn", {"scale": 3}, (1, 1, 7, 9), (1, 1, 21, 27)),
        ("fsrcnn", {"scale": 2, "in_channels": 3}, (1, 3, 7, 9), (1, 3, 14, 18)),
        ("srresnet", {"scale": 4, "width": 4, "blocks": 1}, (1, 1, 7, 9), (1, 1, 28, 36)),
        ("edsr", {"scale": 3, "width": 4, "blocks": 1}, (1, 1, 7, 9), (1, 1, 21, 27)),
    ],
)
def test_untrained_nets(entry, options, given, made):
    net = hub(entry, **options)
    assert net.label == entry
    assert net(torch.randn(given)).shape == made


def test_the_operator_is_chosen_by_name_or_factory():
    from upzoo.upsampling.pixel_shuffle import PixelShuffle

    for upsample in ("pixel_shuffle", PixelShuffle):
        net = hub("fcn8s", upsample=upsample, num_classes=2, width=4)
        assert [type(up) for up in net.upsamples] == [PixelShuffle] * 3


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_trained_nets_by_true_or_by_their_data(stock):
    net = hub("fcn8s", upsample="bilinear_init", pretrained=True)
    assert same(net, zoo.load("fcn8s_bilinear_init.shapes"))
    assert same(net, hub("fcn8s", pretrained="shapes", num_classes=3, in_channels=3))
    generator = hub("dcgan", pretrained=True, in_channels=1, size=(32, 32))
    assert generator(torch.randn(2, 5)).shape == (2, 1, 32, 32)

    add("fcn8s_bilinear_init.folder", FCN, seed=1)
    with pytest.raises(ValueError, match="give pretrained='folder' or pretrained='shapes'"):
        hub("fcn8s", pretrained=True)
    assert same(net, hub("fcn8s", pretrained="shapes"))
    add("fcn8s_bilinear_init.camvid", FCN, seed=2)
    assert same(hub("fcn8s", pretrained=True), zoo.load("fcn8s_bilinear_init.camvid"))


@pytest.mark.parametrize(
    ("entry", "options", "message"),
    [
        ("fcn8s", {}, "fcn8s needs num_classes: give num_classes=… as a keyword"),
        ("fcn8s", {"num_classes": 2, "widht": 4}, "no option 'widht': did you mean 'width'"),
        ("fcn8s", {"upsample": "bilinear"}, "did you mean 'bilinear_init'"),
        ("fcn8s", {"pretrained": "voc"}, "did you mean 'fcn8s_bilinear_init.shapes'"),
        ("fcn8s", {"pretrained": True, "num_classes": 4}, "num_classes=4: .* has num_classes=3"),
        ("fcn8s", {"pretrained": True, "depth": 4}, "depth=4: .* has no option depth"),
        ("fcn16s", {"pretrained": True}, r"there is no checkpoint fcn16s_bilinear_init.<data>"),
        (
            "unet",
            {"upsample": "carafe", "pretrained": True},
            r"unet_carafe.<data>; there are dcgan",
        ),
    ],
)
def test_refusals_are_one_line(stock, entry, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        hub(entry, **options)
    assert "\n" not in str(caught.value)


def test_hub_lists_the_entries_alone():
    """As torch.hub.list finds them: whatever can be called and has no underscore."""
    import hubconf

    found = {n for n in dir(hubconf) if callable(getattr(hubconf, n)) and n[0] != "_"}
    assert found == set(upzoo.list_architectures())
    for name in found:
        assert getattr(hubconf, name).__doc__.startswith(f"{name}: ")
        assert "pretrained" in getattr(hubconf, name).__doc__


def test_a_project_with_packages_of_the_same_names_loads_it():
    """Its own `models` and `metrics`, imported first, are neither used nor changed."""
    code = (
        "import sys, types\n"
        "for name in ('models', 'metrics', 'data'): sys.modules[name] = types.ModuleType(name)\n"
        "import torch\n"
        f"net = torch.hub.load({str(ROOT)!r}, 'fcn8s', source='local', num_classes=2)\n"
        "import upzoo.metrics\n"
        "assert type(net).__module__ == 'upzoo.fcn'\n"
        "assert vars(sys.modules['models']).keys() == vars(types.ModuleType('models')).keys()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_dependencies_are_what_a_net_needs():
    """Those of hubconf.py, and nothing else, are imported for a shipped net."""
    code = (
        "import sys, hubconf, torch, safetensors.torch\n"
        "assert hubconf.dependencies == ['torch', 'safetensors']\n"
        "before = set(sys.modules)\n"
        "import upzoo\n"
        "upzoo.load('unet_dysample.shapes')\n"
        "added = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "assert added <= {'upzoo', 'torch', *sys.stdlib_module_names}, added\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
