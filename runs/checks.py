"""What is refused before a run starts: options of the scripts, and every option's type."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from runs.arguments import GROUPS
from runs.types import check_node, matches, shown
from upzoo.closest import did_you_mean
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


def check(cfg: DictConfig) -> None:
    """Refuse what a run cannot be trained with, before anything is built.

    Raises:
        ValueError: with the option and what it may be.
    """
    refuse_unknown(cfg, (*TRAIN, *GROUPS["train"], "init_left_out", "run_dir"))
    check_options(cfg, TRAIN)
    for name in ("init_left_out", "run_dir"):
        if cfg.get(name) is not None and name in given_options():
            raise ValueError(f"{name}={shown(cfg[name])}: the run sets it itself: leave it out")
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
    "audit": ("equalise", "keep", "swap", "where", "distil", "input", "output", "seed", "logs"),
    "samples": ("equalise", "samples", "interpolation", "output", "seed"),
    "input": ("equalise", "format", "layout", "input", "output", "overlay", "self_ensemble"),
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
    refuse_unknown(cfg, (*EVALUATE, "audit", "trainer", "data"))
    check_options(cfg, EVALUATE)
    for group, alone in (("audit", str), ("trainer", ())):
        if not OmegaConf.is_dict(cfg.get(group)) and not isinstance(cfg.get(group), alone):
            raise ValueError(
                f"{group}={shown(cfg.get(group))} is a group: give its options, {group}.NAME=VALUE"
            )
    audited = cfg.audit
    if OmegaConf.is_dict(audited):
        refuse_unknown(cfg.audit, tuple(AUDIT), "audit.")
        check_options(cfg.audit, AUDIT, "audit.")
        audited = cfg.audit.net
    chosen = {
        "list": cfg.list is not False,
        "audit": audited is not None,
        "samples": cfg.samples is not None or cfg.interpolation is not None,
        "input": cfg.input is not None,
        "export": cfg.export is not None,
        "convert": cfg.convert is not None or cfg.foreign is not None,
    }
    action = next((name for name, holds in chosen.items() if holds), "score")
    if action == "score":
        _check_scoring(cfg)
    refuse_unused(action, given_options())


def check_comparison(cfg: DictConfig) -> None:
    """Refuse options of compare.py out of range."""
    refuse_unknown(cfg, tuple(COMPARE))
    check_options(cfg, COMPARE)


def given_options() -> list[str]:
    """Names of the options on the command line, or of their groups."""
    if not HydraConfig.initialized():
        return []
    overrides = HydraConfig.get().overrides.task
    return [re.split(r"[.=]", override.lstrip("+~"))[0] for override in overrides]


def _check_scoring(cfg: DictConfig) -> None:
    """Refuse what the trainer that scores, and other data to score on, cannot take."""
    import lightning.pytorch as pl

    data = cfg.get("data")
    if data is not None:
        if not OmegaConf.is_dict(data) or "_target_" not in data:
            raise ValueError(f"data={shown(data)}: give the name of other data to score on")
        plain: Any = OmegaConf.to_container(data, resolve=True, throw_on_missing=True)
        check_node(plain, "data")
    trainer: Any = OmegaConf.to_container(cfg.trainer, resolve=True)
    target = f"{pl.Trainer.__module__}.{pl.Trainer.__qualname__}"
    check_node({"_target_": target, **trainer}, "trainer")
    for name in ("val", "test"):
        _check_limit(f"limit_{name}_batches", trainer.get(f"limit_{name}_batches", 1.0))
    _check_devices(trainer)


def _check_devices(trainer: Mapping[str, Any]) -> None:
    """Refuse an accelerator that Lightning does not know, and devices that cannot be counted."""
    from lightning.pytorch.accelerators import AcceleratorRegistry

    known = ("auto", *sorted(AcceleratorRegistry.available_accelerators()))
    accelerator, devices = trainer.get("accelerator", "auto"), trainer.get("devices", 1)
    if accelerator not in (*known, "gpu"):
        raise ValueError(
            f"trainer.accelerator={shown(accelerator)}: give one of {', '.join(known)}"
        )
    if not (devices == "auto" or is_count(devices) or devices == -1 or isinstance(devices, list)):
        raise ValueError(f"trainer.devices={shown(devices)} must be auto or a number from 1 on")


def on_gpu(accelerator: str) -> bool:
    """Whether a trainer of this accelerator works on CUDA GPUs here."""
    import torch

    return accelerator in ("auto", "cuda", "gpu") and torch.cuda.is_available()


def _check_trainer(trainer: DictConfig) -> None:
    """Refuse limits and counts that leave nothing to train on or to score."""
    for name in ("train", "val", "test"):
        _check_limit(f"limit_{name}_batches", trainer.get(f"limit_{name}_batches", 1.0))
    if trainer.get("max_epochs") is None:
        raise ValueError("trainer.max_epochs=null: give the number of epochs, from 1 on")
    _check_devices(trainer)
    names = ("accumulate_grad_batches", "max_epochs", "check_val_every_n_epoch")
    check_counts("trainer.", **{name: trainer[name] for name in names if name in trainer})
    for name, least in (("gradient_clip_val", 0), ("num_sanity_val_steps", -1)):
        value = trainer.get(name)
        if value is not None and value < least:
            raise ValueError(f"trainer.{name}={value} must be a number of at least {least} or null")
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
