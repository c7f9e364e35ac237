"""Operators in nets of four packages: the same output at first, gradients, and all can be kept."""

import copy
import json
import warnings

import pytest
import torch
from torch.utils import _pytree as pytree

import upzoo
from tests.audit.packages import NETS, build
from upzoo.recording import call_net
from upzoo.routing import Placed

#: (net, operator, whether it is equal to the bit, where): all of these calls have an exact start.
#: Interpolation by corners has none.
CASES = [
    ("torchvision fcn_resnet50", "interpolate", True, "*"),
    ("torchvision deeplabv3_mobilenet", "resize_conv", True, "*"),
    ("torchvision lraspp", "resize_conv", True, "*"),
    ("smp Unet", "resize_conv", True, "*"),
    ("smp UnetPlusPlus", "resize_conv", True, "*"),
    ("smp FPN", "interpolate", True, "decoder.p?"),
    ("smp Linknet", "pixel_shuffle", False, "*"),
    ("smp Segformer", "dysample", False, "decoder"),
    ("monai UNet", "transposed_conv", False, "*"),
    ("monai BasicUNet", "pixel_shuffle", False, "*"),
    ("monai AttentionUnet", "pixel_shuffle", False, "*"),
    ("transformers Segformer", "dysample", False, "*"),
    ("diffusers AutoencoderKL", "resize_conv", True, "*"),
    ("diffusers VQModel", "transposed_conv", False, "*"),
    ("diffusers UNet2DModel", "resize_conv", True, "*"),
]


def maps(net, x):
    """The tensors in floating point that a net gives."""
    torch.manual_seed(0)
    return [
        y
        for y in pytree.tree_leaves(call_net(net, x))
        if isinstance(y, torch.Tensor) and y.is_floating_point()
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "operator", "to_the_bit", "where"), CASES, ids=[c[0] for c in CASES]
)
def test_a_net_of_a_package(name, operator, to_the_bit, where, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net, x = build(name)
    new, swapped = upzoo.swap(net, operator, where, example=x)
    assert swapped.replaced, str(swapped)
    assert {s.start for s in swapped.replaced} == {"exact"}, str(swapped)
    with torch.no_grad():
        before, after = maps(net, x), maps(new, x)
    assert before
    for old, now in zip(before, after, strict=True):
        if to_the_bit:
            assert torch.equal(old, now)
        else:
            torch.testing.assert_close(now, old, rtol=1e-3, atol=1e-4 * old.abs().max().item())
    with torch.enable_grad():
        sum(y.square().mean() for y in maps(new, x)).backward()
    placed = [m for m in new.modules() if isinstance(m, Placed)]
    missing = [p.shape for m in placed for p in m.parameters() if p.grad is None]
    assert not missing
    torch.save(new.state_dict(), tmp_path / "new.pth")
    again, _ = upzoo.swap(net, recipe=json.loads(json.dumps(swapped.recipe)))
    again.load_state_dict(torch.load(tmp_path / "new.pth"))
    twin = copy.deepcopy(new)
    with torch.no_grad():
        for other in (again, twin):
            assert all(map(torch.equal, maps(other.eval(), x), after))


def test_there_are_twelve_of_four_packages():
    assert len(CASES) >= 12
    packages = {NETS[name].package.split(".")[0] for name, *_ in CASES}
    assert len(packages) >= 4


@pytest.mark.slow
def test_interpolation_by_corners_is_fitted_and_said():
    net, x = build("monai BasicUNet interpolated")
    new, swapped = upzoo.swap(net, "resize_conv", example=x)
    assert {s.start for s in swapped.replaced} == {"fitted"}
    assert all(0.01 < s.error < 0.5 for s in swapped.replaced)
    assert "by corners" in str(swapped)
    assert maps(new, x)[0].shape == maps(net, x)[0].shape
