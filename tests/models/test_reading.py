"""Files of weights: where the tensors are found in them, and what is refused."""

import argparse
import datetime
import pickle
import types
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file
from torch import nn

from tests.models.originals import ReleasedFCN, dcgan, popular_unet, shaken
from upzoo import conversion, reading


@pytest.fixture(scope="module")
def unet():
    torch.manual_seed(0)
    return shaken(popular_unet(bias=True, width=2))


def without_counters(state):
    return {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}


def prefixed(state, prefix):
    return {f"{prefix}{k}": v for k, v in state.items()}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: prefixed(s, "module."),
        lambda s: {"epoch": 3, "state_dict": prefixed(s, "_orig_mod.module.")},
        lambda s: {"model_state_dict": s, "optimizer": {"lr": 1.0}},
        lambda s: {"model": s},
        lambda s: {"weights": s, "meta": {"classes": ["a", "b"]}},
        lambda s: {"params": prefixed(s, "x."), "params_ema": s},
        lambda s: {"nets": {"G": s}, "optimizers": [1]},
        lambda s: {"checkpoint": OrderedDict(prefixed(s, "segmentor.net.module."))},
        lambda s: {**s, "mask_values": [0, 1]},
        lambda s: {**prefixed(s, "model."), "criterion.weight": torch.ones(4)},
        lambda s: {**prefixed(s, "net."), "ema": torch.ones(()), "teacher.a.b": torch.ones(2)},
        lambda s: {
            "state_dict": s,
            "args": argparse.Namespace(lr=0.1, out=Path("runs"), sizes=[1, 2]),
            "best_iou": np.float64(0.7),
            "epoch": np.int64(3),
            "curve": np.arange(3, dtype="float32"),
        },
        lambda s: {
            "state_dict": prefixed(s, "net."),
            "hyper_parameters": OmegaConf.create(
                {"lr": 0.1, "name": "x", "on": True, "sizes": [1, 2], "deep": {"a": [{"b": 1.0}]}}
            ),
            "log": defaultdict(list, loss=[0.5]),
            "when": datetime.datetime(2024, 1, 2),
            "options": types.SimpleNamespace(lr=0.1),
        },
        without_counters,
        lambda s: {k: v.double() if v.is_floating_point() else v for k, v in s.items()},
        lambda s: {k: nn.Parameter(v) if v.is_floating_point() else v for k, v in s.items()},
    ],
    ids=[
        "module",
        "compiled",
        "model_state_dict",
        "model",
        "weights",
        "params_ema",
        "in-dicts",
        "three-prefixes",
        "mask_values",
        "criterion",
        "strays",
        "trainer",
        "options",
        "old",
        "double",
        "parameters",
    ],
)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@torch.no_grad()
def test_wrappers_prefixes_and_extras_change_nothing(unet, wrap, zipped, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(wrap(unet.state_dict()), path, _use_new_zipfile_serialization=zipped)
    net, _ = conversion.load(path)
    x = torch.rand(1, 3, 16, 32)
    torch.testing.assert_close(net(x), unet(x), rtol=1e-5, atol=1e-5)
    assert all(p.dtype == torch.float32 for p in net.parameters())


def test_numbers_pickled_by_numpy_1_are_read(tmp_path):
    # NumPy 2 writes numpy._core.multiarray; the file is made to say what NumPy 1 wrote.
    path = tmp_path / "weights.pth"
    content = {"best": np.float64(0.5), "curve": np.arange(2.0)}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    assert data.count(b"numpy._core.multiarray") == 2
    path.write_bytes(data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert reading.read(path)["best"] == 0.5


def test_of_a_gan_the_generator_is_taken_and_the_discriminator_on_demand(tmp_path):
    nets = {
        "discriminator": dcgan("tconv", 3, False).state_dict(),
        "generator": dcgan("tconv", 3, True).state_dict(),
        "optimizerG": {"state": {0: {"exp_avg": torch.ones(3)}}},
    }
    torch.save(nets, tmp_path / "gan.pth")
    net, card = conversion.load(tmp_path / "gan.pth")
    assert card["conversion"]["place"] == ["generator"]
    assert torch.equal(net.start.weight, nets["generator"]["tconv1.weight"])
    net, card = conversion.load(tmp_path / "gan.pth", "dcgan_discriminator")
    assert card["conversion"]["place"] == ["discriminator"]
    assert torch.equal(net.layers[0].weight, nets["discriminator"]["conv1.weight"])
    flat = prefixed(nets["discriminator"], "netD.") | prefixed(nets["generator"], "netG.")
    _, card = conversion.load(flat)
    assert card["conversion"]["format"] == "dcgan_generator"
    assert card["conversion"]["left_out"] == [k for k in flat if k.startswith("netD.")]


def test_averaged_weights_go_before_the_last_ones():
    state = popular_unet(width=2).state_dict()
    zeros = {k: torch.zeros_like(v) for k, v in state.items()}
    net, card = conversion.load({"params": zeros, "params_ema": state})
    assert card["conversion"]["place"] == ["params_ema"]
    assert net.head.weight.any()


# Refusals


class Hostile:
    def __init__(self, flag):
        self.flag = flag

    def __reduce__(self):
        import os

        return os.mkdir, (str(self.flag),)


def refused(source, message, **options):
    with pytest.raises(ValueError, match=message) as error:
        conversion.load(source, **options)
    assert "\n" not in str(error.value)


def test_a_pickle_of_objects_is_refused_and_never_executed(tmp_path):
    flag, path = tmp_path / "ran", tmp_path / "weights.pth"
    torch.save(Hostile(flag), path)
    refused(path, r"weights.pth: not a file of weights: it holds (posix|nt).mkdir, which .* never ")
    path.write_bytes(pickle.dumps(Hostile(flag), protocol=2))
    refused(path, "not a file of weights")
    torch.save({"state_dict": {}, "net": nn.Linear(1, 1)}, path)
    refused(path, "it holds torch.nn.modules.linear.Linear, which is no plain data and never exec")
    torch.save({"f": np.array([Hostile(flag)], dtype=object)}, path)
    refused(path, "it holds numpy.dtypes.ObjectDType, which is no plain data and never executed")
    torch.save(argparse.Namespace(f=Hostile(flag)), path)
    refused(path, "never executed")
    assert not flag.exists()


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_damaged_and_missing_files(unet, tmp_path, suffix):
    path = tmp_path / f"weights.{suffix}"
    with pytest.raises(FileNotFoundError, match="no such file of weights"):
        conversion.load(path)
    write = torch.save if suffix == "pth" else save_file
    write(dict(unet.state_dict()), path)
    path.write_bytes(path.read_bytes()[:-100])
    refused(path, f"weights.{suffix}: not a (file of weights|safetensors file)")
    path.write_bytes(b"")
    refused(path, f"weights.{suffix}: not a (file of weights|safetensors file)")


def test_a_dict_that_fits_nothing_names_the_nearest_and_what_differs():
    state = ReleasedFCN(8).state_dict()
    state["upscore_8.weight"] = state.pop("upscore8.weight")
    assert conversion.recognise(state) is None
    refused(
        state,
        r"^state dict: fits no format of fcn32s, .*; of the 39 names of the nearest, fcn8s, "
        r"it has 38: it lacks upscore8.weight and has upscore_8.weight$",
    )
    state = {k: v for k, v in popular_unet(True).state_dict().items() if "up4" not in k}
    refused(
        state,
        "nearest, unet_bilinear, .* it lacks up4.conv.double_conv.0.weight, "
        r"up4.conv.double_conv.1.weight, up4.conv.double_conv.1.bias …$",
    )


@pytest.mark.parametrize(
    "state",
    [
        nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)).state_dict(),
        nn.LSTM(3, 3).state_dict(),
        nn.TransformerEncoderLayer(8, 2).state_dict(),
        {"conv.weight": torch.ones(1), "conv.bias": torch.ones(1), "fc.weight": torch.ones(1)},
    ],
    ids=["linear", "lstm", "transformer", "three"],
)
def test_what_is_like_nothing_is_told_no_nearest(state):
    first = ", ".join([*state][:3])
    refused(state, rf"its {len(state)} names, such as {first}, are like those of none$")


def test_a_format_that_is_asked_for_must_fit():
    state = ReleasedFCN(16).state_dict()
    refused(state, "format='fcn4s' is unknown: choose from fcn32s", format="fcn4s")
    refused(
        state,
        "fits no format of fcn8s_at_once; .* lacks score_pool3.weight, .* and has upscore16.weight",
        format="fcn8s_at_once",
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
