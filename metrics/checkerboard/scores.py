"""All checkerboard measures of generated images against real ones, in one streaming metric."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from upzoo.metrics.checkerboard.phases import coherence
from upzoo.metrics.checkerboard.power import check_periods
from upzoo.metrics.checkerboard.profile import profile_distance
from upzoo.metrics.checkerboard.sharpness import sharpness
from upzoo.metrics.checkerboard.spectrum import harmonics
from upzoo.metrics.checkerboard.terms import (
    NAMES,
    Terms,
    averaged,
    bootstrap_weights,
    measured,
    measures,
    null_weights,
)

SIDES = ("generated", "real")
CHANCE = 0.99  # quantile of what real images give by chance
JUDGED = ("peak_excess_db", "phase_mean", "phase_variance_ratio")
# Besides being above chance: what blur, noise or enlargement can do to a spectrum by themselves
# stays below (docs/artifacts.md).
CHECKERBOARD_DB = 6.0
UNEVEN = 1.5  # the same for the phase-variance ratio
BLURRED_DB = 1.0  # difference of sharpness that is worth a word


class CheckerboardScores(Metric):
    """Grids in generated images: spectral peaks, phases, sharpness, beside real images.

    What is kept of an image is a few hundred numbers, for periods 2, 4, 8 about 2 kB, whatever its
    size. Every frequency is judged once, with the smallest of the periods that has it: a
    checkerboard of period 2 does not count again at 4 and 8. Intervals and thresholds come from a
    generator of their own, and are the same in every run.

    Args:
        periods: to look for, in pixels: 2 and its powers up to the decoder's scale.
        compared: with real images. Without them half of each spectrum is left out, which changes
            no figure.
        confidence: of the interval of the excess, by a bootstrap over generated and real images.
        resamples: sets drawn for interval and threshold.
        **kwargs: handed to `torchmetrics.Metric`.

    Raises:
        ValueError: no period, one below 2, a confidence outside 0…1, fewer than 100 resamples.

    Example:
        >>> scores = CheckerboardScores(periods=(2, 4))
        >>> noise = torch.randn(80, 1, 32, 32, generator=torch.Generator().manual_seed(0))
        >>> checker = (-1.0) ** torch.arange(32).add(torch.arange(32)[:, None])
        >>> scores.update(noise[:40], real=True)
        >>> scores.update(noise[40:] + 0.2 * checker, real=False)
        >>> values = scores.compute()
        >>> round(values["checkerboard_db"], 1), round(values["period2_phase_mean"], 2)
        (14.6, 0.18)
        >>> describe(values)
        'checkerboard at period 2, 14.6 dB above real images, mostly additive'
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False

    def __init__(
        self,
        periods: Sequence[int] = (2, 4, 8),
        *,
        compared: bool = True,
        confidence: float = 0.95,
        resamples: int = 400,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_periods(periods)
        if not 0 < confidence < 1:
            raise ValueError(f"confidence={confidence} is no share: give one between 0 and 1")
        if resamples < 100:
            raise ValueError(f"resamples={resamples} are too few for an interval: give 100 or more")
        self.periods = tuple(sorted(set(periods)))
        self.compared = compared
        self.confidence = confidence
        self.resamples = resamples
        for side in SIDES:
            for name in NAMES:
                self.add_state(f"{side}_{name}", [], dist_reduce_fx="cat")

    def update(self, images: Tensor, real: bool) -> None:
        """Add images or logits (B, C, H, W), all of one size and number of channels.

        Raises:
            ValueError: images of another size, too small or not finite; real ones where
                `compared=False` said that there are none.
        """
        if real and not self.compared:
            raise ValueError("real images where compared=False said there are none: leave it out")
        terms = measured(images.detach(), self.periods, self.compared)
        side = SIDES[bool(real)]
        for other in SIDES:
            seen = getattr(self, f"{other}_grid"), getattr(self, f"{other}_profile")
            if seen[0] and (
                seen[0][0].shape[1:] != terms["grid"].shape[1:]
                or seen[1][0].shape[1:] != terms["profile"].shape[1:]
            ):
                raise ValueError(
                    f"images of {tuple(images.shape)} differ from the {other} ones before in size "
                    "or channels: give all of one size"
                )
        for name, values in terms.items():  # measured where the images are, kept where this is
            getattr(self, f"{side}_{name}").append(values.to(self.device))

    def compute(self) -> dict[str, float]:
        """Return every figure by name.

        `checkerboard_db` is the worst `peak_excess_db` of all periods. For each period p:
        `period<p>_peak_excess_db` in dB above real images, with `_low` and `_high` of its interval
        at the harmonic that is highest; `_mean_excess_db` of all its harmonics; `_coherence`, the
        share of the highest peak that is the same in all images; `_phase_mean` in standard
        deviations of the image; `_phase_variance_ratio`. `_threshold` beside excess, mean and ratio
        is the 99th percentile of pairs of sets of real images. `sharpness_db` is 0 for the detail
        of real images, `profile_distance_db` 0 for their radial profile.
        Without real images the excess is that above the surrounding frequencies, and whatever
        needs real images is nan.

        Raises:
            ValueError: no generated images were given.
        """
        generated, real = self._terms("generated"), self._terms("real")
        if generated is None:
            raise ValueError("no generated images to score: call update(images, real=False) first")
        generator = torch.Generator().manual_seed(0)
        by_period = measures(_mean(generated), _mean(real) if real else None, self.periods)
        low, high = self._interval(generated, real, by_period, generator)
        thresholds = self._thresholds(len(generated["peak"]), real, generator)
        values = {"checkerboard_db": max(f["peak_excess_db"].item() for f in by_period.values())}
        for period in self.periods:
            name = f"period{period}_"
            values |= {
                name + key: value.item()
                for key, value in by_period[period].items()
                if key != "excess_db"
            }
            values[name + "peak_excess_db_low"] = low[period]
            values[name + "peak_excess_db_high"] = high[period]
            values |= {f"{name}{key}_threshold": thresholds[period][key] for key in JUDGED}
            values[name + "coherence"] = self._coherence(generated, period, by_period)
        values["sharpness_db"] = values["profile_distance_db"] = math.nan
        if real:
            ours, theirs = generated["spread"][:, 1], real["spread"][:, 1]
            values["sharpness_db"] = sharpness(ours, theirs).item()
            profiles = (terms["profile"].mean(0) for terms in (generated, real))
            values["profile_distance_db"] = profile_distance(*profiles).item()
        return values

    def plot(
        self, val: Mapping[str, float] | Sequence[Mapping[str, float]] | None = None, ax: Any = None
    ) -> Any:
        """Plot `checkerboard_db` of one result of `compute` or of several, without bounds."""
        result = self.compute() if val is None else val
        several = [result] if isinstance(result, Mapping) else result
        figures = [torch.tensor(values["checkerboard_db"]) for values in several]
        return self._plot(figures if len(figures) > 1 else figures[0], ax)

    def _terms(self, side: str) -> Terms | None:
        """All terms of a side, on the CPU; None where there are no images."""
        states = {name: getattr(self, f"{side}_{name}") for name in NAMES}
        if not len(states["peak"]):
            return None
        return {name: dim_zero_cat(state).cpu() for name, state in states.items()}

    def _interval(
        self,
        generated: Terms,
        real: Terms | None,
        by_period: dict[int, dict[str, Tensor]],
        generator: torch.Generator,
    ) -> tuple[dict[int, float], dict[int, float]]:
        """Low and high ends of the peak excess; nan with fewer than two images on a side."""
        sides = [side for side in (generated, real) if side]
        if min(len(side["peak"]) for side in sides) < 2:
            unknown = dict.fromkeys(self.periods, math.nan)
            return unknown, unknown
        drawn = [
            averaged(side, bootstrap_weights(len(side["peak"]), self.resamples, generator))
            for side in sides
        ]
        redrawn = measures(drawn[0], drawn[1] if real else None, self.periods)
        tail = (1 - self.confidence) / 2
        ends = torch.tensor([tail, 1 - tail])
        low, high = {}, {}
        for period, measure in redrawn.items():
            # at the harmonic that is highest in all images: the maximum of each set would be biased
            highest = by_period[period]["excess_db"][0].argmax()
            low[period], high[period] = measure["excess_db"][:, highest].quantile(ends).tolist()
        return low, high

    def _coherence(
        self, generated: Terms, period: int, by_period: dict[int, dict[str, Tensor]]
    ) -> float:
        """Coherence of the highest harmonic that is the period's own."""
        place = self.periods.index(period)
        own = harmonics(period, self.periods[:place])
        highest = own[int(by_period[period]["excess_db"][0].argmax())]
        start = sum(p**2 for p in self.periods[:place])
        maps = generated["grid"][..., start : start + period**2]
        return coherence(maps.unflatten(-1, (period, period)), highest).item()

    def _thresholds(
        self, count: int, real: Terms | None, generator: torch.Generator
    ) -> dict[int, dict[str, float]]:
        """What real images exceed by chance in 1 % of pairs of sets; nan with fewer than 4."""
        if real is None or len(real["peak"]) < 4:
            return {period: dict.fromkeys(JUDGED, math.nan) for period in self.periods}
        size = len(real["peak"])
        weights = null_weights(size, count, size, self.resamples, generator)
        ours, others = (averaged(real, w) for w in weights)
        null = measures(ours, others, self.periods)
        return {
            period: {key: measure[key].quantile(CHANCE).item() for key in JUDGED}
            for period, measure in null.items()
        }


def _mean(terms: Terms) -> Terms:
    return {name: values.mean(0, keepdim=True) for name, values in terms.items()}


def describe(values: Mapping[str, float]) -> str:
    """Say in words what `CheckerboardScores.compute` found.

    A period has a checkerboard where its peak stands 6 dB or more above real images, and above what
    chance gives. A period that divides another one with a checkerboard belongs to that
    checkerboard. It is additive where more than half of its power is the same in all images,
    multiplicative where it is not and the detail of the phases differs; else its sign changes from
    image to image or place to place.

    Example:
        >>> describe({"period2_peak_excess_db": 0.2, "sharpness_db": -4.0})
        'no checkerboard: 0.2 dB at period 2; 4.0 dB less fine detail than real images'
    """
    excess = _by_period(values, "peak_excess_db")
    chance = _by_period(values, "peak_excess_db_threshold")
    # a comparison with nan is false: without real images 6 dB is the mark alone
    periods_found = [
        p for p, db in excess.items() if db > CHECKERBOARD_DB and not db < chance.get(p, math.nan)
    ]
    largest = [p for p in periods_found if not any(q > p and q % p == 0 for q in periods_found)]
    worst = max(excess, key=lambda period: excess[period])
    against = "its surroundings" if math.isnan(values["sharpness_db"]) else "real images"
    if periods_found:
        periods = f"period{'s' * (len(largest) > 1)} {' and '.join(map(str, largest))}"
        sentence = f"checkerboard at {periods}, {excess[worst]:.1f} dB above {against}"
        sentence += _kind(values, worst)
    else:
        sentence = f"no checkerboard: {excess[worst]:.1f} dB at period {worst}"
    ratios = _by_period(values, "phase_variance_ratio")
    chance = _by_period(values, "phase_variance_ratio_threshold")
    uneven = [p for p, ratio in ratios.items() if ratio > max(UNEVEN, chance[p])]
    if uneven and not periods_found:
        period = max(uneven, key=lambda period: ratios[period])
        if math.isinf(ratios[period]):
            sentence += f"; some phases of period {period} have no fine detail at all"
        else:
            sentence += (
                f"; fine detail differs ×{ratios[period]:.3g} between phases of period {period}"
            )
    detail = values["sharpness_db"]
    if abs(detail) >= BLURRED_DB:
        more = "less" if detail < 0 else "more"
        sentence += f"; {abs(detail):.1f} dB {more} fine detail than real images"
    return sentence


def _by_period(values: Mapping[str, float], key: str) -> dict[int, float]:
    """One figure of every period."""
    figures = {}
    for name, value in values.items():
        period, _, rest = name.partition("_")
        if rest == key and period.startswith("period"):
            figures[int(period.removeprefix("period"))] = value
    return figures


def _kind(values: Mapping[str, float], period: int) -> str:
    """Whether it is additive, multiplicative or of changing sign; empty if not known."""
    share = values.get(f"period{period}_coherence", math.nan)
    if math.isnan(share):
        return ""
    if share > 0.5:
        return ", mostly additive"
    ratio = values[f"period{period}_phase_variance_ratio"]
    chance = values[f"period{period}_phase_variance_ratio_threshold"]
    uneven = ratio > (UNEVEN if math.isnan(chance) else chance)
    return ", mostly multiplicative" if uneven else ", of changing sign"
