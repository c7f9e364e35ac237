"""The study's page: questions answered in words, numbers and intervals, from the records alone.

python -m studies.page results/study               # writes docs/results.md and its figures
python -m studies.page results/study logs/study    # picture sheets too, from the runs' weights
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from comparison import groups as comparison
from comparison.analysis import METRICS, Result, analyse
from comparison.files import METHOD, markdown_table
from comparison.groups import LeftOut
from comparison.tables import ARROWS, Sheet, words
from runs import console
from studies import answers as study_answers

#: What the others are held against: the model's own first choice.
BASELINES = {"dcgan": "transposed_conv"}
BASELINE = "bilinear_init"
PAGE, README, FIGURES = Path("docs/results.md"), Path("README.md"), Path("docs/figures")
#: Lines of the README between which the study's answers stand.
BEGIN, END = "<!-- begin study -->", "<!-- end study -->"
#: Columns of a group's table, as far as its records have them.
COLUMNS = (
    "miou",
    "boundary_f1",
    "fid",
    "swd",
    "psnr",
    "ssim",
    "grid_db",
    "response",
    "gradient_ratio",
    "sharpness_db",
    "parameters_upsampling",
    "flops_forward",
    "train_seconds",
)
ORDER = ("fcn8s-camvid", "unet-camvid", "fcn8s-shapes", "unet-shapes")
#: What a reader must know of a model, to read its groups.
REMARKS = {
    "dcgan": "The generator has no convolutions but the operators' own. Those that only "
    "interpolate or reassemble mix channels pixel by pixel, which costs less and draws worse: "
    "put a convolution behind them."
}


def read(folder: str | Path) -> tuple[list[Result], list[LeftOut]]:
    """The groups of a study, segmentation first."""
    study = comparison.collect([folder])
    results = [analyse(group, BASELINES.get(group.model, BASELINE)) for group in study.groups]
    place = {name: index for index, name in enumerate(ORDER)}
    return sorted(results, key=lambda r: place.get(r.group.name, len(ORDER))), study.left_out


def page(results: Sequence[Result], left_out: Sequence[LeftOut], figures: Path) -> str:
    """The page in Markdown; figures are linked that exist."""
    lines = ["# Which upsampling should a decoder use?", "", *_introduction(results), ""]
    lines += ["## Answers", ""]
    for answer in study_answers.answers(results):
        lines += [f"**{answer.question}** {answer.short}", ""]
        lines += [*(f"* {each}" for each in answer.evidence), ""]
    for result in results:
        name = result.group.name
        lines += [f"## {_title(result)}", ""]
        lines += [*markdown_table(table(result), result), ""]
        remark = [REMARKS[result.group.model]] if result.group.model in REMARKS else []
        lines += [f"* {sentence}" for sentence in [*remark, *words(result)]]
        lines += [f"* Note: {note}" for note in result.notes if "differ in more" not in note] + [""]
        for kind, what in (("front", "quality against artifact"), ("pictures", "pictures")):
            path = figures / f"study-{name}-{kind}.png"
            if path.is_file():
                lines += [f"![{result.group.title}: {what}](figures/{path.name})", ""]
    lines += ["## How it was measured", "", METHOD, "", *_method(), ""]
    if left_out:
        lines += ["Left out:", "", *(f"* `{e.path}`: {e.reason}" for e in left_out), ""]
    return "\n".join(lines)


def table(result: Result) -> Sheet:
    """One table for each group: an arm a row, the best first, ★ on the Pareto front."""
    names = [n for n in COLUMNS if n in result.estimates]
    header = ["operator", "front", "seeds"]
    header += [ARROWS[METRICS[n].better] + METRICS[n].title for n in names]
    rows = []
    for arm in result.group.arms:
        cells = [arm.label, "★" if arm.label in result.front else "", str(len(arm.runs))]
        for name in names:
            found, metric = result.estimates[name].get(arm.label), METRICS[name]
            text = "–" if found is None else metric.text(found.mean)
            if found is not None and found.half and metric.kind != "cost":
                text += f" ± {metric.text(found.half)}"
            cells.append(text)
        rows.append(cells)
    return Sheet("", header, rows)


def overview(results: Sequence[Result]) -> list[str]:
    """The decision in a few lines, and one table: quality and grid of every operator everywhere.

    The best quality of a group is bold.
    """
    runs = sum(len(arm.runs) for r in results for arm in r.group.arms)
    page = "numbers, intervals and pictures in [docs/results.md](docs/results.md)"
    lines = [f"**What {runs} trainings say** ({page}):", ""]
    lines += [f"* {a.line}" for a in study_answers.answers(results) if a.line is not None]
    header = ["operator", *(f"{_title(r)}: {_axes(r)}" for r in results)]
    labels = dict.fromkeys(arm.label for r in results for arm in r.group.arms)
    rows = [[label, *(_cell(r, label) for r in results)] for label in sorted(labels)]
    table = [header, ["---"] + ["--:"] * len(results), *rows]
    return [*lines, "", *(f"| {' | '.join(cells)} |" for cells in table)]


def _axes(result: Result) -> str:
    """What a cell of the overview holds: "↑ Mean IoU, % (↓ Grid, dB)"."""
    named = [METRICS[name] for name in (result.quality, result.artifact) if name is not None]
    first, *rest = (ARROWS[metric.better] + metric.title for metric in named)
    return f"{first} ({rest[0]})" if rest else first


def _cell(result: Result, label: str) -> str:
    """An arm's quality and, in brackets, its artifact; a dash where the group has no such arm."""
    texts = [
        METRICS[name].text(result.estimates[name][label].mean)
        for name in (result.quality, result.artifact)
        if name is not None and label in result.estimates[name]
    ]
    if not texts:
        return "–"
    best = result.group.arms[0].label == label
    first = f"**{texts[0]}**" if best else texts[0]
    return f"{first} ({texts[1]})" if len(texts) > 1 else first


def between(text: str, lines: Sequence[str]) -> str:
    """A text with lines put between its marks.

    Raises:
        ValueError: a mark is missing.
    """
    if BEGIN not in text or END not in text:
        raise ValueError(f"README.md lacks the lines {BEGIN} and {END}: the answers stand between")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    return "\n".join([before + BEGIN, "", *lines, "", END + after])


def draw(result: Result, folder: Path, pictured: Result | None = None) -> list[Path]:
    """Write the figures of a group; the picture sheet from runs that still have their weights."""
    from matplotlib import rc_context

    from comparison import figures as comparison_figures
    from comparison import plot as comparison_plot

    made = []
    with rc_context(comparison_plot.STYLE):
        figure = comparison_figures.front(result)
        if figure is not None:
            path = folder / f"study-{result.group.name}-front.png"
            made.append(comparison_plot.save(figure, path))
    if pictured is not None:
        from comparison import pictures as comparison_pictures

        sheets = comparison_pictures.write(pictured.group, 1, folder)
        made += [path.replace(folder / f"study-{path.name}") for path in sheets]
    return made


def _title(result: Result) -> str:
    tasks = {"fcn8s": "FCN-8s", "unet": "U-Net", "dcgan": "DCGAN", "deconvnet": "DeconvNet"}
    model, data = result.group.model, result.group.data
    return f"{tasks.get(model, model)} on {data}"


def _introduction(results: Sequence[Result]) -> list[str]:
    runs = [run for r in results for arm in r.group.arms for run in arm.runs.values()]
    hours = sum(run.values.get("train_seconds", 0) for run in runs) / 3600
    machines = sorted({r.record.machine["cpu"] for r in runs})
    return [
        f"{len(runs)} trainings, {hours:.1f} hours of training steps on one core each "
        f"({'; '.join(machines)}), all from scratch. Within a group everything but the operator "
        "is alike: the data in the same order, the other weights' start, the steps. Nets and "
        "budgets are small, and scores far below what these nets reach in the end "
        "([README](../README.md#results)): this page compares operators after a short training, "
        "and says so where the seeds do not tell them apart.",
        "",
        "Everything here is written by `python -m studies.page results/study` from the "
        "[records](../results/study); `benchmarks/study.sh DATA` trains it all again.",
    ]


def _method() -> list[str]:
    return [
        "The options of each group are in `configs/experiment/study/`. Scores are of the test "
        "split (CamVid: validation). *Grid* is the highest spectral peak of the pictures that a "
        "net makes (logits, samples, reconstructions) above that of real images, for logits above "
        "the frequencies around it; *response* is the grid that a constant input becomes, in % of "
        "the output's spread; the *gradient ratio* compares the phases of the input's gradient "
        "and is 1 where they are even; *sharpness* is 0 dB for pictures as detailed as real ones "
        "([artifacts.md](artifacts.md)). FLOPs are of one forward pass of one image. Training "
        "times are of a machine that did other work too: they tell factors, not percents. *Pairs* "
        "are runs of one seed and one setting that differ in the operator alone; their p is the "
        "sign test's over all settings together."
    ]


def main() -> None:
    """Write the page and its figures."""
    parser = argparse.ArgumentParser(prog="python -m studies.page", description=__doc__)
    parser.add_argument("records", help="folder of the records, such as results/study")
    parser.add_argument("runs", nargs="?", help="folder of the runs with their weights")
    given = parser.parse_args()
    results, left_out = read(given.records)
    pictured = {r.group.name: r for r in read(given.runs)[0]} if given.runs else {}
    for result in results:
        draw(result, FIGURES, pictured.get(result.group.name))
    PAGE.write_text(page(results, left_out, FIGURES), encoding="utf-8")
    README.write_text(between(README.read_text(encoding="utf-8"), overview(results)), "utf-8")
    print(f"written: {PAGE}, {README}")


if __name__ == "__main__":
    with console.user_errors():
        main()
