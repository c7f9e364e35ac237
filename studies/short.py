"""The page of the earlier, short trainings: their numbers and intervals, from the records alone.

It says how operators start, until the study's own settings (`studies.settings`) replace it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from comparison import groups
from comparison.analysis import Result, analyse
from comparison.files import markdown_table
from comparison.groups import Group, LeftOut, Variant
from comparison.statistics import Estimate
from comparison.tables import ARROWS, Sheet
from upzoo.metrics.catalogue import SCORES

#: The model's own first choice, from which the differences are taken.
BASELINES = {"dcgan": "transposed_conv"}
BASELINE = "bilinear_init"
#: Labels of bilinear interpolation: one function wherever they have the same parameters.
BILINEAR = ("bilinear_init", "interpolate", "bilinear_additive")
#: Operators with kernels that start at random.
RANDOM = ("transposed_conv", "pixel_shuffle", "resize_conv")
#: Columns of a setting's table, as far as its records have them.
COLUMNS = (
    "miou",
    "boundary_f1",
    "fid",
    "swd",
    "psnr",
    "ssim",
    "checkerboard_db",
    "sharpness_db",
)
#: Measures of pictures, which a segmentation net's logits are not.
OF_PICTURES = ("checkerboard_db", "sharpness_db")
ORDER = ("fcn8s-camvid", "unet-camvid", "fcn8s-shapes", "unet-shapes")
#: What a reader must know of a model or of data, to read its tables.
REMARKS = {
    "dcgan": "The generator has no convolutions but the operators' own, so that the table compares "
    "nets of different sizes.",
    "camvid": "The validation split is one clip, 101 frames of drive 0016E5, of which 204 other "
    "frames are training data. Test scores of these nets are not recorded.",
}
LIMITS = (
    "The trainings are short, most of a minute or two. They tell how operators start. Which is "
    "best after a full training is not known yet.",
    "Within a setting all but the operator is alike: data in the same order, the other weights' "
    "start, steps, learning rate. The learning rate was tuned for none of them.",
    "*Difference* is to the row that says *baseline*, paired by seed, with the 95 % interval of "
    "one comparison, not corrected for their number. An interval that holds 0 leaves open which is "
    "better; it does not show that both are equal.",
    "Operators that compute the same function are one row. What their repeated trainings differ "
    "by is given below the table.",
)


METHOD = (
    "Mean ± half of the 95 % t-interval over seeds. ↑: higher is better, ↓: lower is. The options "
    "of each setting are in `configs/experiment/study/`. *Grid* is the highest spectral peak of "
    "generated or rebuilt pictures at a period of 2, 4 or 8 pixels, above that of real images; "
    "below 6 dB none is called a checkerboard ([artifacts.md](artifacts.md)). "
    "*Sharpness* is 0 dB for pictures as detailed as real ones. FLOPs are of one forward pass of "
    "one image. Training times are of a machine that did other work too."
)


@dataclass(frozen=True)
class Setting:
    """One model on one data set; `repeats` are variants that compute what another variant does."""

    result: Result
    repeats: list[Variant]

    @property
    def title(self) -> str:
        """For people: "FCN-8s on camvid, val"."""
        names = {"fcn8s": "FCN-8s", "unet": "U-Net", "dcgan": "DCGAN", "deconvnet": "DeconvNet"}
        group = self.result.group
        return f"{names.get(group.model, group.model)} on {group.data}, {group.split}"

    def label(self, variant: Variant) -> str:
        """A variant's name in tables, with the names of its repeats."""
        others = [each.label for each in self.repeats] if variant.label == BASELINE else []
        return " = ".join([variant.label, *others])


def read(folder: str | Path) -> tuple[list[Setting], list[LeftOut]]:
    """The settings of a study, segmentation first."""
    study = groups.collect([folder])
    settings = [setting(group) for group in study.groups]
    place = {name: index for index, name in enumerate(ORDER)}
    return sorted(settings, key=lambda s: place.get(s.result.group.name, 9)), study.left_out


def setting(group: Group) -> Setting:
    """A group in which equal functions are one variant, `bilinear_init`."""
    named = {variant.label: variant for variant in group.variants if variant.label in BILINEAR}
    first = named.pop(BASELINE, None)
    repeats = [
        variant
        for variant in named.values()
        if first and _parameters(variant) == _parameters(first)
    ]
    kept = replace(
        group, variants=[variant for variant in group.variants if variant not in repeats]
    )
    return Setting(analyse(kept, BASELINES.get(group.model, BASELINE)), repeats)


def _parameters(variant: Variant) -> set[float]:
    return set(variant.values("parameters_upsampling").values())


def page(settings: Sequence[Setting], left_out: Sequence[LeftOut], figures: Path) -> str:
    """The page in Markdown; figures are linked that exist."""
    lines = ["# Short trainings of every operator", "", *_introduction(settings), ""]
    for each in settings:
        group = each.result.group
        lines += [f"## {each.title}", "", *markdown_table(table(each), each.result), ""]
        remarks = [REMARKS[key] for key in (group.data, group.model) if key in REMARKS]
        notes = [note for note in each.result.notes if "differ in more" not in note]
        lines += [f"* {line}" for line in [*remarks, *_noise(each), _precision(each), *notes]]
        path = figures / f"study-{group.name}-pictures.png"
        if path.is_file():
            lines += ["", f"![{each.title}: pictures of seed 0](figures/{path.name})"]
        lines += [""]
    lines += ["## How it was measured", "", METHOD, ""]
    if left_out:
        lines += ["Left out:", "", *(f"* `{e.path}`: {e.reason}" for e in left_out), ""]
    return "\n".join(lines)


def table(each: Setting) -> Sheet:
    """A variant a row, the best mean first; the baseline's row is that of `markdown_table`."""
    result = each.result
    pictures = result.quality != "miou"
    names = [n for n in COLUMNS if n in result.estimates and (pictures or n not in OF_PICTURES)]
    if "fid" in names:  # which says more of digits
        names.remove("swd")
    titles = [ARROWS[SCORES[n].better] + SCORES[n].heading for n in names]
    rows = []
    for variant in result.group.variants:
        found = {n: result.estimates[n].get(variant.label) for n in names}
        cells = [_text(n, estimate) for n, estimate in found.items()]
        rows.append(
            [each.label(variant), str(len(variant.runs)), cells[0], _difference(result, variant)]
        )
        rows[-1] += cells[1:]
    return Sheet("", ["operator", "seeds", titles[0], "difference", *titles[1:]], rows)


def _text(name: str, found: Estimate | None) -> str:
    if found is None:
        return "–"
    half = SCORES[name].kind != "cost" and found.half
    return SCORES[name].text(found.mean) + (f" ± {SCORES[name].text(half)}" if half else "")


def _difference(result: Result, variant: Variant) -> str:
    """Of a variant's quality to the baseline's: "−7.5 ± 1.6"."""
    if variant is result.baseline:
        return "baseline"
    contrast = result.contrasts.get(result.quality or "", {}).get(variant.label)
    if contrast is None or contrast.difference is None or result.quality is None:
        return "–"
    return _signed(result.quality, contrast.difference)


def _noise(each: Setting) -> list[str]:
    """How far trainings of equal functions end from each other, seed by seed."""
    quality, variants = each.result.quality, each.result.group.variants
    if not each.repeats or quality is None:
        return []
    first = next(variant.values(quality) for variant in variants if variant.label == BASELINE)
    pairs = [(first[s], v) for variant in each.repeats for s, v in variant.values(quality).items()]
    metric = SCORES[quality]
    most = metric.text(max(abs(one - other) for one, other in pairs))
    names = " and ".join(f"`{variant.label}`" for variant in each.repeats)
    return [
        f"`{BASELINE}` and {names} compute the same function. Trained separately from the same "
        f"seed, they differ by up to {most} in {metric.heading}."
    ]


def _precision(each: Setting) -> str:
    runs = [run.record for variant in each.result.group.variants for run in variant.runs.values()]
    kinds = sorted({str(record.machine.get("precision", "unknown")) for record in runs})
    return f"Trained in precision {', '.join(kinds)}."


def overview(settings: Sequence[Setting]) -> list[str]:
    """The README's lines: what CamVid's records support, and what they do not."""
    streets = [each for each in settings if each.result.group.data == "camvid"]
    variants = [variant for each in streets for variant in each.result.group.variants]
    seconds = [value for variant in variants for value in variant.values("train_seconds").values()]
    seeds = sorted({len(variant.runs) for variant in variants})
    lines = [
        "How operators *start* is known from [short trainings](docs/short_trainings.md) from "
        "scratch, on CamVid a median of "
        f"{median(seconds):.0f} s on one core, with {' or '.join(map(str, seeds))} seeds each. "
        "After them the table shows by how many points of mean IoU on CamVid's validation clip "
        "fixed `bilinear_init` leads operators whose kernels start at random (± half of the 95 % "
        "interval of one comparison, paired by seed; an interval that holds 0 decides nothing):",
        "",
        f"| `bilinear_init` − | {' | '.join(each.title for each in streets)} |",
        "| --- |" + " --: |" * len(streets),
    ]
    lines += [f"| `{name}` | {' | '.join(_lead(e, name) for e in streets)} |" for name in RANDOM]
    clip = "That clip is 101 frames of a drive of which 204 other frames are training data."
    return [*lines, "", clip]


def _lead(each: Setting, name: str) -> str:
    """What the baseline has more than an operator, in the primary score."""
    result = each.result
    assert result.quality is not None
    contrast = result.contrasts[result.quality].get(name)
    if contrast is None or contrast.difference is None:
        return "–"
    difference = contrast.difference
    return _signed(result.quality, replace(difference, mean=-difference.mean))


def _signed(name: str, difference: Estimate) -> str:
    return ("+" if difference.mean > 0 else "") + _text(name, difference)


def _introduction(settings: Sequence[Setting]) -> list[str]:
    repeated = sum(len(variant.runs) for each in settings for variant in each.repeats)
    runs = [
        run
        for each in settings
        for variant in [*each.result.group.variants, *each.repeats]
        for run in variant.runs.values()
    ]
    hours = sum(run.values.get("train_seconds", 0) for run in runs) / 3600
    machines = sorted({r.record.machine["cpu"] for r in runs})
    return [
        f"{len(runs)} trainings, all from scratch, {hours:.1f} hours of training steps on one core "
        f"each ({'; '.join(machines)}). {repeated} of them repeat others with an operator that "
        "computes the same function.",
        "",
        "How to read it:",
        "",
        *(f"* {limit}" for limit in LIMITS),
        "",
        "Everything here is written by `python -m studies.page` from the "
        "[records](../results/short), each of which holds its command and its commit. The study "
        "that goes on to the end of training is in [results.md](results.md).",
    ]
