"""What is refused before a run starts: options that do not fit, alone or together."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from runs import environment
from runs.arguments import GROUPS
from runs.ranges import AUDIT, COMPARE, EVALUATE, TRAIN, check_options, refuse_unknown
from runs.types import check_node, shown
from upzoo.counts import check_counts, is_count


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
    _check_presence(accelerator, devices)
    if trainer.get("num_nodes", 1) != 1:
        raise ValueError(
            f"trainer.num_nodes={shown(trainer['num_nodes'])}: a run is of one node, "
            "several are not tried: leave it out (docs/cluster.md)"
        )


def _check_presence(accelerator: str, devices: Any) -> None:
    """Refuse an accelerator that is not there, and more processes than there are cores."""
    from lightning.pytorch.accelerators import AcceleratorRegistry

    if accelerator not in ("auto", "cpu"):
        name = "cuda" if accelerator == "gpu" else accelerator
        if not AcceleratorRegistry[name]["accelerator"].is_available():
            raise ValueError(
                f"trainer.accelerator={accelerator}: there is none here: give auto or cpu"
            )
    most = max(2, environment.cores() or 2)  # two can be tried anywhere
    if is_count(devices) and devices > most and not on_gpu(accelerator):
        raise ValueError(
            f"trainer.devices={devices}: each is a process here, and there are cores for {most}"
        )


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
