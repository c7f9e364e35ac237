"""What an audit found, as plain data: a verdict, its findings, their causes, every layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from upzoo.audit.pictures import Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Verdict -> what it is called.
VERDICTS = {
    "checkerboard": "checkerboard",
    "none": "no checkerboard on a constant",
    "unknown": "cannot tell",
}
#: dB from which on a checkerboard is called so (docs/artifacts.md shows them side by side).
SEVERITIES = ((25.0, "strong"), (12.0, "visible"), (6.0, "faint"), (-math.inf, "none"))
#: Share of a picture's spread at which a grid is as strong as what a photograph has around its
#: frequency: a checkerboard of 0.1 σ stands 25.5 dB above it (docs/artifacts.md).
PHOTOGRAPH = 0.0053
#: A cause has at least this share of a finding.
CAUSE = 0.2
#: Weights whose ripple is below this are level, but for rounding.
LEVEL = 1e-4
#: Phases that get so many times the gradient of others are uneven.
UNEVEN = 1.5


def decibels(contrast: float) -> float:
    """How far a grid of this share of the output's spread would stand out of a photograph, in dB.

    Example:
        >>> [round(decibels(c), 1) for c in (0.0, 0.01, 0.1)]
        [0.0, 6.6, 25.5]
    """
    if math.isinf(contrast):
        return math.inf
    return 10 * math.log10(1 + (contrast / PHOTOGRAPH) ** 2)


def severity(db: float) -> str:
    """A checkerboard's strength in a word: none, faint, visible or strong.

    Example:
        >>> severity(5.9), severity(6), severity(13), severity(40)
        ('none', 'faint', 'visible', 'strong')
    """
    return next(word for least, word in SEVERITIES if db >= least)


@dataclass
class Layer:
    """One layer that enlarges or thins out.

    What is None does not apply or could not be measured.

    Attributes:
        name: path in the net; "between A and B" for what no known function does.
        kind: in words.
        up: whether it enlarges.
        kernel: size by axis.
        stride: by axis.
        calls: how often it ran: a shared module runs several times.
        random: whether its weights are as they were drawn.
        holders: paths of the modules that hold its kernels: before a pixel shuffle, convolutions.
        overlap: stamps by phase along each axis; of the gradient, where the layer downsamples.
        unevenness: largest over smallest number of stamps on a pixel; infinite with gaps.
        ripple: DC-gain ripple of the weights over all constants (`dc_ripple`).
        weighted: the same for the mean activation on the example.
        energy: ripple of the tap energies, which white noise sees.
        inside: ripple that the layer adds by itself while the whole net is fed a constant.
        period: at the net's output, of the pattern that this layer makes; at its input, where the
            layer downsamples.
        shares: period -> share of the output's pattern that goes with this layer's own.
        gradient: of a layer that downsamples: largest over smallest energy that the phases of its
            input get of a smooth gradient.
        uneven: whether that is more than even overlap and chance would give.
    """

    name: str
    kind: str
    up: bool
    kernel: list[int] | None
    stride: list[float]
    calls: int = 1
    random: bool | None = None
    holders: list[str] = field(default_factory=list)
    overlap: list[list[int]] | None = None
    unevenness: float | None = None
    ripple: float | None = None
    weighted: float | None = None
    energy: float | None = None
    inside: float | None = None
    period: int | None = None
    shares: dict[int, float] = field(default_factory=dict)
    gradient: float | None = None
    uneven: bool = False

    def geometry(self) -> str:
        """Kernel and stride: "3×3 s2", "×8"."""
        stride = product(self.stride[:1] if len(set(self.stride)) == 1 else self.stride)
        if self.kernel is None:
            return f"×{stride}"
        return f"{product(self.kernel)} s{stride}"

    @property
    def blame(self) -> float | None:
        """The largest of its shares."""
        return max(self.shares.values(), default=None)


@dataclass
class Cause:
    """A layer, or a place between two, that makes a checkerboard.

    Attributes:
        layer: its name.
        share: of the pattern at this period, 0 to 1; None where it is only known to be there.
        expected: whether it is what random weights give by expectation.
    """

    layer: str
    share: float | None
    expected: bool = False


@dataclass
class Finding:
    """A checkerboard at the output.

    Attributes:
        period: in pixels.
        db: how far it stands out, in dB: of a photograph, or above what surrounds it.
        contrast: its share of the output's spread; None for a pattern that only pictures show.
        of_mean: its share of the output's level.
        shown_by: "a constant", "the example", or "pictures".
        causes: who makes it, the largest share first.
    """

    period: int
    db: float
    contrast: float | None
    of_mean: float | None
    shown_by: str
    causes: list[Cause] = field(default_factory=list)

    @property
    def severity(self) -> str:
        """Its strength in a word."""
        return severity(self.db)

    @property
    def expected(self) -> bool:
        """Whether all that makes it is what random weights give."""
        return bool(self.causes) and all(cause.expected for cause in self.causes)


@dataclass
class AuditReport:
    """What an audit found; `str(report)` says it, `report.ok` is for an assertion.

    Attributes:
        net: name of its class.
        weights: "random", "the net's own", "pretrained" or a file.
        random: whether nobody trained them.
        input_size: shapes of the example's tensors.
        output: name of the output that was looked at, empty where there is one tensor.
        output_size: of the map, (B, C, *spatial); empty where there is none.
        verdict: "checkerboard", "none" or "unknown".
        reason: why, in a sentence.
        layers: those that change the size of a map, in order of execution.
        findings: the strongest first; where weights are random, what they give by expectation too.
        fed: where a constant went in, None where nothing could be fed.
        level: ‖mean‖ of the output for it.
        response: period -> pattern of the output for it, over its level.
        contrast: period -> the same over the output's own spread on the example.
        noise: period -> what chance gives of that.
        pictures: period -> what the example shows.
        photos: the same of the user's own pictures.
        gradient: period at the input -> largest over smallest energy that phases get of a smooth
            gradient, from end to end.
        passes: how many forward and backward passes it took.
        notes: what a reader should know of how it was done.
        tile: the middle of the output for a constant, its most rippled channel.
        spread: of that channel on the example: the scale to draw it on.
        target: what the user named the net by.
        options: of the command that they gave, " --size 96", to be given again.
    """

    net: str
    weights: str
    random: bool
    input_size: list[list[int]]
    output: str = ""
    output_size: list[int] = field(default_factory=list)
    verdict: str = "unknown"
    reason: str = ""
    layers: list[Layer] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    fed: str | None = None
    level: float | None = None
    response: dict[int, float] = field(default_factory=dict)
    contrast: dict[int, float] = field(default_factory=dict)
    noise: dict[int, float] = field(default_factory=dict)
    pictures: dict[int, Shown] = field(default_factory=dict)
    photos: dict[int, Shown] = field(default_factory=dict)
    gradient: dict[int, float] = field(default_factory=dict)
    passes: int = 0
    notes: list[str] = field(default_factory=list)
    tile: list[list[float]] | None = None
    spread: float | None = None
    target: str | None = None
    options: str = ""

    @property
    def ok(self) -> bool:
        """Whether the net was found free of checkerboards; False where nobody can tell."""
        return self.verdict == "none"

    @property
    def severity(self) -> str:
        """The strength of the strongest finding in a word."""
        return severity(self.db)

    @property
    def db(self) -> float:
        """The strongest finding's dB, 0 where there is none."""
        return max((f.db for f in self.findings if not f.expected), default=0.0)

    @property
    def causes(self) -> list[Cause]:
        """The main contributors over all findings, the strongest finding first, each once."""
        found: dict[str, Cause] = {}
        for finding in self.findings:
            for cause in finding.causes:
                found.setdefault(cause.layer, cause)
        return list(found.values())

    @property
    def period(self) -> int | None:
        """The period of the strongest finding."""
        return self.findings[0].period if self.findings else None

    @property
    def cause(self) -> str | None:
        """The name of the main contributor to the strongest finding."""
        causes = self.findings[0].causes if self.findings else []
        return causes[0].layer if causes else None

    def layer(self, name: str) -> Layer | None:
        """The layer of this name."""
        return next((layer for layer in self.layers if layer.name == name), None)

    def finding(self) -> str:
        """The verdict in a sentence."""
        from upzoo.audit.words import verdict

        return verdict(self)

    def __str__(self) -> str:
        """What was examined, the verdict, its causes, and what to do: at most 80 columns."""
        from upzoo.audit.words import summary

        return summary(self)

    def to_dict(self) -> dict[str, Any]:
        """All but the tile, ready for JSON; infinite and undefined numbers become None."""
        content = asdict(self)
        del content["tile"]
        more = {"ok": self.ok, "finding": self.finding(), "severity": self.severity}
        return {**more, **_finite(content)}

    def figure(self) -> Figure:
        """Draw the verdict, who is to blame, and what a constant becomes: a matplotlib figure."""
        from upzoo.audit.figure import draw

        return draw([self])


def product(sizes: Sequence[float]) -> str:
    """3×3."""
    texts = [f"{size:g}" if size == int(size) else f"{size:.2f}" for size in sizes]
    return "×".join(texts)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value
