"""What papers say of operators beside the study's records at its shortest and longest budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from comparison import inference
from comparison.inference import Pair
from studies import conclusions
from studies.evidence import Evidence
from upzoo.metrics.catalogue import SCORES

FILE = Path(__file__).with_name("literature.yaml")


@dataclass(frozen=True)
class Statement:
    """One line of literature.yaml.

    Attributes:
        paper: author, year, place.
        statement: what it says.
        settings: of ours that are nearest.
        first: a variant.
        second: another.
        score: that the statement is about.
        published: the first's score less the second's, as shown; None without a figure.
    """

    paper: str
    statement: str
    settings: list[str]
    first: str
    second: str
    score: str
    published: float | None


def statements() -> list[Statement]:
    """All of them, in the file's order."""
    return [Statement(**entry) for entry in yaml.safe_load(FILE.read_text(encoding="utf-8"))]


def section(evidence: Mapping[str, Evidence]) -> list[str]:
    """The table of those that our records say something of; none where they say nothing."""
    rows, silent = [], []
    for each in statements():
        published = "–" if each.published is None else f"{each.published:+.1f}".replace("-", "−")
        pair = f"`{each.first}` − `{each.second}`, {SCORES[each.score].heading}"
        told = len(rows)
        for found in [evidence[name] for name in each.settings if name in evidence]:
            end = difference(found, each, found.budgets[-1])
            if end is not None:
                short = difference(found, each, found.budgets[0])
                said = (each.paper, each.statement) if told == len(rows) else ("", "")
                ours = (f"{pair}: {found.setting.title}", published, text(each, short))
                rows.append(f"| {' | '.join([*said, *ours, text(each, end)])} |")
        if told == len(rows):
            silent.append(each.paper)
    if not rows:
        return []
    lines = [
        "## What it meets of the literature",
        "",
        "Other nets, data and budgets than ours; what can be compared is the sign and the size of "
        "a difference. Simultaneous 95 % intervals.",
        "",
        "| source | statement | our pair | published | shortest budget | longest budget |",
        "| --- | --- | --- | --: | --: | --: |",
        *rows,
    ]
    if silent:
        lines += ["", f"Nothing was trained that tells of: {'; '.join(dict.fromkeys(silent))}."]
    return lines


def difference(evidence: Evidence, about: Statement, step: int) -> Pair | None:
    """The first less the second at a budget; None where the records lack either."""
    scores = conclusions.without_twins(evidence.scores(step, about.score))
    if len(evidence.seeds) < 2 or not {about.first, about.second} <= set(scores):
        return None
    for pair in inference.all_pairs(scores):
        if (pair.second, pair.first) == (about.first, about.second):
            return pair
        if (pair.first, pair.second) == (about.first, about.second):
            return Pair(pair.second, pair.first, -pair.difference, -pair.high, -pair.low)
    return None


def text(about: Statement, pair: Pair | None) -> str:
    """A difference with its interval, bold where it excludes 0; a dash where there is none."""
    if pair is None:
        return "–"
    score = SCORES[about.score]
    shown = f"{score.text(pair.difference)} [{score.text(pair.low)}, {score.text(pair.high)}]"
    return f"**{shown}**" if pair.differs else shown
