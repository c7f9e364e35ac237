"""What every model keeps with every operator: sizes, gradients, compile, files, widths."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from upzoo import checkpoint
from upzoo.upsampling import OPERATORS

CONFIGS = Path(__file__).parents[2] / "configs"
#: Options that make a model small; the rest is its config.
SMALL: dict[str, dict[str, Any]] = {
    "fcn": {"width": 2},
    "unet": {"width": 4, "depth": 3},
    "unet_strided": {"_config": "unet", "backbone": "compact", "width": 2},
    "deconvnet": {"width": 4, "multipliers": [1, 2], "convs": [1, 1]},
    "segnet_basic": {"width": 4},
    "dilated_fcn": {},
    "dcgan": {"width": 4, "size": [32, 32], "latent": 8},
    "espcn": {"widths": [6, 4]},
    "espcn_head": {"_config": "espcn", "widths": [6, 4], "head": 3, "skip": True},
    "fsrcnn": {"width": 6, "shrink": 4, "depth": 1},
    "srresnet": {"width": 4, "blocks": 1},
    "edsr": {"width": 4, "blocks": 1, "skip": True},
}
#: Nets that do not upsample, and so keep no contract with an operator.
OTHERS = {"classifier"}
NAMED = {options.get("_config", name) for name, options in SMALL.items()}
#: All others that there are configs of, as their configs make them.
SMALL |= {p.stem: {} for p in (CONFIGS / "model").glob("*.yaml") if p.stem not in NAMED | OTHERS}
#: Those that enlarge the image itself, each with a scale to try.
SCALES = {"espcn": 2, "espcn_head": 2, "fsrcnn": 4, "srresnet": 4, "edsr": 2}
#: What a model cannot serve: its own tests hold the reasons.
NEEDS = {name: {"switches", "guide"} for name in SMALL} | {
    "unet": set(),
    "unet_strided": {"switches"},
    "deconvnet": {"guide"},
    "segnet_basic": {"guide"},
}
QUICK = [name for name in SMALL if name != "dilated_fcn"]  # that one has 33 million parameters


def needs(operator: str) -> set[str]:
    cls = OPERATORS[operator]
    return {n for n in ("switches", "guide") if getattr(cls, f"needs_{n}")}


def spec(model: str, operator: str) -> dict[str, Any]:
    options = dict(SMALL[model])
    config = CONFIGS / "model" / f"{options.pop('_config', model)}.yaml"
    plain = yaml.safe_load(config.read_text())
    plain.pop("defaults", None)
    upsample = yaml.safe_load((CONFIGS / "upsample" / f"{operator}.yaml").read_text())
    filled = {"num_classes": 4, "in_channels": 3, "scale": SCALES.get(model)}
    known = {key: value for key, value in filled.items() if key in plain}
    return plain | known | options | {"upsample": upsample}


def build(model: str, operator: str) -> nn.Module:
    torch.manual_seed(0)
    return checkpoint.build(spec(model, operator))


def perturb(net: nn.Module) -> nn.Module:
    """Move every weight a little: some start at zero and hide what lies behind them."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return net


def example(model: str, size: tuple[int, int] = (17, 22), batch: int = 3) -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(batch, 8) if model == "dcgan" else torch.randn(batch, 3, *size)


def made(model: str, size: tuple[int, int]) -> tuple[int, int, int]:
    """What an image of this size becomes: class scores, or an image again."""
    scale = SCALES.get(model)
    return (3, scale * size[0], scale * size[1]) if scale else (4, *size)


FITTING = [(m, o) for m in QUICK for o in OPERATORS if not needs(o) & NEEDS[m]]


@pytest.mark.parametrize("model", SMALL)
def test_operators_that_do_not_fit_are_refused_in_one_line(model):
    for operator in OPERATORS:
        if needs(operator) & NEEDS[model]:
            with pytest.raises(ValueError, match=r".") as error:
                build(model, operator)
            assert "\n" not in str(error.value)
            assert OPERATORS[operator].__name__ in str(error.value)


@pytest.mark.parametrize(("model", "operator"), FITTING)
def test_forward_and_backward(model, operator):
    """Sizes are the input's, outputs finite, and a loss reaches every weight."""
    net = perturb(build(model, operator)).train()
    x = example(model, (67, 90))  # three pixels at stride 32, so that every tap sees some
    y = net(x)
    assert y.shape == ((3, 3, 32, 32) if model == "dcgan" else (3, *made(model, (67, 90))))
    assert y.isfinite().all()
    (y * torch.randn_like(y)).sum().backward()
    learned = net.generator if model == "dcgan" else net
    silent = [
        name
        for name, p in learned.named_parameters()
        if p.requires_grad and (p.grad is None or not p.grad.abs().sum() > 0)
    ]
    assert silent == []


@pytest.mark.parametrize(("model", "operator"), [f for f in FITTING if f[0] != "dcgan"])
def test_any_size_from_one_pixel_on(model, operator):
    net = build(model, operator).eval()
    with torch.no_grad():
        for size in ((1, 1), (2, 33), (47, 50)):
            assert net(example(model, size, batch=1)).shape == (1, *made(model, size))


@pytest.mark.parametrize(("model", "operator"), FITTING)
def test_saving_and_loading_gives_the_same_net(model, operator, tmp_path):
    net = perturb(build(model, operator)).eval()
    with torch.no_grad():
        checkpoint.save(tmp_path / "m", net, {"model": spec(model, operator)})
        loaded, _ = checkpoint.load(tmp_path / "m")
        torch.testing.assert_close(loaded(example(model)), net(example(model)), rtol=0, atol=0)


@pytest.mark.parametrize("model", QUICK)
def test_all_but_the_operators_starts_alike(model):
    """With one seed, whatever the operator: the same parameters, of the same values."""

    def rest(operator):
        state = build(model, operator).named_parameters()
        return {name: p for name, p in state if "upsamples." not in name}

    first, *others = [o for m, o in FITTING if m == model]
    reference = rest(first)
    for operator in others:
        other = rest(operator)
        assert other.keys() == reference.keys(), operator
        assert all(torch.equal(p, reference[name]) for name, p in other.items()), operator


@pytest.mark.slow
@pytest.mark.parametrize(("model", "operator"), FITTING)
def test_compiled_nets_agree(model, operator):
    net = build(model, operator).eval()
    with torch.no_grad():
        x = example(model)
        expected = net(x)
        keys = list(net.state_dict())
        net.compile()
        torch.testing.assert_close(net(x), expected, rtol=1e-4, atol=1e-5)
    assert list(net.state_dict()) == keys
