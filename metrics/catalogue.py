"""Every score and cost that the project records: title, unit, direction and rounding, said once.

Tables, figures, model cards, lists and TensorBoard read `SCORES`, and its order is theirs. To add a
score, add its line here and log it. A score without a line is shown all the same, as recorded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import isfinite, isnan
from typing import Any

NONE = "–"
#: How the names of scores by class begin, and the name of the artifact measures' details.
CLASSES, DETAILS = "per_class_", "artifacts"


@dataclass(frozen=True)
class Score:
    """How one score is read and shown.

    Attributes:
        title: without its unit.
        unit: of the values shown; empty for plain numbers. A power of ten is what values were
            multiplied by.
        better: 1 where higher is better, -1 where lower is, 0 where neither.
        kind: "quality", "boundary", "sharpness" or "artifact" are compared and tested, the first
            quality and the first artifact of a group being its headlines; "cost" is compared;
            "further" is listed; "diagnostic" tells more of the seed than of the net, and is shown
            of single runs alone; "class" is one number for each class.
        decimals: shown; None shows four significant digits.
        scale: shown is the recorded value times this.
        log: drawn on a logarithmic axis.
    """

    title: str
    unit: str = ""
    better: int = 0
    kind: str = "further"
    decimals: int | None = None
    scale: float = 1.0
    log: bool = False

    @property
    def heading(self) -> str:
        """Title and unit.

        >>> SCORES["miou"].heading, SCORES["ssim"].heading
        ('Mean IoU, %', 'SSIM')
        """
        return f"{self.title}, {self.unit}" if self.unit else self.title

    @property
    def suffix(self) -> str:
        """What stands behind a value: the unit, or the power of ten that multiplies it.

        >>> SCORES["psnr"].suffix, SCORES["swd"].heading, SCORES["swd"].suffix
        ('dB', 'Sliced Wasserstein, ×10³', '×10⁻³')
        """
        return self.unit.replace("×10", "×10⁻")

    def with_unit(self, value: float | None) -> str:
        """A recorded value as `text` gives it, and its unit.

        >>> SCORES["miou"].with_unit(0.4567), SCORES["ssim"].with_unit(0.9)
        ('45.7 %', '0.9000')
        >>> SCORES["swd"].with_unit(48.74), SCORES["swd"].with_unit(None)
        ('48.74 ×10⁻³', '–')
        """
        text = self.text(value)
        return text if text == NONE else f"{text} {self.suffix}".rstrip()

    @property
    def resolution(self) -> float:
        """Half of the last decimal shown, in the recorded unit."""
        return 0.0 if self.decimals is None else 0.5 * 10**-self.decimals / self.scale

    def text(self, value: float | None) -> str:
        """A recorded value in the unit shown, rounded, with a true minus sign; a dash for none.

        >>> SCORES["miou"].text(0.4567), SCORES["sharpness_db"].text(-1.26)
        ('45.7', '−1.3')
        >>> SCORES["miou"].text(None), find("dice").text(0.81234)
        ('–', '0.8123')
        """
        if value is None or isnan(value):
            return NONE
        shown = float(value) * self.scale
        if self.decimals is None:
            text = f"{shown:.4g}"
        elif isfinite(shown):
            text = f"{round(shown, self.decimals) + 0.0:,.{self.decimals}f}"  # no negative zero
        else:
            text = str(shown)
        return text.replace("-", "−")


#: Name in records → how it is read. Sharpness is 0 for pictures as sharp as real ones, so that
#: neither side is better.
SCORES = {
    "miou": Score("Mean IoU", "%", 1, "quality", 1, 100),
    "global_accuracy": Score("Global accuracy", "%", 1, "quality", 1, 100),
    "fid": Score("Fréchet distance", "", -1, "quality", 2, log=True),
    "swd": Score("Sliced Wasserstein", "×10³", -1, "quality", 2, log=True),
    "precision": Score("Precision", "%", 1, "quality", 1, 100),
    "recall": Score("Recall", "%", 1, "quality", 1, 100),
    "confidence": Score("Classifier's confidence", "%", 1, "quality", 1, 100),
    "classes_drawn": Score("Classes drawn", "", 1, "quality", 0),
    "psnr": Score("PSNR", "dB", 1, "quality", 2),
    "ssim": Score("SSIM", "", 1, "quality", 4),
    "accuracy": Score("Accuracy", "%", 1, "quality", 2, 100),
    "boundary_f1": Score("Boundary F1", "%", 1, "boundary", 1, 100),
    "boundary_iou": Score("Boundary IoU", "%", 1, "boundary", 1, 100),
    "sharpness_db": Score("Sharpness", "dB", 0, "sharpness", 1),
    "checkerboard_db": Score("Checkerboard", "dB", -1, "artifact", 1),
    "response": Score("Response", "%", -1, "artifact", 1, 100),
    "ripple": Score("Ripple", "%", -1, "artifact", 1, 100),
    "gradient_ratio": Score("Gradient ratio", "", -1, "diagnostic", 2),
    "shift_consistency": Score("Shift consistency", "%", 1, "artifact", 1, 100),
    "shift_equivariance": Score("Shift equivariance", "dB", 1, "artifact", 1),
    "labels_flipped": Score("Labels that flip without the grid", "%", -1, "artifact", 2, 100),
    "miou_without_grid": Score("Mean IoU gained without the grid", "points", 0, "further", 2, 100),
    "class_accuracy": Score("Class accuracy", "%", 1, "further", 1, 100),
    "fwiou": Score("Frequency-weighted IoU", "%", 1, "further", 1, 100),
    "boundary_f1_class": Score("Boundary F1, mean over classes", "%", 1, "further", 1, 100),
    "kid": Score("Kernel distance", "", -1, "further", 4),
    "diversity": Score("Diversity against real images", "", 0, "further", 3),
    "loss": Score("Loss", "", -1, "further", 4),
    "per_class_iou": Score("IoU", "%", 1, "class", 1, 100),
    "per_class_f1": Score("Boundary F1", "%", 1, "class", 1, 100),
    "parameters": Score("Parameters", "k", -1, "cost", 1, 1e-3),
    "parameters_upsampling": Score("of upsampling", "k", -1, "cost", 1, 1e-3),
    "flops_forward": Score("Forward pass", "MFLOPs", -1, "cost", 1, 1e-6),
    "train_seconds": Score("Training", "s", -1, "cost", 0),
    "images_per_second": Score("Throughput", "images/s", 1, "cost", 1),
    "peak_memory_bytes": Score("Memory", "MiB", -1, "cost", 0, 2**-20),
}
#: Names of earlier versions, which records, checkpoints and TensorBoard events still hold.
RENAMED = {"grid_db": "checkerboard_db"}


def find(name: str) -> Score:
    """How a score is read, whether it has a line in `SCORES` or not.

    >>> find("swd_16").heading, find("set5/psnr").heading, find("dice").heading
    ('Sliced Wasserstein at 16 pixels, ×10³', 'PSNR of set5, dB', 'dice')
    """
    if name in SCORES:
        return SCORES[name]
    group, _, own = name.rpartition("/")
    if group:
        score = find(own)
        return replace(score, title=f"{score.title} of {group}", kind="further")
    level = re.fullmatch(r"swd_(\d+)", name)
    if level:
        swd = SCORES["swd"]
        return replace(swd, title=f"{swd.title} at {level[1]} pixels", kind="further")
    kind = "class" if name.startswith(CLASSES) else "further"
    return Score(name.removeprefix(CLASSES).replace("_", " "), kind=kind)


def ordered(names: Iterable[str]) -> list[str]:
    """Each name once, in the order of `SCORES`; those without a line there come last.

    >>> ordered(["dice", "response", "miou"])
    ['miou', 'response', 'dice']
    """
    given = dict.fromkeys(names)
    return [*(n for n in SCORES if n in given), *(n for n in given if n not in SCORES)]


def is_detail(name: str) -> bool:
    """Whether a number has a table of its own, or only a place in the record.

    >>> is_detail("per_class_iou/sky"), is_detail("artifacts/ripple/up"), is_detail("set5/psnr")
    (True, True, False)
    """
    return name.startswith((CLASSES, f"{DETAILS}/"))


def numbers(scores: Mapping[str, Any], prefix: str = "") -> dict[str, float | None]:
    """Name → the scores that are one number, or could not be had, without details.

    >>> numbers({"per_class_iou": {"sky": 0.9}, "miou": None, "set5": {"psnr": 30.0}})
    {'miou': None, 'set5/psnr': 30.0}
    """
    flat: dict[str, float | None] = {}
    for name, value in scores.items():
        if isinstance(value, Mapping):
            flat |= numbers(value, f"{prefix}{name}/")
        elif value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            flat[prefix + name] = value
    return {name: flat[name] for name in ordered(flat) if not is_detail(name)}


def current(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Scores by the names of today, at every depth.

    >>> current({"grid_db": 1.0, "artifacts": {"pictures/grid_db": 1.0}})
    {'checkerboard_db': 1.0, 'artifacts': {'pictures/checkerboard_db': 1.0}}
    """
    return {
        _current_name(name): current(value) if isinstance(value, Mapping) else value
        for name, value in scores.items()
    }


def former(name: str) -> list[str]:
    """The names that a score had before.

    >>> former("artifacts/checkerboard_db"), former("val/miou")
    (['artifacts/grid_db'], [])
    """
    group, slash, own = name.rpartition("/")
    return [f"{group}{slash}{old}" for old, new in RENAMED.items() if new == own]


def _current_name(name: str) -> str:
    group, slash, own = name.rpartition("/")
    return f"{group}{slash}{RENAMED.get(own, own)}"
