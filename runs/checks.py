"""What is refused before a run starts: options of the scripts, and every option's type."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from runs.types import check_node, matches, shown
from upzoo.counts import check_counts, is_count


class Range(NamedTuple):
    """What an option may be: a test, and the words for it."""

    holds: Callable[[Any], bool]
    words: str


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_name(value: Any) -> bool:
    parts = Path(str(value)).parts
    return _is_path(value) and ".." not in parts and not Path(value).expanduser().is_absolute()


PATH = Range(_is_path, "a path")
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
    "split": Range(lambda v: v in (None, "train", "val", "test") or _is_path(v), "a split's name"),
    "input": PATH_OR_NULL,
    "output": PATH_OR_NULL,
    "samples": Range(lambda v: v is None or is_count(v), "a whole number of at least 1 or null"),
    "self_ensemble": SWITCH,
    "images": Range(is_count, "a whole number of at least 1"),
    "artifacts": COUNT_OR_NULL,
    "seed": SEED,
    "logs": PATH,
}
#: Options of compare.py itself.
COMPARE: Mapping[str, Range] = {
    "baseline": Range(lambda v: v is None or _is_path(v), "the label of a variant or null"),
    "out": PATH_OR_NULL,
    "figures": SWITCH,
    "pictures": Range(lambda v: isinstance(v, bool) or is_count(v, 0), "a number, true or false"),
    "logs": PATH_OR_NULL,
}
#: Options of all scripts that are paths: `~` stands for the user's folder.
PATHS = ("ckpt", "convert", "foreign", "init", "input", "logs", "out", "output", "root", "export")


def check_options(cfg: DictConfig, table: Mapping[str, Range]) -> None:
    """Refuse a script's own options out of their range; `~` in paths becomes the user's folder.

    A whole number given for a text is that text: `name=2024`.

    Raises:
        ValueError: with the option, its value and what it may be.
    """
    for name, allowed in table.items():
        value = cfg.get(name)
        if name in ("name", *PATHS) and is_count(value, 0):
            value = cfg[name] = str(value)
        plain = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
        if not allowed.holds(plain):
            raise ValueError(f"{name}={shown(plain)} must be {allowed.words}")
        if name in PATHS and isinstance(value, str) and value.startswith("~"):
            cfg[name] = str(Path(value).expanduser())


def check(cfg: DictConfig) -> None:
    """Refuse what a run cannot be trained with, before anything is built.

    Raises:
        ValueError: with the option and what it may be.
    """
    check_options(cfg, TRAIN)
    if cfg.average and cfg.average_power is not None:
        raise ValueError(
            f"average={cfg.average} and average_power={cfg.average_power} are two averages: set "
            "average=0 or average_power=null"
        )
    for group in ("data", "task", "trainer", "model"):
        if not OmegaConf.is_dict(cfg.get(group)) or "_target_" not in cfg[group]:
            raise ValueError(f"{group}={shown(cfg.get(group))}: a run needs one: {group}=NAME")
    groups: Any = OmegaConf.to_container(cfg, resolve=True)
    for group in ("callbacks", "logger"):
        for name, node in (groups.get(group) or {}).items():
            if node is not None and not isinstance(node, Mapping):
                raise ValueError(f"{group}.{name}={shown(node)} must be null, which turns it off")
    for group in ("data", "task", "trainer", "model", "callbacks", "logger"):
        check_node(groups.get(group) or {}, group)
    _check_trainer(cfg.trainer)


#: What evaluate.py does -> the options that it heeds then, besides where the net comes from.
USED = {
    "list": (),
    "audit": ("equalise", "input", "output", "seed", "logs"),
    "samples": ("equalise", "samples", "output", "seed"),
    "input": ("equalise", "format", "layout", "input", "output"),
    "export": ("equalise", "format", "layout", "export"),
    "convert": ("equalise", "format", "layout", "output"),
    "score": (
        "equalise", "data", "root", "split", "self_ensemble", "images", "artifacts", "seed", "logs",
        "trainer",
    ),
}  # fmt: skip
#: Options of evaluate.py that say which net, or what is done.
SOURCES = ("ckpt", "convert", "foreign", "pretrained", "list", "audit")


def refuse_unused(action: str, given: Sequence[str]) -> None:
    """Refuse options that an action of evaluate.py does not heed.

    Args:
        action: a key of `USED`.
        given: names of the options on the command line.

    Raises:
        ValueError: with the first that is not heeded, and what it goes with.

    >>> refuse_unused("score", ["ckpt", "output"])
    Traceback (most recent call last):
    ValueError: output= does nothing here: it goes with audit=, samples=, input=, convert=
    """
    for name in given:
        if name in (*SOURCES, *USED[action]) or name.startswith("hydra"):
            continue
        actions = [f"{each}=" for each, used in USED.items() if name in used and each != "score"]
        with_score = name in USED["score"]
        fitting = ", ".join(actions + ["the scoring of ckpt= or pretrained="] * with_score)
        raise ValueError(f"{name}= does nothing here: it goes with {fitting}")


def check_evaluation(cfg: DictConfig) -> None:
    """Refuse options of evaluate.py out of range, and those that do nothing beside the others."""
    check_options(cfg, EVALUATE)
    audited = cfg.audit.net if OmegaConf.is_dict(cfg.audit) else cfg.audit
    chosen = {
        "list": cfg.list is not False,
        "audit": audited is not None,
        "samples": cfg.samples is not None,
        "input": cfg.input is not None,
        "export": cfg.export is not None,
        "convert": cfg.convert is not None or cfg.foreign is not None,
    }
    action = next((name for name, holds in chosen.items() if holds), "score")
    if not HydraConfig.initialized():
        return
    overrides = HydraConfig.get().overrides.task
    refuse_unused(action, [re.split(r"[.=]", o.lstrip("+~"))[0] for o in overrides])


def _check_trainer(trainer: DictConfig) -> None:
    """Refuse limits and counts that leave nothing to train on or to score."""
    for name in ("train", "val", "test"):
        _check_limit(f"limit_{name}_batches", trainer.get(f"limit_{name}_batches", 1.0))
    if trainer.get("max_epochs") is None:
        raise ValueError("trainer.max_epochs=null: give the number of epochs, from 1 on")
    names = ("accumulate_grad_batches", "max_epochs", "check_val_every_n_epoch")
    check_counts("trainer.", **{name: trainer[name] for name in names if name in trainer})
    if trainer.get("overfit_batches"):
        raise ValueError(
            f"trainer.overfit_batches={trainer.overfit_batches}: use data.overfit=IMAGES, which "
            "leaves augmentation out too"
        )


def _check_limit(name: str, value: object) -> None:
    """Refuse a limit that leaves nothing to train on or to score."""
    share = isinstance(value, float) and 0 < value <= 1
    if not share and not is_count(value):
        raise ValueError(
            f"trainer.{name}={shown(value)} must be a number of batches from 1 or a share above 0 "
            "to 1.0"
        )
