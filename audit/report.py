"""What an audit found, as plain data and in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

#: A grid of less than this share of the output's own spread is no finding.
SEEN = 0.005
#: Weights whose ripple is below this are level, but for rounding.
LEVEL = 1e-4


@dataclass
class Layer:
    """One layer that enlarges or thins out.

    What is None does not apply or could not be measured.

    Attributes:
        name: path in the net.
        kind: in words.
        up: whether it enlarges.
        kernel: size by axis.
        stride: by axis.
        overlap: stamps by phase along each axis; of the gradient, where the layer thins out.
        unevenness: largest over smallest number of stamps on a pixel; infinite with gaps.
        ripple: DC-gain ripple of the weights over all constants (`dc_ripple`).
        weighted: the same for the mean activation on the example.
        energy: ripple of the tap energies, which white noise sees.
        response: ripple of the layer's own output, measured, its mean input fed as a constant.
        inside: ripple that the layer adds by itself while the whole net is fed a constant.
        cumulative: ripple of its output at all periods, while the whole net is fed a constant.
        period: at the net's output, of the grid that this layer makes.
        blame: share of the output's strongest grid that goes with this layer's own.
    """

    name: str
    kind: str
    up: bool
    kernel: list[int] | None
    stride: list[float]
    overlap: list[list[int]] | None = None
    unevenness: float | None = None
    ripple: float | None = None
    weighted: float | None = None
    energy: float | None = None
    response: float | None = None
    inside: float | None = None
    cumulative: float | None = None
    period: int | None = None
    blame: float | None = None

    def geometry(self) -> str:
        """Kernel and stride: "3×3 s2", "×8"."""
        stride = _product(self.stride[:1] if len(set(self.stride)) == 1 else self.stride)
        if self.kernel is None:
            return f"×{stride}"
        return f"{_product(self.kernel)} s{stride}"


@dataclass
class AuditReport:
    """What an audit found.

    Attributes:
        net: name of its class.
        input_size: shapes of the example's tensors.
        output_size: shape of the output.
        layers: in order of execution.
        fed: where the constant went in: "input", or the name of a layer; None if nowhere.
        response: period -> ripple of the output over its mean, for a constant.
        level: size of the output's mean for a constant.
        contrast: period -> the same ripple over the output's own spread on the example.
        rest: what does not repeat, over the mean: 0 where the middle of the map is an interior.
        gradient: period -> {"energy_ratio", "mean"} of the input gradient.
        period: of the strongest grid, where there is one to be seen.
        cause: name of the layer to blame for it.
        advice: what to do, in words.
        tile: the middle of the output for a constant, its most rippled channel.
    """

    net: str
    input_size: list[list[int]]
    output_size: list[int]
    layers: list[Layer]
    fed: str | None = None
    response: dict[int, float] = field(default_factory=dict)
    level: float | None = None
    contrast: dict[int, float] = field(default_factory=dict)
    rest: float | None = None
    gradient: dict[int, dict[str, float]] = field(default_factory=dict)
    period: int | None = None
    cause: str | None = None
    advice: list[str] = field(default_factory=list)
    tile: list[list[float]] | None = None

    def to_dict(self) -> dict[str, Any]:
        """All but the tile, ready for JSON; infinite and undefined numbers become None."""
        content = asdict(self)
        del content["tile"]
        return {"finding": self.finding(), **_finite(content)}

    def finding(self) -> str:
        """The finding in a sentence."""
        if not self.contrast:
            return "no end-to-end finding: no layer enlarges up to the output, or it is too small"
        if not self.level and not any(self.contrast.values()):
            return "no end-to-end finding: a constant comes out as zero, as of an untrained layer"
        if self.period is None:
            most = max(self.contrast.values())
            return f"no grid: a constant comes out flat to {most:.1g} of the output's spread"
        text = (
            f"grid at period {self.period}: {self.contrast[self.period]:.1%} of the output's "
            f"spread, {self.response[self.period]:.1%} of its mean"
        )
        return text if self.cause is None else f"{text}, made by {self.cause}"


def advise(report: AuditReport) -> list[str]:
    """What to do about the layer to blame, about others that ripple, and about gradients."""
    ups = [layer for layer in report.layers if layer.up]
    blamed = [layer for layer in ups if layer.name == report.cause][:1]
    others = [layer for layer in ups if layer not in blamed and _worst(layer) > LEVEL]
    remedies: dict[str, list[str]] = {}
    for layer in blamed + sorted(others, key=_worst, reverse=True):
        remedy = f"({layer.kind} {layer.geometry()}): {_remedy(layer)}"
        remedies.setdefault(remedy, []).append(layer.name)
    said = [f"{', '.join(names)} {remedy}" for remedy, names in remedies.items()]
    uneven = [layer for layer in report.layers if not layer.up and (layer.unevenness or 1) > 1]
    if uneven:
        names = ", ".join(f"{layer.name} ({layer.geometry()})" for layer in uneven[:3])
        more = f" and {len(uneven) - 3} more" if len(uneven) > 3 else ""
        said.append(
            f"gradients: {names}{more} hand the gradient to some pixels more often than to others; "
            "a kernel that is a multiple of the stride (4×4 s2), or a blur before thinning out, "
            "hands it out evenly"
        )
    return said


def _worst(layer: Layer) -> float:
    """The largest ripple that a layer was found to make by itself."""
    found = (layer.weighted, layer.response, layer.inside, layer.ripple)
    return max((value for value in found if value is not None), default=0.0)


def _remedy(layer: Layer) -> str:
    if "shuffle" in layer.kind.lower():
        return (
            "its phases have different gains: equalise the convolution before it, or start it by "
            "ICNR and train again"
        )
    if "interpolation" in layer.kind:
        return "a constant passes it flat: what repeats here was no constant before it"
    if "unpool" in layer.kind.lower():
        return (
            "it leaves zeros between values: let a convolution of at least its window follow, or "
            "enlarge by resizing"
        )
    if layer.unevenness is not None and layer.unevenness > 1:
        assert layer.kernel is not None
        pairs = zip(layer.kernel, layer.stride, strict=True)
        fit = _product([math.ceil(k / s) * int(s) for k, s in pairs])
        return (
            f"its stamps overlap unevenly (×{layer.unevenness:.3g}): take kernel {fit}, started "
            "bilinear, or resize and convolve; as trained, equalise its phase gains"
        )
    return (
        "its stamps overlap evenly but its phases have different gains: equalise them, start it "
        "bilinear, or resize and convolve"
    )


def _product(sizes: Sequence[float]) -> str:
    """3×3."""
    texts = [f"{size:g}" if size == int(size) else f"{size:.2f}" for size in sizes]
    return "×".join(texts)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value
