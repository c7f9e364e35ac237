"""One setting on the study's page: its answer, figure, table and tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from comparison import inference
from comparison.inference import Pair
from comparison.statistics import estimate
from studies import conclusions, pilots
from studies.conclusions import Costs, Reversal
from studies.evidence import Evidence
from studies.setting import Setting
from studies.variants import TWINS
from upzoo.metrics.catalogue import SCORES
from upzoo.metrics.checkerboard.scores import CHECKERBOARD_DB

#: Between a mean and half of its interval; a line does not break there.
PLUS_MINUS = "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"
#: The score of a checkerboard in pictures.
GRID = "checkerboard_db"
#: Fewest seeds of which anything is said but the scores themselves.
FEWEST_SEEDS = 2


def section(evidence: Evidence, costs: Costs, folder: Path) -> list[str]:
    """A setting: its answer, figure, table and tests."""
    setting, last = evidence.setting, evidence.budgets[-1]
    lines = [f"## {setting.title}", ""]
    lines += [*unfinished(evidence)]
    if len(evidence.seeds) >= FEWEST_SEEDS:
        lines += [*answer(evidence, costs), ""]
    path = folder / f"study-{evidence.name}.png"
    if path.is_file():
        alt = f"{setting.title}: test score, difference from {setting.baseline} and place, by steps"
        lines += [f"![{alt}](figures/{path.name})", ""]
    lines += [f"At the longest budget, {last:,} steps:", "", *table(evidence, costs), ""]
    if len(evidence.seeds) >= FEWEST_SEEDS:
        lines += [f"* {line}" for line in remarks(evidence)]
        lines += ["", *hypotheses(evidence)]
    lines += [*rates(evidence), *pilots.section(setting, evidence.tried)]
    return [*lines, *checks(evidence)]


def brief(evidence: Evidence, costs: Costs) -> list[str]:
    """A setting's answer, table and checks: for a page that is about more than the study."""
    lines = [*unfinished(evidence), *answer(evidence, costs), ""]
    lines += [f"At the longest budget, {evidence.budgets[-1]:,} steps:", ""]
    return [*lines, *table(evidence, costs), "", *checks(evidence)]


def unfinished(evidence: Evidence) -> list[str]:
    """What a reader must know before reading on."""
    setting, lines = evidence.setting, []
    if len(evidence.seeds) < len(setting.seeds):
        lines.append(
            f"**Not finished: {len(evidence.seeds)} of {len(setting.seeds)} seeds.** Nothing here "
            "is the study's answer yet."
        )
    if evidence.missing:
        names = ", ".join(f"`{variant}`" for variant in evidence.missing)
        lines.append(f"Not trained: {names}.")
    return [*lines, ""] if lines else []


def answer(evidence: Evidence, costs: Costs) -> list[str]:
    """The advice at the shortest, a middle and the longest budget."""
    setting, budgets = evidence.setting, evidence.budgets
    compared = [variant for variant in evidence.own if variant not in TWINS]
    known = {variant: costs[variant] for variant in compared if variant in costs}
    lines = []
    for step in dict.fromkeys((budgets[0], budgets[len(budgets) // 2], budgets[-1])):
        if len(known) < len(compared):
            scores = conclusions.without_twins(evidence.scores(step))
            near = inference.near_best(scores, setting.better)
            lines.append(f"* {step:,} steps: not distinguishable from the best: {names(near)}.")
            continue
        advice = conclusions.advice(evidence, step, known)
        others = f"not distinguishable from the best: {names(advice.near_best)}"
        if advice.variant is not None:
            lines.append(
                f"* {step:,} steps: take **`{advice.variant}`**, the cheapest of those {others}."
            )
        elif advice.by_seed:
            lines.append(f"* {step:,} steps: the cheapest depends on one seed; {others}.")
        else:
            lines.append(f"* {step:,} steps: too few seeds for advice; {others}.")
    unit = SCORES[setting.primary].heading
    return [f"By {unit} on {setting.split}:", "", *lines]


def table(evidence: Evidence, costs: Costs) -> list[str]:
    """A variant a row, the best first: the score that decides and the cost, then other scores."""
    setting, last = evidence.setting, evidence.budgets[-1]
    primary = evidence.scores(last)
    near = []
    if len(evidence.seeds) >= FEWEST_SEEDS:
        near = inference.near_best(conclusions.without_twins(primary), setting.better)
    heads = ["variant", "rate", heading(setting.split, setting.primary)]
    heads += ["step, ms"] * bool(costs) + ["parameters of upsampling, k"]
    rows, labels = [], {}
    for variant in sorted(primary, key=lambda v: -setting.better * sum(primary[v].values())):
        label = named(variant)
        labels[variant] = f"**{label}**" if variant in near else label
        run = evidence.own[variant][evidence.seeds[0]]
        cells = [labels[variant], f"{run.lr:g}"]
        cells.append(cell(setting.primary, primary[variant].values()))
        if costs:
            cells.append(f"{1000 * costs[variant][0]:.0f}" if variant in costs else "–")
        cells.append(SCORES["parameters_upsampling"].text(run.record.cost["parameters_upsampling"]))
        rows.append(cells)
    measured = {key: evidence.scores(last, key[1], key[0]) for key in setting.secondary}
    measured = {key: scores for key, scores in measured.items() if scores}
    others = [
        [label, *(cell(k[1], scores.get(v, {}).values()) for k, scores in measured.items())]
        for v, label in labels.items()
    ]
    note = ["", "Bold: not distinguishable from the best."] if near else []
    further = grid(["variant", *(heading(*key) for key in measured)], others)
    more = ["", "Further scores, in the same order:", "", *further]
    return [*grid(heads, rows), *(more if measured else []), *note]


def remarks(evidence: Evidence) -> list[str]:
    """Differences, equivalences, noise floor, convergence, crossings: a sentence each."""
    setting, last = evidence.setting, evidence.budgets[-1]
    scores = conclusions.without_twins(evidence.scores(last))
    pairs = len(scores) * (len(scores) - 1) // 2
    worth = conclusions.worth_acting_on(evidence, last)
    differing = [pair for pair in inference.all_pairs(scores) if pair.differs]
    same = conclusions.equivalent(evidence, last)
    margin = f"equivalent within ±{amount(setting, setting.margin)}"
    alike = f"{len(same)} are {margin}" if same else f"none is {margin}"
    alike += f": {pairs_text(same)}" if 0 < len(same) < pairs else ""
    noise = conclusions.floor(evidence, last)
    least = amount(setting, setting.act) + (" and than the noise floor" if noise else "")
    lines = [
        f"{len(differing)} of {pairs} pairs differ, {len(worth)} by enough to act on (more than "
        f"{least}); {alike}. The design "
        f"finds a difference of {amount(setting, inference.detectable(scores))} in 80 of 100 cases."
    ]
    own = inference.near_best(scores, setting.better, pairs=inference.all_pairs_own_variances)
    lines.append(
        "With each variant's own variance (Games and Howell's intervals), not distinguishable from "
        f"the best: {names(own)}."
    )
    if noise is not None:
        lines.append(
            f"Noise floor: the means of two trainings of one function differ by "
            f"{amount(setting, noise.means)}, single seeds by up to "
            f"{amount(setting, noise.largest)}."
        )
    ends = conclusions.last_doublings(evidence)
    rising = [variant for variant, end in ends.items() if not end.converged]
    sign = "+" if setting.better > 0 else "−"
    shown = ", ".join(f"`{v}` ({sign}{amount(setting, ends[v].gain)})" for v in rising)
    lines.append(
        "The last doubling brought each variant less than the half-width of its interval."
        if not rising
        else f"Not converged, by what the last doubling brought: {shown}."
    )
    lines += grids(evidence)
    turned = conclusions.reversals(evidence)
    lines += [reversed_text(variant, turned) for variant in dict.fromkeys(e.early for e in turned)]
    crossing = conclusions.crossings(evidence)
    lines.append(
        f"The means of {len({frozenset(c[:2]) for c in crossing})} of {pairs} pairs change order "
        f"between two budgets; for {len(turned)} of them both orders, or an order and an "
        "equivalence, are significant."
    )
    return lines


def grids(evidence: Evidence) -> list[str]:
    """Whose pictures have a checkerboard, where that is measured: a sentence."""
    setting, last, texts = evidence.setting, evidence.budgets[-1], []
    if (setting.split, GRID) not in setting.secondary:
        return []
    for variant, scores in evidence.scores(last, GRID).items():
        called = [db for db in scores.values() if db >= CHECKERBOARD_DB]
        if called:
            most = SCORES[GRID].text(max(called))
            texts.append(f"`{variant}` ({len(called)} of {len(scores)} seeds, up to {most} dB)")
    called_so = f"{CHECKERBOARD_DB:g} dB above real pictures, from where it is called one"
    if not texts:
        return [f"No seed's pictures have a checkerboard of {called_so}."]
    return [f"A checkerboard of at least {called_so}: {', '.join(texts)}."]


def reversed_text(early: str, reversals: Sequence[Reversal]) -> str:
    """What a variant that leads early loses to, or loses its lead over, by the longest budget."""
    parts = []
    for equal, words in ((False, "worse than"), (True, "equivalent to")):
        those = [each for each in reversals if each.early == early and each.equal == equal]
        if those:
            shown = ", ".join(f"`{each.late}` (better up to {each.step:,} steps)" for each in those)
            parts.append(f"{words} {shown}")
    return f"`{early}` leads early, and is at {reversals[0].later:,} steps {'; '.join(parts)}."


def hypotheses(evidence: Evidence) -> list[str]:
    """What was claimed beforehand, and what the tests say."""
    found = conclusions.verdicts(evidence)
    if not found:
        return []
    rows = []
    for each in found:
        claim = each.hypothesis
        score = SCORES[claim.score or evidence.setting.primary]
        outcome = "supported" if each.holds else "refuted" if each.against else "not supported"
        difference = signed(score.text(each.difference))
        rows.append(
            f"| {claim.name} | {claim.sentence} | {each.step:,} | {difference} "
            f"| {'< 0.001' if each.p < 0.001 else f'{each.p:.3f}'} | {outcome} |"
        )
    return [
        "Hypotheses of the protocol (p corrected over this table):",
        "",
        "| | claim | steps | difference | p | |",
        "| --- | --- | --: | --: | --: | --- |",
        *rows,
        "",
    ]


def rates(evidence: Evidence) -> list[str]:
    """Variants at their own and at the common learning rate, of the seeds that have both."""
    if not evidence.common:
        return []
    setting, last, rows = evidence.setting, evidence.budgets[-1], []
    for variant, runs in evidence.common.items():
        seeds = [seed for seed in evidence.seeds if seed in runs]
        at = [runs[seed].score(setting.split, setting.primary, last) for seed in seeds]
        own = [evidence.scores(last)[variant][seed] for seed in seeds]
        both = [(a, b) for a, b in zip(own, at, strict=True) if b is not None]
        if both:
            one, other = zip(*both, strict=True)
            rows.append(
                f"| `{variant}` | {evidence.own[variant][seeds[0]].lr:g} "
                f"| {len(both)} of {len(setting.seeds)} "
                f"| {cell(setting.primary, one)} | {cell(setting.primary, other)} |"
            )
    return [
        f"At its own and at the common learning rate of {setting.common:g}:",
        "",
        "| variant | own rate | seeds | score at it | at the common rate |",
        "| --- | --: | --: | --: | --: |",
        *rows,
        "",
    ]


def checks(evidence: Evidence) -> list[str]:
    """Trainings that differ from the study's in one thing, beside those of the same seeds."""
    if not evidence.checks:
        return []
    setting, last, rows = evidence.setting, evidence.budgets[-1], []
    scores = [(setting.split, setting.primary), *setting.secondary]
    for check, trainings in evidence.checks.items():
        for variant, runs in trainings.items():
            seeds = [seed for seed in runs if seed in evidence.seeds]
            own = evidence.own.get(variant, {})
            for label, those in ((f", {check}", runs), ("", own)):
                cells = [
                    cell(
                        name,
                        [v for s in seeds if (v := those[s].score(split, name, last)) is not None],
                    )
                    for split, name in scores
                ]
                rows.append([f"`{variant}`{label}", *cells])
    heads = ["variant", *(heading(*score) for score in scores)]
    rows = [[text.replace(PLUS_MINUS, " ± ") for text in row] for row in rows]  # as it is wide
    return ["Checks of the protocol, at the same seeds:", "", *grid(heads, rows), ""]


def grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table, the first column to the left and the others to the right."""
    lines = [heads, ["---", *["--:"] * (len(heads) - 1)], *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def heading(split: str, name: str) -> str:
    """Of a column: arrow, title, unit, split."""
    score = SCORES[name]
    arrow = {1: "↑ ", -1: "↓ ", 0: ""}[score.better]
    return f"{arrow}{score.heading}, {split}"


def cell(name: str, values: Iterable[float]) -> str:
    """Mean ± half of the interval."""
    listed_values = list(values)
    if not listed_values:
        return "–"
    found, score = estimate(listed_values), SCORES[name]
    return score.text(found.mean) + (f"{PLUS_MINUS}{score.text(found.half)}" if found.half else "")


def amount(setting: Setting, value: float) -> str:
    """A difference of the primary score, with its unit; one decimal more than the score has."""
    score = SCORES[setting.primary]
    unit = "points" if score.unit == "%" else score.suffix
    return f"{score.scale * value:.{(score.decimals or 2) + 1}f} {unit}".rstrip()


def pairs_text(pairs: Sequence[Pair]) -> str:
    """Names of pairs."""
    return "; ".join(f"`{pair.first}` and `{pair.second}`" for pair in pairs)


def names(variants: Sequence[str]) -> str:
    """Variants in one line."""
    return ", ".join(f"`{variant}`" for variant in variants)


def named(variant: str) -> str:
    """A variant in a row, the A/A pair's second marked."""
    return f"`{variant}`" + (" (A/A)" if variant in TWINS else "")


def listed(texts: Sequence[str]) -> str:
    """Texts in one sentence."""
    return ", ".join(texts[:-1]) + (" and " if len(texts) > 1 else "") + texts[-1]


def signed(text: str) -> str:
    """A number with its sign."""
    return text if text.startswith("−") else f"+{text}"
