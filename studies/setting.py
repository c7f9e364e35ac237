"""What a setting of the study is: a net on data, its variants, its scores and what is claimed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from upzoo.metrics.catalogue import SCORES


@dataclass(frozen=True)
class Pilot:
    """How a setting's learning rates are chosen.

    Attributes:
        rates: to choose from.
        overrides: options of train.py that make the training short and keep the test split out.
        metric: the validation score that decides.
    """

    rates: Sequence[float]
    overrides: Sequence[str]
    metric: str


@dataclass(frozen=True)
class Hypothesis:
    """A statement about two variants that a test can reject (docs/protocol.md).

    Attributes:
        name: of the page's table.
        sentence: what is claimed.
        first: a variant.
        second: another.
        kind: "better": the first's score is better than the second's; "equivalent": they differ by
            less than the setting's margin.
        score: None for the setting's primary one.
        budgets: indices into the setting's budgets; one test each.
    """

    name: str
    sentence: str
    first: str
    second: str
    kind: str
    score: str | None = None
    budgets: Sequence[int] = (-1,)


@dataclass(frozen=True)
class Setting:
    """A net on data, trained with several operators.

    Attributes:
        title: for people.
        experiment: in configs/experiment/study.
        data: folder of the data within the user's.
        variants: keys of `OPERATORS`, the most worth first.
        primary: the score that decides.
        split: the test split that it is of.
        figures: names of the figures of each image that the score is a mean of, or a mean IoU; none
            where it is of all images together.
        pooled: the figures are PSNR, and the score that of all images' squared error together.
        margin: differences below it are none, in the score's unit.
        act: differences up to it are not worth acting on.
        secondary: further scores of the page's table, split and name.
        parts: of the test split that are also scored alone, by how their images' names begin.
        hypotheses: tested at their budgets, one Holm family.
        seeds: of the study.
        common: the learning rate that every variant is trained at, too.
        rate_options: of train.py, that set it.
        pilot: None where the setting has one rate only.
        overrides: options of train.py for all of its trainings.
        rates_of: the setting whose variants' own rates it has, by the protocol; None for its own.
        baseline: the variant from which the figure draws differences; by default the one that
            learns nothing.
        checks: name of a check → its variants, its seeds, its options of train.py.
    """

    title: str
    experiment: str
    data: str
    variants: Sequence[str]
    seeds: Sequence[int]
    common: float
    primary: str
    split: str
    figures: Sequence[str]
    margin: float
    act: float
    secondary: Sequence[tuple[str, str]] = ()
    pooled: bool = False
    parts: Mapping[str, str] = field(default_factory=dict)
    hypotheses: Sequence[Hypothesis] = ()
    pilot: Pilot | None = None
    overrides: Sequence[str] = ()
    rate_options: Sequence[str] = ("task.lr",)
    rates_of: str | None = None
    baseline: str = "bilinear_fixed"
    checks: Mapping[str, tuple[Sequence[str], Sequence[int], Sequence[str]]] = field(
        default_factory=dict
    )

    @property
    def better(self) -> int:
        """1 where a higher primary score is better, -1 where a lower one is."""
        return SCORES[self.primary].better
