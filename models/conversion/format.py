"""What a format is: names of theirs, names of ours, and the net that the shapes call for."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from upzoo import checkpoint
from upzoo.upsampling import OPERATORS

State = Mapping[str, Tensor]

COUNTER = "num_batches_tracked"  # of batch norm; files of PyTorch 0.4.0 and before have none
#: Mean and std of ImageNet's images in 0 … 1.
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


class Format:
    """One project's way to name its tensors. A subclass sets what is named here and gives `spec`.

    Attributes:
        name: of the format; variants that its users do not tell apart share it.
        names: each tensor's name with them -> with us, or None where it becomes part of another.
        operator: config name of the operator that their decoder is made of, if it has one.
        unused: beginnings of names that their net needs in training only.
        note: where the output is the original's, and what of the input it expects.
        alternative: what the same names may mean too, and how to say so.
        draws: whether the net makes or labels pictures, rather than judging them.
    """

    name: str
    names: dict[str, str | None]
    operator: str | None = None
    unused: tuple[str, ...] = ()
    note: str
    alternative: str | None = None
    draws: bool = True

    def spec(self, state: State) -> dict[str, Any]:
        """The spec of our net, read off the shapes of their tensors."""
        raise NotImplementedError

    def values(self, state: State) -> dict[str, Tensor]:
        """Their tensors, under their names, with the values that our net needs."""
        return dict(state)

    def card(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Normalisation and classes; by default images in 0 … 1."""
        channels = spec["in_channels"]
        return {"mean": [0.0] * channels, "std": [1.0] * channels, **classes(spec["num_classes"])}

    def used(self, state: State) -> dict[str, Tensor]:
        """The tensors without those that only training needs."""
        return {k: v for k, v in state.items() if not k.startswith(self.unused)}

    def shared(self, state: State) -> int:
        """How many names it has in common with the format."""
        return len(self.names.keys() & state.keys())

    def difference(self, state: State) -> tuple[list[str], list[str]]:
        """Names that are missing, and names that are not the format's; both empty if it fits."""
        used = self.used(state)
        missing = [k for k in self.names if k not in used and not k.endswith(COUNTER)]
        return missing, [k for k in used if k not in self.names]

    def build(self, state: State) -> tuple[nn.Module, dict[str, Any]]:
        """Our net with their weights, in float32 and evaluation mode, and its card.

        Raises:
            ValueError: for shapes that do not fit together.
        """
        used = self.used(state)
        spec = self.spec(used)
        with torch.device("meta"):  # its random start would be thrown away
            net = checkpoint.build(spec)
        expected = net.state_dict()
        values = {k: v for k, v in self.values(used).items() if self.names[k] is not None}
        for key, value in values.items():
            wanted = expected[str(self.names[key])].shape
            if value.shape != wanted:
                raise ValueError(
                    f"{key} has shape {tuple(value.shape)}, and {tuple(wanted)} would fit the "
                    f"other tensors of a {self.name}"
                )
        ours = {str(self.names[k]): v for k, v in values.items()}
        ours |= {k: torch.tensor(0) for k in expected if k.endswith(COUNTER) and k not in ours}
        net.to_empty(device="cpu").load_state_dict(ours)
        label = getattr(net, "label", self.name)
        said = {"format": self.name, "note": self.note, "alternative": self.alternative}
        card = {
            "model": spec,
            "choices": {"model": label, "upsample": self.operator, "data": "conversion"},
            **self.card(spec),
            "conversion": {
                **{key: value for key, value in said.items() if value is not None},
                "left_out": [k for k in state if k not in used],
            },
        }
        return net.eval(), card


def classes(count: int) -> dict[str, Any]:
    """Names and colours for classes that a file of weights does not name.

    A single score tells foreground from background by its sign: two classes. The colours are those
    of PASCAL VOC's devkit: the bits of the index dealt out in turn to R, G and B, highest first.
    """
    names = [f"class {i}" for i in range(count)] if count > 1 else ["background", "foreground"]
    palette = [
        # bit 3j + channel of the index becomes bit 7 − j of the colour
        [sum((i >> (3 * j + channel) & 1) << (7 - j) for j in range(8)) for channel in range(3)]
        for i in range(len(names))
    ]
    return {"classes": names, "palette": palette}


def operator(name: str, **options: Any) -> dict[str, Any]:
    """The spec of an operator's factory, by its config name."""
    target = f"models.upsampling.{OPERATORS[name].__name__}"
    return {"_target_": target, "_partial_": True, **options}


def shape(state: State, key: str) -> tuple[int, ...]:
    """Shape of a tensor that must be a convolution's kernel."""
    found = tuple(state[key].shape)
    if len(found) != 4:
        raise ValueError(f"{key} has shape {found}, and a convolution's kernel has four dimensions")
    return found


def convolution(theirs: str, ours: str, bias: bool = True) -> dict[str, str | None]:
    """Names of a convolution's tensors."""
    return {f"{theirs}.{k}": f"{ours}.{k}" for k in (["weight", "bias"] if bias else ["weight"])}


def batch_norm(theirs: str, ours: str) -> dict[str, str | None]:
    """Names of a batch normalisation's tensors."""
    kinds = ("weight", "bias", "running_mean", "running_var", COUNTER)
    return {f"{theirs}.{k}": f"{ours}.{k}" for k in kinds}


def take_bias_in(values: dict[str, Tensor], conv: str, norm: str) -> None:
    """Let a batch norm have the bias of the convolution before it, which it takes off again.

    γ (x + b − μ) / √(σ² + ε) + β = γ (x − (μ − b)) / √(σ² + ε) + β
    """
    bias, mean = values.get(f"{conv}.bias"), values[f"{norm}.running_mean"]
    if bias is None:
        return
    if bias.shape != mean.shape:
        raise ValueError(f"{conv}.bias has not the shape of {norm}.running_mean")
    values[f"{norm}.running_mean"] = mean - bias


def skip_first(values: dict[str, Tensor], conv: str, skip: int) -> None:
    """Turn a kernel that reads (enlarged, skip) into one that reads (skip, enlarged), as ours."""
    kernel = values[f"{conv}.weight"]
    enlarged = kernel.shape[1] - skip
    values[f"{conv}.weight"] = torch.cat([kernel[:, enlarged:], kernel[:, :enlarged]], 1)


def spread_over_map(values: dict[str, Tensor], key: str) -> None:
    """Give a bias per channel the shape that it is added in."""
    values[key] = values[key].reshape(-1, 1, 1)
