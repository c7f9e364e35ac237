"""What each option of the scripts may be, in tables, and the refusal of what it may not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from runs.types import matches, shown
from upzoo.closest import did_you_mean
from upzoo.counts import is_count


class Range(NamedTuple):
    """What an option may be: a test, and the words for it."""

    holds: Callable[[Any], bool]
    words: str


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_name(value: Any) -> bool:
    parts = Path(str(value)).parts
    return _is_path(value) and ".." not in parts and not Path(value).expanduser().is_absolute()


def _is_text(value: Any) -> bool:
    return value is None or _is_path(value)


PATH = Range(_is_path, "a path")
TEXT_OR_NULL = Range(_is_text, "text or null")
PATH_OR_NULL = Range(lambda v: v is None or _is_path(v), "a path or null")
SWITCH = Range(lambda v: isinstance(v, bool), "true or false")
COUNT = Range(lambda v: is_count(v, 0), "a whole number of at least 0")
COUNT_OR_NULL = Range(lambda v: v is None or is_count(v, 0), "a whole number of at least 0 or null")
SEED = Range(lambda v: is_count(v, 0) and v < 2**31, f"an integer from 0 to {2**31 - 1}")
STEPS = Range(
    lambda v: v is None or (matches(v, Sequence[int]) and all(is_count(s) for s in v)),
    "null or a list of steps from 1 on, such as [100,200,400]",
)

#: Options of train.py itself, and what each may be.
TRAIN: Mapping[str, Range] = {
    "name": Range(_is_name, "the name of a folder within logs, without .. in it"),
    "seed": SEED,
    "init": PATH_OR_NULL,
    "ckpt": PATH_OR_NULL,
    "compile": SWITCH,
    "average": Range(
        lambda v: matches(v, float) and 0 <= v < 1, "a decay from 0 (none) to below 1"
    ),
    "average_power": Range(lambda v: v is None or (matches(v, float) and v > 0), "null or above 0"),
    "budgets": STEPS,
    "artifacts": COUNT,
    "keep_checkpoints": SWITCH,
    "logs": PATH,
}
COUNTED = Range(lambda v: v is None or is_count(v), "a whole number of at least 1 or null")
#: Options of evaluate.py itself.
EVALUATE: Mapping[str, Range] = {
    "ckpt": PATH_OR_NULL,
    "convert": PATH_OR_NULL,
    "foreign": PATH_OR_NULL,
    "pretrained": PATH_OR_NULL,
    "list": Range(lambda v: isinstance(v, bool | str), "true, or a word in the names"),
    "root": PATH_OR_NULL,
    "export": PATH_OR_NULL,
    "equalise": SWITCH,
    "keep": Range(lambda v: v in ("weights", "mean"), "weights or mean"),
    "swap": Range(_is_text, "an operator or null"),
    "where": Range(_is_path, "a pattern of modules' names"),
    "distil": PATH_OR_NULL,
    "format": TEXT_OR_NULL,
    "layout": TEXT_OR_NULL,
    "split": Range(lambda v: v in (None, "train", "val", "test") or _is_path(v), "a split's name"),
    "input": PATH_OR_NULL,
    "output": PATH_OR_NULL,
    "samples": COUNTED,
    "interpolation": COUNTED,
    "self_ensemble": SWITCH,
    "overlay": SWITCH,
    "images": Range(is_count, "a whole number of at least 1"),
    "artifacts": COUNT_OR_NULL,
    "seed": SEED,
    "logs": PATH,
}
SIDES = re.compile(r"\d+(x\d+){0,2}")
#: Options within `audit` of evaluate.py.
AUDIT: Mapping[str, Range] = {
    "net": Range(_is_text, "torchvision:NAME, smp:NAME, timm:NAME, module:function, a run or null"),
    "size": Range(
        lambda v: (
            v is None
            or is_count(v)
            or SIDES.fullmatch(str(v)) is not None
            or (matches(v, Sequence[int]) and len(v) in (2, 3))
        ),
        "pixels: 224, 224x320 or 3x224x320",
    ),
    "args": Range(lambda v: matches(v, Sequence[str | int | float]), "a list of [NAME=]VALUE"),
    "example": PATH_OR_NULL,
    "output": Range(_is_text, "the name of an output or null"),
    "weights": Range(_is_text, "DEFAULT, a file or null"),
    "tables": SWITCH,
}
#: Options of compare.py itself.
COMPARE: Mapping[str, Range] = {
    "runs": Range(
        lambda v: matches(v, Sequence[str]) and all(map(_is_path, v)),
        "folders of runs: python compare.py logs/study",
    ),
    "baseline": Range(lambda v: v is None or _is_path(v), "the label of a variant or null"),
    "out": PATH_OR_NULL,
    "figures": SWITCH,
    "pictures": Range(lambda v: isinstance(v, bool) or is_count(v, 0), "a number, true or false"),
    "logs": PATH_OR_NULL,
}
#: Options of all scripts that are paths: `~` stands for the user's folder.
PATHS = (
    "ckpt", "convert", "example", "export", "foreign", "init", "input", "logs", "net", "out",
    "output", "root", "runs", "weights",
)  # fmt: skip
#: Options that are texts, but for which a whole number may be given.
NAMES = ("name", "pretrained", "split", "baseline", "list", "where", *PATHS)


def check_options(cfg: DictConfig, table: Mapping[str, Range], within: str = "") -> None:
    """Refuse a script's own options out of their range; `~` in paths becomes the user's folder.

    A whole number given for a text is that text: `name=2024`.

    Args:
        cfg: has the options.
        table: what each may be.
        within: what stands before their names in a message: "audit.".

    Raises:
        ValueError: with the option, its value and what it may be.
    """
    for name, allowed in table.items():
        value = cfg.get(name)
        plain = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
        typed = shown(plain)
        if name in NAMES:
            plain = _as_text(plain, home=name in PATHS)
        if not allowed.holds(plain):
            listed = name in PATHS and isinstance(plain, list | dict)
            file = f"; a file of that name is ./{typed}" if listed else ""
            raise ValueError(f"{within}{name}={typed} must be {allowed.words}{file}")
        if name in cfg and plain != value:
            cfg[name] = plain


def _as_text(value: Any, home: bool) -> Any:
    """Whole numbers as the text that they were typed as; `~` as the user's folder."""
    if isinstance(value, list):
        return [_as_text(each, home) for each in value]
    if is_count(value, 0):
        return str(value)
    if home and isinstance(value, str) and value.startswith("~"):
        try:
            return str(Path(value).expanduser())
        except RuntimeError:  # of somebody whom this machine does not know
            return value
    return value


def refuse_unknown(cfg: DictConfig, known: Sequence[str], within: str = "") -> None:
    """Refuse options that were added with + and that nothing reads; arguments as those above.

    Raises:
        ValueError: with the option and its likeliest meaning.
    """
    for name in map(str, cfg):
        if name not in known and name != "hydra":
            hint = did_you_mean(name, list(known)) or f"there are: {', '.join(known)}"
            raise ValueError(f"{within}{name}: there is no such option; {hint.rstrip()}")
