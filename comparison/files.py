"""A comparison as files: a page in Markdown, a CSV with a line for each number, and JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from io import StringIO
from typing import Any
from urllib.parse import quote

from comparison.analysis import Result
from comparison.groups import LeftOut
from comparison.tables import Sheet, sheets, words
from runs.escape import markdown as markdown_text

METHOD = (
    "Mean ± half of the 95 % t-interval over seeds. ↑: higher is better, ↓: lower is. Differences "
    "are paired by seed; p is of the paired t-test, corrected after Holm over the operators of its "
    "table; g is Hedges' effect size. Significant means p < 0.05. Seeds needed: for power 0.8, "
    "were the difference and its spread those observed."
)


def markdown(
    results: Iterable[Result], left_out: Sequence[LeftOut], figures: Mapping[str, Sequence[str]]
) -> str:
    """The whole comparison as a page.

    Args:
        results: a group each.
        left_out: named at the end.
        figures: the group's name → paths of its pictures, relative to the page.
    """
    lines = ["# Comparison", "", METHOD, ""]
    for result in results:
        lines += section(result)
        for path in figures.get(result.group.name, []):
            name = markdown_text(path.rpartition("/")[2].removesuffix(".png"))
            lines += [f"![{name}]({quote(path)})", ""]
    if left_out:
        lines += ["## Left out", "", *listed(left_out), ""]
    return "\n".join(lines)


def section(result: Result) -> list[str]:
    """Lines of a group: its tables, conclusions and notes."""
    lines = [f"## {markdown_text(result.group.title)}", ""]
    for sheet in sheets(result):
        lines += [f"**{markdown_text(sheet.title)}**", "", *markdown_table(sheet, result), ""]
    sentences = [*words(result), *(f"Note: {note}" for note in result.notes)]
    return [*lines, *(f"* {markdown_text(sentence)}" for sentence in sentences), ""]


def listed(left_out: Iterable[LeftOut]) -> list[str]:
    """Lines of what is not used, and why."""
    return [f"* {markdown_text(each)}" for each in left_out]


def markdown_table(sheet: Sheet, result: Result) -> list[str]:
    """Lines of a Markdown table, the baseline in bold."""
    base = result.baseline and result.baseline.label
    rows = []
    for row in sheet.rows:
        cells = [markdown_text(cell) for cell in row]
        rows.append([f"**{c}**" if c else c for c in cells] if row[0] == base else cells)
    header = [markdown_text(cell) for cell in sheet.header]
    lines = [header, ["---"] + ["--:"] * (len(header) - 1), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def csv_text(results: Iterable[Result]) -> str:
    """One line for each variant and number: estimate, and contrast where there is one."""
    out = StringIO()
    head = ["model", "data", "split", "variant", "operator"]
    head += ["metric", "n", "mean", "half", "spread"]
    head += ["baseline", "pairs", "difference", "difference_half", "p", "p_holm", "p_flip"]
    head += ["effect", "seeds_needed", "verdict"]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    for result in results:
        group = result.group
        for variant in group.variants:
            for name, by_label in result.estimates.items():
                if (e := by_label.get(variant.label)) is None:
                    continue
                row: list[Any] = [group.model, group.data, group.split, variant.label]
                row += [variant.operator, name]
                row += [e.n, e.mean, e.half, e.spread]
                c = result.contrasts.get(name, {}).get(variant.label)
                if c is not None and c.difference is not None and result.baseline is not None:
                    d = c.difference
                    row += [result.baseline.label, d.n, d.mean, d.half, c.p, c.p_holm, c.p_flip]
                    row += [c.effect, c.needed, c.verdict]
                writer.writerow(row + [None] * (len(head) - len(row)))
    return out.getvalue()


def json_text(results: Iterable[Result], left_out: Sequence[LeftOut]) -> str:
    """Everything, each seed's values too."""
    groups = [_plain(result) for result in results]
    left = [{"path": each.path.as_posix(), "reason": each.reason} for each in left_out]
    content = {"groups": groups, "left_out": left}
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(result: Result) -> dict[str, Any]:
    variants = []
    for variant in result.group.variants:
        scores = {
            name: asdict(by_label[variant.label]) | {"values": variant.values(name)}
            for name, by_label in result.estimates.items()
            if variant.label in by_label
        }
        against = {
            name: asdict(by_label[variant.label])
            for name, by_label in result.contrasts.items()
            if variant.label in by_label
        }
        variants.append(
            {
                "label": variant.label,
                "operator": variant.operator,
                "options": dict(variant.options),
                "records": {seed: run.path.as_posix() for seed, run in variant.runs.items()},
                "scores": scores,
                "against_baseline": against,
            }
        )
    group = result.group
    return {
        "model": group.model,
        "data": group.data,
        "split": group.split,
        "baseline": result.baseline and result.baseline.label,
        "quality": result.quality,
        "artifact": result.artifact,
        "pareto_front": result.pareto_front,
        "conclusions": words(result),
        "notes": result.notes,
        "variants": variants,
    }
