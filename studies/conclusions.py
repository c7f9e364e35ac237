"""What follows from a setting's evidence by the rules of docs/protocol.md, and what does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import mean

from comparison import equivalence, inference
from comparison.inference import Floor, Pair, TukeyPair
from comparison.statistics import estimate, holm, paired_p
from studies.evidence import Evidence
from studies.setting import Hypothesis
from studies.variants import TWINS
from upzoo.metrics.catalogue import SCORES

#: Variant → processor seconds of a training step, then parameters; the lower the cheaper.
Costs = Mapping[str, tuple[float, float]]
Scores = Mapping[str, Mapping[int, float]]


def without_twins(scores: Scores) -> dict[str, Mapping[int, float]]:
    """The variants that are compared: a twin tells of noise alone."""
    return {variant: values for variant, values in scores.items() if variant not in TWINS}


def floor(evidence: Evidence, step: int) -> Floor | None:
    """How far trainings of one function came apart; None where there is no such pair."""
    scores = evidence.scores(step)
    for twin, other in TWINS.items():
        if twin in scores and other in scores:
            return inference.noise_floor(scores, twin, other)
    return None


def worth_acting_on(evidence: Evidence, step: int) -> list[Pair]:
    """Differences that are larger than the noise floor and than the setting's threshold."""
    noise = floor(evidence, step)
    least = max(evidence.setting.act, noise.means if noise else 0.0)
    pairs = inference.all_pairs(without_twins(evidence.scores(step)))
    return [pair for pair in pairs if pair.differs and abs(pair.difference) > least]


def equivalent(evidence: Evidence, step: int) -> list[Pair]:
    """Pairs whose difference is within the setting's margin by both one-sided tests."""
    scores = without_twins(evidence.scores(step))
    pairs = equivalence.equivalences(scores, evidence.setting.margin)
    return [pair for pair in pairs if pair.p < 0.05]


@dataclass(frozen=True)
class Advice:
    """What to take at a budget.

    Attributes:
        step: the budget.
        variant: the cheapest of those that are not distinguishable from the best; None where it
            depends on one seed.
        near_best: those, the best first.
        by_seed: what would be advised without one seed, seed → variant.
    """

    step: int
    variant: str | None
    near_best: list[str]
    by_seed: dict[int, str]


def advice(evidence: Evidence, step: int, costs: Costs) -> Advice:
    """The cheapest variant that is not distinguishable from the best, if no one seed decides it."""
    scores = without_twins(evidence.scores(step))
    better = evidence.setting.better
    near = inference.near_best(scores, better)
    by_seed = {}
    if len(evidence.seeds) > 2:  # two are the fewest that tell of an error
        for left_out in evidence.seeds:
            others = {v: {s: x for s, x in by.items() if s != left_out} for v, by in scores.items()}
            by_seed[left_out] = cheapest(inference.near_best(others, better), costs)
    found = cheapest(near, costs)
    stable = bool(by_seed) and set(by_seed.values()) == {found}
    return Advice(step, found if stable else None, near, by_seed)


def cheapest(variants: list[str], costs: Costs) -> str:
    """The variant with the shortest step, then the fewest parameters."""
    return min(variants, key=lambda variant: costs[variant])


@dataclass(frozen=True)
class Verdict:
    """A hypothesis at one budget.

    Attributes:
        hypothesis: what was claimed.
        step: the budget.
        difference: the first's mean less the second's.
        p: of its test, corrected over all of the setting.
        holds: whether the data support it.
        against: whether the opposite is supported.
    """

    hypothesis: Hypothesis
    step: int
    difference: float
    p: float
    holds: bool
    against: bool


def verdicts(evidence: Evidence) -> list[Verdict]:
    """The setting's hypotheses that its records can test, as one Holm family."""
    tests: list[tuple[Hypothesis, int, float, float]] = []
    for claim in evidence.setting.hypotheses:
        for step in {evidence.budgets[place]: None for place in claim.budgets}:
            scores = evidence.scores(step, claim.score)
            if len(evidence.seeds) < 2 or not {claim.first, claim.second} <= set(scores):
                continue
            first = [scores[claim.first][seed] for seed in evidence.seeds]
            second = [scores[claim.second][seed] for seed in evidence.seeds]
            gains = [a - b for a, b in zip(first, second, strict=True)]
            if claim.kind == "equivalent":
                p = equivalence.equivalence_p(first, second, evidence.setting.margin)
            else:
                p = paired_p(gains) or 0.0  # None: equal gains other than 0
            tests.append((claim, step, mean(gains), p))
    corrected = holm([p for *_, p in tests])
    found = []
    for (claim, step, difference, _), p in zip(tests, corrected, strict=True):
        gain = difference * SCORES[claim.score or evidence.setting.primary].better
        directed = claim.kind == "better"
        holds = p < 0.05 and (gain > 0 or not directed)
        against = directed and p < 0.05 and gain < 0
        found.append(Verdict(claim, step, difference, p, holds, against))
    return found


@dataclass(frozen=True)
class LastDoubling:
    """What the longest budget brought over the one before, against its uncertainty.

    Attributes:
        gain: by how much the mean score became better.
        half: half of the 95 % interval of the mean at the longest budget.
        own: half of the 95 % interval of the gain, by seed.
    """

    gain: float
    half: float
    own: float

    @property
    def converged(self) -> bool:
        """By the protocol: the gain is less than the half-width of the interval."""
        return self.gain < self.half


def last_doublings(evidence: Evidence) -> dict[str, LastDoubling]:
    """Variant → what the last doubling of its training brought; two seeds are the fewest.

    The A/A pair's second is left out, as from all that compares variants.
    """
    *_, before, last = evidence.budgets
    at_end, earlier = without_twins(evidence.scores(last)), evidence.scores(before)
    sign, found = evidence.setting.better, {}
    for variant, values in at_end.items():
        gains = estimate(
            [sign * (values[seed] - earlier[variant][seed]) for seed in evidence.seeds]
        )
        half = estimate(list(values.values())).half
        found[variant] = LastDoubling(gains.mean, half or 0.0, gains.half or 0.0)
    return found


@dataclass(frozen=True)
class Reversal:
    """Two variants whose order at one budget is not their order at a later one.

    Attributes:
        early: better at `step`.
        late: better at `later`, or equivalent there.
        step: a budget at which they differ.
        later: the budget at which they differ the other way, or are equivalent.
        equal: whether they are equivalent there.
    """

    early: str
    late: str
    step: int
    later: int
    equal: bool


def reversals(evidence: Evidence, steps: Sequence[int] | None = None) -> list[Reversal]:
    """Pairs that differ at a budget and differ the other way, or are equivalent, at the longest.

    The latest budget at which they differ is named; `steps` are those to look at, all by default.
    """
    last = evidence.budgets[-1]
    at_end = {(p.first, p.second): p for p in _pairs(evidence, last)}
    same = {(p.first, p.second) for p in equivalent(evidence, last)}
    found: dict[tuple[str, str], Reversal] = {}
    for step in evidence.budgets[:-1] if steps is None else steps:
        for pair in _pairs(evidence, step):
            key = (pair.first, pair.second)
            if not pair.differs or key not in at_end:
                continue
            sign = 1 if pair.difference > 0 else -1
            turned = at_end[key].differs and at_end[key].difference * sign < 0
            if turned or key in same:
                early, late = (key[1], key[0]) if sign * evidence.setting.better > 0 else key
                found[key] = Reversal(early, late, step, last, not turned)
    return list(found.values())


def crossings(evidence: Evidence) -> list[tuple[str, str, int, int]]:
    """Pairs whose means change order between two neighbouring budgets: before, after, from, to."""
    found = []
    for step, after in zip(evidence.budgets, evidence.budgets[1:], strict=False):
        now, then = (_means(evidence, each) for each in (step, after))
        for one, other in combinations(now, 2):
            if (now[one] - now[other]) * (then[one] - then[other]) < 0:
                first = (now[one] - now[other]) * evidence.setting.better > 0
                ahead, behind = (one, other) if first else (other, one)
                found.append((ahead, behind, step, after))
    return found


def ranks(evidence: Evidence) -> dict[str, list[int]]:
    """Variant → its place among the means at every budget, 1 the best."""
    places: dict[str, list[int]] = {}
    for step in evidence.budgets:
        means = _means(evidence, step)
        ordered = sorted(means, key=lambda v: -evidence.setting.better * means[v])
        for place, variant in enumerate(ordered, 1):
            places.setdefault(variant, []).append(place)
    return places


def _means(evidence: Evidence, step: int) -> dict[str, float]:
    scores = without_twins(evidence.scores(step))
    return {variant: mean(values.values()) for variant, values in scores.items()}


def _pairs(evidence: Evidence, step: int) -> list[TukeyPair]:
    return inference.all_pairs(without_twins(evidence.scores(step)))
