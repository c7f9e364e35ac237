"""The training of one run: its net, its trainer, the fit and what it took."""

import contextlib
from pathlib import Path
from typing import Any

import hydra
import lightning.pytorch as pl
import torch
from lightning.pytorch import callbacks
from omegaconf import DictConfig, OmegaConf
from torch import nn

from runs import checks, console, costs, folders, sweeps
from tasks.averaging import ExponentialAverage, PowerAverage
from tasks.budgets import Budgets, averaged
from tasks.callbacks import (
    AtomicCheckpointIO,
    Bar,
    GracefulStop,
    PlainProgress,
    SameStatistics,
    Throughput,
)
from tasks.optimisation import LossNotFiniteError, planned_steps, steps_done
from tasks.pooled_norm import PooledNorms
from tasks.precision import exact_float32, resolve_precision
from upzoo import checkpoint
from upzoo.metrics import catalogue


class Started(pl.Callback):
    """Knows whether a fit has come to its first step, past all that it restores."""

    at_work = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Everything is restored."""
        self.at_work = True


def build_net(cfg: DictConfig, data: Any) -> tuple[nn.Module, dict[str, Any]]:
    """The net, and the spec from which `upzoo.checkpoint.build` makes it again."""
    spec: Any = OmegaConf.to_container(cfg.model, resolve=True)
    task: Any = hydra.utils.get_class(cfg.task._target_)
    task.fill(cfg.task, data)
    outputs = task.outputs(data)
    known = {"num_classes": outputs, "in_channels": data.in_channels, "size": list(data.size)}
    known["scale"] = data.scale if data.scale > 1 else None  # the net says what sets it
    for key, value in known.items():
        if spec.get(key) is not None and spec[key] != value:
            raise ValueError(f"model.{key}={spec[key]}: the data decide it ({value}): leave it out")
    spec |= {key: value for key, value in known.items() if key in spec}
    rebuilt = {"weights": None} if "weights" in spec else {}  # its weights are in the file
    net = checkpoint.build(spec)
    task.check_net(net)
    return net, spec | rebuilt


def build_trainer(cfg: DictConfig) -> pl.Trainer:
    """Lightning's trainer with the loggers and callbacks of the config."""
    chosen = instances(cfg.get("callbacks"))
    terminal = sweeps.has_terminal()
    if terminal:
        chosen.append(Bar(leave=not sweeps.is_job()))
    elif not sweeps.is_job():  # of which each is one line
        chosen.append(PlainProgress())
    if cfg.average:
        chosen.append(ExponentialAverage(cfg.average))
    if cfg.average_power is not None:
        chosen.append(PowerAverage(cfg.average_power))
    if cfg.budgets:
        chosen.append(Budgets(cfg.budgets))
    chosen.append(SameStatistics())
    chosen.sort(key=turn)  # stable: the others keep their order
    exact_float32()
    pooled = cfg.trainer.get("sync_batchnorm", False)
    by_us = pooled and not checks.on_gpu(cfg.trainer.accelerator)
    return hydra.utils.instantiate(
        cfg.trainer,
        strategy=strategy(cfg),
        sync_batchnorm=pooled and not by_us,
        precision=resolve_precision(cfg.trainer.precision, cfg.trainer.accelerator),
        logger=instances(cfg.get("logger"), save_dir=cfg.run_dir),
        callbacks=chosen,
        plugins=[AtomicCheckpointIO(), *([PooledNorms()] if by_us else [])],
        enable_checkpointing=any(isinstance(each, callbacks.Checkpoint) for each in chosen),
        enable_progress_bar=terminal,
        default_root_dir=cfg.run_dir,
    )


def strategy(cfg: DictConfig) -> Any:
    """Lightning's strategy; where nets take turns, DDP awaits the gradients of one at a time."""
    chosen = cfg.trainer.get("strategy", "auto")
    turns = chosen == "ddp" and hydra.utils.get_class(cfg.task._target_).takes_turns
    return "ddp_find_unused_parameters_true" if turns else chosen


def check_monitors(cfg: DictConfig, task: Any) -> None:
    """Refuse a checkpoint that watches what is no score of the task, or that would keep the worst.

    Raises:
        ValueError: with the scores that there are.
    """
    scores = [f"val/{name}" for name in task.score_names()]
    classes = [f"val_iou/{name}" for name in getattr(task, "classes", ())]
    for name, node in (cfg.get("callbacks") or {}).items():
        monitor = node.get("monitor") if isinstance(node, DictConfig) else None
        if monitor is None or "_target_" not in node:
            continue
        if monitor not in [*scores, *classes]:
            raise ValueError(
                f"callbacks.{name}.monitor={monitor}: no validation gives that score: use one of "
                f"{', '.join(scores)}"
            )
        better = catalogue.find(monitor.partition("/")[2]).better
        mode = "min" if better < 0 else "max"
        if better and node.mode != mode:
            raise ValueError(
                f"callbacks.{name}.mode={node.mode} would keep the worst {monitor}: use "
                f"callbacks.{name}.mode={mode}"
            )


def turn(callback: pl.Callback) -> int:
    """When a callback's turn comes: a step is averaged, then scored, and then a stop may save it.

    Between the two, the processes that score it agree on its statistics.

    Of the averages a validation ends last, after pictures have been drawn with them.
    """
    kinds = (callbacks.WeightAveraging, SameStatistics, Budgets, GracefulStop)
    return next((i for i, kind in enumerate(kinds, 1) if isinstance(callback, kind)), 0)


def instances(group: DictConfig | None, **options: Any) -> list[Any]:
    """What the nodes of a config group stand for; null leaves one out, or all of them.

    Args:
        group: name → node; options of a node that another config has turned off have no
            `_target_` and are left out too.
        options: for each of them, where its node does not say otherwise.
    """
    nodes = (group or {}).values()
    chosen = [node for node in nodes if isinstance(node, DictConfig) and "_target_" in node]
    return [
        hydra.utils.instantiate(node, **{k: v for k, v in options.items() if k not in node})
        for node in chosen
    ]


def check_fit(trainer: pl.Trainer, task: pl.LightningModule, data: Any) -> None:
    """Refuse what does not fit the training: budgets, options, too little for each process."""
    data.trainer = trainer
    for budgets in (c for c in trainer.callbacks if isinstance(c, Budgets)):  # type: ignore[attr-defined]
        budgets.check(task, trainer.world_size, planned_steps(trainer, data.train_batches))
    automatic = {
        "gradient_clip_val": (trainer.gradient_clip_val, None),
        "accumulate_grad_batches": (trainer.accumulate_grad_batches, 1),
    }
    for name, (value, off) in automatic.items():
        if not task.automatic_optimization and value != off:
            raise ValueError(
                f"trainer.{name}={value}: the two optimizers of task=generation step by hand: use "
                f"trainer.{name}={'null' if off is None else off}"
            )
    if trainer.world_size == 1:
        return
    if sweeps.is_job():
        raise ValueError(
            f"{trainer.world_size} devices: a run of a sweep trains on one: use trainer=default "
            "and hydra/launcher=joblib, or start this run by its own command"
        )
    data.train_dataloader()  # these two refuse fewer samples than the devices need
    data.val_dataloader()


def fit_other_rank(
    cfg: DictConfig, trainer: pl.Trainer, task: Any, data: Any, ckpt: Path | None
) -> None:
    """Train as one of several processes, of which the first scores, writes and prints."""
    if cfg.compile:
        task.compile()
    with contextlib.suppress(SystemExit):  # the first says that it was stopped
        fit(cfg, trainer, task, data, ckpt)


def fit(
    cfg: DictConfig, trainer: pl.Trainer, task: pl.LightningModule, data: Any, ckpt: Path | None
) -> None:
    """Train; take the best weights back at the end, or the last where no score chooses any."""
    monitors = [c for c in trainer.checkpoint_callbacks if getattr(c, "monitor", None)]
    best: Any = monitors[0] if monitors and not cfg.budgets else None
    last = Path(cfg.run_dir) / folders.LAST
    started = Started()
    trainer.callbacks.append(started)  # type: ignore[attr-defined]
    try:
        trainer.fit(task, datamodule=data, ckpt_path=ckpt, weights_only=True)
    except LossNotFiniteError as error:
        kept = best.best_model_path if best else last if last.exists() else ""
        raise ValueError(
            f"{error}: training has diverged; the last good checkpoint is {kept or 'none yet'}; a "
            "lower task.lr or trainer.precision=32-true may help"
        ) from None
    except Exception as error:
        if ckpt is None or started.at_work or console.explain(error) is not None:
            raise
        reason = " ".join(str(error).split())
        raise ValueError(
            f"ckpt={ckpt}: no training goes on from it, what it holds of one is damaged "
            f"({type(error).__name__}: {reason})"
        ) from None
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()  # the first process does the rest alone
    if not trainer.is_global_zero:
        return
    if best and best.best_model_path:
        state = torch.load(best.best_model_path, map_location=task.device, weights_only=True)
        task.load_state_dict(state["state_dict"])
    else:  # of a run resumed after its last step, Lightning has not taken the average
        task.load_state_dict(averaged(trainer, task).state_dict())
    for budgets in (c for c in trainer.callbacks if isinstance(c, Budgets)):  # type: ignore[attr-defined]
        budgets.calibrate(task, data)


def time_and_memory(trainer: pl.Trainer) -> dict[str, Any]:
    """Seconds and images of training steps alone, and the most memory held so far."""
    clocks = (c for c in trainer.callbacks if isinstance(c, Throughput))  # type: ignore[attr-defined]
    clock = next(clocks, None)
    return {
        "train_seconds": clock and clock.seconds,
        "images_per_second": clock and clock.images_per_second,
        "peak_memory_bytes": costs.peak_memory(),
    }


def log_scores(trainer: pl.Trainer, metrics: dict[str, Any], data: Any) -> None:
    """Put the final scores on the test splits beside the curves, at the last step.

    Args:
        trainer: whose loggers.
        metrics: split → name → score.
        data: says which splits: those of the first are test/…, of others test_<split>/….
    """
    scores = metrics[data.test_split] | {split: metrics[split] for split in data.test_splits[1:]}
    values = {f"test/{name}": v for name, v in scores.items() if isinstance(v, float)}
    for name, each in scores.items():
        if isinstance(each, dict):
            group = name.removeprefix("per_class_")
            values |= {f"test_{group}/{label}": v for label, v in each.items()}
    for logger in trainer.loggers:
        logger.log_metrics(values, step=steps_done(trainer))
        logger.finalize("success")
