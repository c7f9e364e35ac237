"""Start a net from the weights of another: with other classes, or with another operator."""

from collections import Counter, defaultdict
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from runs import checks, folders
from runs.console import ROOT
from upzoo import zoo
from upzoo.base import Net
from upzoo.dcgan import DCGAN, Generator
from upzoo.upsampling import Upsample

OTHER_OPERATOR = "another operator"
OTHER_SHAPE = "another shape"
NOT_THERE = "not in the source"
UNUSED = "of the source, without a place here"
#: What a generator alone was trained as.
PAIRS = {"models.dcgan.Generator": "models.dcgan.DCGAN"}
#: Options that the new net's data and command line choose, not the source.
OWN = ("_target_", "_convert_", "upsample", "num_classes", "in_channels", "size", "weights")


@dataclass(frozen=True)
class Transferred:
    """What was transferred.

    Attributes:
        source: name or path of the source.
        parameters: how many were transferred.
        of: how many the net has.
        left_out: why not -> names of layers.
    """

    source: str
    parameters: int
    of: int
    left_out: dict[str, list[str]]

    def __str__(self) -> str:
        """One line of what came, one line for each reason why the rest did not."""
        lines = [f"init={self.source}: {self.parameters:,} of {self.of:,} parameters carried over"]
        for reason, layers in self.left_out.items():
            parts = Counter(layer.partition(".")[0] or "the net itself" for layer in layers)
            listed = ", ".join(f"{part} ({count})" for part, count in parts.items())
            what = "left out" if reason == UNUSED else "starts anew"
            lines.append(f"  {what}, {reason}: {listed}")
        return "\n".join(lines)


def inherit_options(cfg: DictConfig) -> None:
    """Give the model the options of the net that it starts from, where none were chosen.

    Raises:
        ValueError: for a config that no run can be trained with, or an `init` without a net.
    """
    checks.check(cfg)
    hydra_cfg = HydraConfig.get()
    given = {override.partition("=")[0].lstrip("+~") for override in hydra_cfg.overrides.task}
    group = ROOT / "configs" / "model" / f"{hydra_cfg.runtime.choices['model']}.yaml"
    defaults: Any = OmegaConf.to_container(OmegaConf.load(group))
    model: Any = OmegaConf.to_container(cfg.model, resolve=True)
    chosen = {k for k, v in model.items() if f"model.{k}" in given or v != defaults.get(k)}
    options = options_like(cfg.init, model, chosen)
    for name, value in options.items():
        cfg.model[name] = value
    if options and folders.shared() is None:
        print(f"init={cfg.init}: {' '.join(f'model.{k}={v}' for k, v in options.items())}")


def start_from_init(cfg: DictConfig, net: Net) -> None:
    """Start from other weights; say what could not be transferred, and keep it in the config."""
    transferred = transfer_weights(net, cfg.init)
    cfg.init_left_out = transferred.left_out
    if folders.shared() is None:
        print(transferred)


def options_like(init: str, model: Mapping[str, Any], kept: Container[str]) -> dict[str, Any]:
    """The options with which a model has the layers of a source of its kind.

    Args:
        init: as in `transfer_weights`.
        model: spec of the net to start; `_target_` says of which kind it is.
        kept: names of options that are not to be changed.

    Returns:
        Those that differ; none where the source is another kind of net.
    """
    _, card = zoo.read(init)
    spec = card["model"]
    kind = PAIRS.get(spec["_target_"], spec["_target_"])
    if kind != model["_target_"]:
        return {}
    return {
        name: value
        for name, value in spec.items()
        if name in model and name not in OWN and name not in kept and model[name] != value
    }


@torch.no_grad()
def transfer_weights(net: Net, init: str) -> Transferred:
    """Copy into a net, in place, all layers of a source that fit by name and shape.

    A layer is carried over with all of its tensors or not at all; an operator's only into one of
    its own class. A generator's layers go into the generator of a pair.

    Args:
        net: the net to start.
        init: a name of the zoo, a run's folder, a model's folder, or a checkpoint.

    Raises:
        FileNotFoundError: there is nothing at `init`.
        ValueError: `init` is damaged, or nothing in it fits.
    """
    source, _ = zoo.read(init)
    prefix = "generator." if isinstance(source, Generator) and isinstance(net, DCGAN) else ""
    mine, theirs = _layers(net), _layers(source, prefix)
    my_operators, their_operators = _operators(net), _operators(source, prefix)

    left_out: dict[str, list[str]] = defaultdict(list)
    taken: set[str] = set()
    for layer, tensors in mine.items():
        given = theirs.get(layer)
        operator = _within(layer, my_operators)
        if operator and their_operators.get(operator) is not my_operators[operator]:
            left_out[OTHER_OPERATOR].append(layer)
        elif given is None:
            left_out[NOT_THERE].append(layer)
        elif _shapes(given) != _shapes(tensors):
            left_out[OTHER_SHAPE].append(layer)
        else:
            taken.add(layer)
            for name, tensor in tensors.items():
                tensor.copy_(given[name])
    unused = [layer for layer in theirs if layer not in mine]
    if unused:
        left_out[UNUSED] = unused

    counts = {name: p.numel() for name, p in net.named_parameters()}
    carried = sum(n for name, n in counts.items() if name.rpartition(".")[0] in taken)
    if carried == 0:
        raise ValueError(
            f"init={init}: no layer of that {source.label} fits this {net.label} by name and "
            "shape: give weights of the same architecture and width"
        )
    return Transferred(init, carried, sum(counts.values()), dict(left_out))


def _layers(net: nn.Module, prefix: str = "") -> dict[str, dict[str, Tensor]]:
    """The tensors of each module that has some of its own: module -> last name -> tensor."""
    layers: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, tensor in net.state_dict().items():
        layer, _, last = f"{prefix}{name}".rpartition(".")
        layers[layer][last] = tensor
    return dict(layers)


def _shapes(tensors: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def _operators(net: nn.Module, prefix: str = "") -> dict[str, type[nn.Module]]:
    """Where the net's operators are, and their classes."""
    named = net.named_modules()
    return {f"{prefix}{name}": type(m) for name, m in named if isinstance(m, Upsample)}


def _within(layer: str, operators: dict[str, type[nn.Module]]) -> str | None:
    """The operator that a layer belongs to."""
    return next((o for o in operators if layer == o or layer.startswith(f"{o}.")), None)
