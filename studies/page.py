"""The study's page and README's answer: numbers, intervals and tests, from the records alone.

python -m studies.page     # reads results/, writes docs/results.md and lines of other pages
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from comparison import inference
from comparison.pages import inserted
from runs import console
from studies import across, conclusions, cost, figures, labels, literature
from studies.conclusions import Costs
from studies.evidence import Evidence, read
from studies.section import FEWEST_SEEDS, amount, brief, listed, names, section
from studies.settings import SETTINGS
from studies.variants import OPERATORS
from upzoo.atomic import whole

#: What heads the table of answers, and what its columns are.
COLUMNS = (
    "| setting | steps | take | not distinguishable from the best | finds | gaining |",
    "| --- | --: | --- | --- | --: | --: |",
)
LEGEND = (
    "*Take*: the cheapest of those that are not distinguishable from the best; none where leaving "
    "out one seed changes it. *Finds*: the smallest difference that such a setting finds in 80 of "
    "100 cases. *Gaining*: how many variants still gained in the last doubling of their training; "
    "where they did, what is best after a longer one is not known."
)
PAGE, README, FIGURES = Path("docs/results.md"), Path("README.md"), Path("docs/figures")
#: The page of one kind of setting, by the name of its data.
OF_DATA = {"super_resolution": Path("docs/super_resolution.md")}
#: Seeds from which README tells of a setting that is not finished.
ENOUGH = 3
#: Markers of a page between which the study's lines stand.
PART = "study"

INTRODUCTION = """\
# Which upsampling: the study

The questions, the rules and the splits were fixed before the first training, in
[protocol.md](protocol.md). Everything below is written by `python -m studies.page` from the
{records}, each of which holds its command and its commit.

How to read it:

* A *variant* is an operator with its options; they stand [at the end](#variants).
* One training is scored at every *budget*: what it had become by that step is what a training of
  that length gives. Scores are of test splits. Learning rates were chosen on validation data.
* *±* is half of the 95 % t-interval over seeds. In a figure the band of a score is that interval,
  the band of a difference is the 95 % interval over seeds and test images at once, or over seeds
  alone where a score is of all images together, such as the Fréchet distance.
* Two variants *differ* if the simultaneous 95 % interval of their difference (Tukey's, all pairs)
  excludes 0. They are *equivalent* if two one-sided tests place the difference within the margin,
  corrected after Holm. Everything else is *not known*, and the smallest difference that the design
  finds in 80 of 100 cases is given.
* The *noise floor* is how far two trainings of one and the same function came apart.
"""


def page(evidence: Sequence[Evidence], costs: Mapping[str, Costs], folder: Path) -> str:
    """The page in Markdown; figures are linked that exist in `folder`."""
    records = "[records](../results/study)" if evidence else "records in `results/study`"
    lines = [INTRODUCTION.format(records=records)]
    lines += [*trained(evidence), ""]
    for each in evidence:
        lines += [*section(each, costs.get(each.name, {}), folder)]
        lines += [*labels.order(each), *labels.drives(each), *labels.without_grid(each), ""]
    lines += [*literature.section({each.name: each for each in evidence}), ""]
    lines += variants(evidence)
    return "\n".join(lines).rstrip() + "\n"


def variants(evidence: Sequence[Evidence]) -> list[str]:
    """What train.py is told for each variant that was trained."""
    names = dict.fromkeys(variant for each in evidence for variant in each.own)
    rows = [[f"`{name}`", f"`{' '.join(OPERATORS[name])}`"] for name in names]
    if not rows:
        return []
    return ["## Variants", "", "| variant | options of train.py |", "| --- | --- |"] + [
        f"| {' | '.join(row)} |" for row in rows
    ]


def trained(evidence: Sequence[Evidence]) -> list[str]:
    """What was trained, and what of the plan was not."""
    rows = []
    by_name = {each.name: each for each in evidence}
    for name, setting in SETTINGS.items():
        planned = f"{len(setting.variants)} × {len(setting.seeds)}"
        each = by_name.get(name)
        if each is None:
            rows.append(f"| {setting.title} | {planned} | none | – | – |")
        else:
            done = f"{len(each.own)} × {len(each.seeds)}"
            done += f" ({len(each.trainings)} trainings)"
            rows.append(
                f"| {setting.title} | {planned} | {done} | {each.budgets[-1]:,} "
                f"| {each.hours:.1f} |"
            )
    return [
        "## What was trained",
        "",
        "| setting | planned, variants × seeds | trained with all seeds | longest budget, steps "
        "| hours of one core |",
        "| --- | --: | --: | --: | --: |",
        *rows,
        "",
        "A setting without trainings carries no claim.",
    ]


def overview(evidence: Sequence[Evidence], costs: Mapping[str, Costs]) -> list[str]:
    """README's answer: the advice of finished settings at their longest budget, what is open."""
    finished = [each for each in evidence if each.finished]
    lines = answers(finished, costs)
    lines += [
        so_far(each)
        for each in evidence
        if each not in finished and not each.missing and len(each.seeds) >= ENOUGH
    ]
    done = {each.name for each in finished}
    titles = [setting.title for name, setting in SETTINGS.items() if name not in done]
    if titles:
        lines += [
            *([""] if lines and lines[-1] else []),
            f"**What to take is not known yet** for {listed(titles)}: "
            "not all variants and seeds are trained.",
        ]
    where = "Tables, figures, variants and what is not known: [the study](docs/results.md)."
    return [*lines, "", where]


def answers(finished: Sequence[Evidence], costs: Mapping[str, Costs]) -> list[str]:
    """The advice of finished settings at their longest budgets, a row each, and its legend."""
    rows = [answer(each, costs.get(each.name, {})) for each in finished]
    return [*COLUMNS, *rows, "", LEGEND, ""] if rows else []


def answer(each: Evidence, costs: Costs) -> str:
    """A finished setting's row: the advice at its longest budget, and its limits."""
    last = each.budgets[-1]
    scores = conclusions.without_twins(each.scores(last))
    near = inference.near_best(scores, each.setting.better)
    chosen = None
    if all(variant in costs for variant in near):
        chosen = conclusions.advice(each, last, costs).variant
    ends = conclusions.last_doublings(each).values()
    cells = (
        each.setting.title,
        f"{last:,}",
        f"**`{chosen}`**" if chosen else "–",
        names(near),
        amount(each.setting, inference.detectable(scores)),
        f"{sum(not end.converged for end in ends)} of {len(ends)}",
    )
    return f"| {' | '.join(cells)} |"


def so_far(each: Evidence) -> str:
    """What an unfinished setting's seeds say at its longest budget, in a line; no advice."""
    last, seeds = each.budgets[-1], f"{len(each.seeds)} of {len(each.setting.seeds)} seeds"
    near = inference.near_best(conclusions.without_twins(each.scores(last)), each.setting.better)
    return (
        f"* {each.setting.title}, {last:,} steps, {seeds} so far: not distinguishable from the "
        f"best: {names(near)}."
    )


def of_data(data: str, evidence: Sequence[Evidence], costs: Mapping[str, Costs]) -> list[str]:
    """The settings of one data set in short, for the page that is about them."""
    titles = [setting.title for setting in SETTINGS.values() if setting.data == data]
    mine = [each for each in evidence if each.setting.data == data]
    lines = answers([each for each in mine if each.finished], costs)
    lines += across.table(mine)
    for each in mine:
        if len(each.seeds) >= FEWEST_SEEDS:
            titles.remove(each.setting.title)
            lines += [f"### {each.setting.title}", "", *brief(each, costs.get(each.name, {}))]
    if titles:
        lines += [
            f"Nothing is known yet of {listed(titles)}: not all seeds are trained.",
            "",
        ]
    return [*lines, "Figures, tests and learning rates: [the study](results.md)."]


def with_study(path: Path, lines: Sequence[str]) -> str:
    """The text of a page with the study's lines in their place."""
    return inserted(path.read_text(encoding="utf-8"), {PART: "\n".join(["", *lines, ""])})


def collect(results: Path) -> list[Evidence]:
    """The settings that have a seed of each of their variants, in the plan's order."""
    evidence = [read(name, results) for name in SETTINGS]
    return [each for each in evidence if each.own and each.seeds]


def texts(results: Path) -> dict[Path, str]:
    """The pages and the README as the records have them."""
    evidence = collect(results)
    costs = {name: cost.read(results / "study" / name) for name in SETTINGS}
    return {
        PAGE: page(evidence, costs, FIGURES),
        README: with_study(README, overview(evidence, costs)),
    } | {path: with_study(path, of_data(data, evidence, costs)) for data, path in OF_DATA.items()}


def main() -> None:
    """Write the page, its figures and the README's lines."""
    parser = argparse.ArgumentParser(prog="python -m studies.page", description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of records")
    results = parser.parse_args().results
    for each in collect(results):
        print(f"written: {figures.draw(each, FIGURES / f'study-{each.name}.png')}")
    for path, text in texts(results).items():
        with whole(path) as beside:
            beside.write_text(text, encoding="utf-8")
        print(f"written: {path}")


if __name__ == "__main__":
    with console.user_errors():
        main()
