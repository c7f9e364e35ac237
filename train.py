"""Train a net whose decoder upsamples by the operator of your choice.

python train.py model=fcn upsample=bilinear_init
"""

import contextlib
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from omegaconf import DictConfig, OmegaConf

from runs import console, sweeps
from runs import folders as runs

if TYPE_CHECKING:
    import lightning.pytorch as pl
    from torch import nn

    from runs.records import Record


@hydra.main(version_base="1.3", config_path="configs", config_name="train")
def main(cfg: DictConfig) -> None:
    """Train one run of a config, or one of a sweep."""
    with console.user_errors():
        if cfg.init is not None:
            adopt(cfg)
        if sweeps.is_job():
            sweeps.run_job(cfg, train)
        else:
            train(cfg)


def train(cfg: DictConfig) -> None:
    """Build data, net and task, fit, test, and write the run's record."""
    import lightning.pytorch as pl

    from comparison import hparams
    from runs import costs, records, tables
    from tasks.allocator import keep_freed_memory
    from tasks.optimisation import steps_done
    from tasks.scoring import measure_artifacts, quiet, score
    from tasks.single_values import refuse_single_values

    quiet()
    check(cfg)
    keep_freed_memory()
    costs.reset_peak_memory()
    data = hydra.utils.instantiate(cfg.data)
    pl.seed_everything(cfg.seed, verbose=False)
    net, spec = build_net(cfg, data)
    if cfg.init is not None:
        carry_over(cfg, net)
    data.setup()
    data.train_dataloader()  # refuses what cannot be trained on before anything is written
    refuse_single_values(net, data)

    chosen = hydra.core.hydra_config.HydraConfig.get().runtime.choices
    choices = {"model": net.label, "upsample": chosen["upsample"], "data": data.name}
    parent = Path(cfg.logs, cfg.name, "-".join(choices.values()))
    choices |= {"seed": cfg.seed, "name": cfg.name}
    card = make_card(cfg, spec, data, choices)
    task = hydra.utils.instantiate(cfg.task, _recursive_=False, net=net, data=data, card=card)
    run, ckpt = locate(cfg, parent, card)
    try:
        trainer = build_trainer(cfg)
        check_processes(trainer, task, data)
        if not trainer.is_global_zero:
            help_to_fit(cfg, trainer, task, data, ckpt)
            return
        record = records.new(
            command=sweeps.command(),
            choices=choices,
            config=card["config"],
            data=card["data"] | {"split": data.test_split},
            cost=costs.of_net(net, data.prepared(data.test_split)[0]["image"].shape),
        )
        record.machine["precision"] = trainer.precision  # what "auto" is on this machine
    except BaseException:
        runs.discard(run)
        raise
    OmegaConf.save(cfg, run / "config.yaml", resolve=True)
    print(f"{net.label} with {choices['upsample']} on {data.name}, seed {cfg.seed}: {run}")
    print(data.inventory())

    if cfg.compile:
        net.compile()
    records.write(run / runs.RECORD, record)
    record.status = "failed"
    try:
        fit(cfg, trainer, task, data, ckpt)
        record.cost |= time_and_memory(trainer)
        splits = dict.fromkeys(("val", data.test_split, *data.test_splits))
        record.metrics, per_image = score(cfg.trainer, task, data, splits)
        record.budgets = keep_budgets(run, trainer, data, record, per_image)
        record.metrics[data.test_split] |= measure_artifacts(cfg, task, data, data.test_split)
        further = {split: record.metrics[split] for split in data.test_splits[1:]}
        log_scores(trainer, record.metrics[data.test_split] | further)
        record.checkpoint = save_model(run, net, card, record).relative_to(run).as_posix()
        record.status = "finished"
    except (SystemExit, KeyboardInterrupt) as stop:
        record.status = "interrupted"
        way_on = f"go on with: {record.command} ckpt=last"
        if not (run / runs.LAST).exists():
            way_on = "before there was a checkpoint"
        print(f"stopped at step {steps_done(trainer)}; {way_on}")
        raise SystemExit(getattr(stop, "code", 128 + signal.SIGINT)) from None
    finally:
        records.write(run / runs.RECORD, record)
    if trainer.logger is not None:
        hparams.write(run / hparams.FOLDER, record)
    tables.show(record)
    print(f"model        {run / 'model'}")
    print(f"TensorBoard  tensorboard --logdir {cfg.logs}")


def check(cfg: DictConfig) -> None:
    """Refuse root options that nothing else checks."""
    seed = cfg.seed
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**31:
        raise ValueError(f"seed={seed!r} must be an integer from 0 to {2**31 - 1}")
    if not isinstance(cfg.average, int | float) or not 0 <= cfg.average < 1:
        raise ValueError(f"average={cfg.average!r} must be a decay from 0 (none) to below 1")
    if cfg.average and cfg.average_power is not None:
        raise ValueError(
            f"average={cfg.average} and average_power={cfg.average_power} are two averages: set "
            "average=0 or average_power=null"
        )
    if not isinstance(cfg.trainer.max_epochs, int) or cfg.trainer.max_epochs < 1:
        raise ValueError(f"trainer.max_epochs={cfg.trainer.max_epochs!r} must be at least 1")


def build_net(cfg: DictConfig, data: Any) -> tuple["nn.Module", dict[str, Any]]:
    """The net, and the spec from which `upzoo.checkpoint.build` makes it again."""
    from upzoo import checkpoint

    spec = OmegaConf.to_container(cfg.model, resolve=True)
    assert isinstance(spec, dict)
    outputs = hydra.utils.get_class(cfg.task._target_).outputs(data)
    known = {"num_classes": outputs, "in_channels": data.in_channels, "size": list(data.size)}
    known["scale"] = getattr(data, "scale", None)
    spec |= {key: value for key, value in known.items() if key in spec}
    rebuilt = {"weights": None} if "weights" in spec else {}  # its weights are in the file
    net = checkpoint.build(spec)
    if hasattr(net, "latent") != cfg.task._target_.endswith(".Generation"):
        raise ValueError(
            f"{net.label} cannot be trained by this task: generators, which draw from noise, go "
            "with task=generation, others with task=segmentation, reconstruction, "
            "super_resolution or classification"
        )
    return net, spec | rebuilt


def adopt(cfg: DictConfig) -> None:
    """Give the model the options of the net that it starts from, where none were chosen."""
    from tasks import transfer

    hydra_cfg = hydra.core.hydra_config.HydraConfig.get()
    given = {override.partition("=")[0].lstrip("+~") for override in hydra_cfg.overrides.task}
    group = console.ROOT / "configs" / "model" / f"{hydra_cfg.runtime.choices['model']}.yaml"
    defaults = OmegaConf.to_container(OmegaConf.load(group))
    model = OmegaConf.to_container(cfg.model, resolve=True)
    chosen = {k for k, v in model.items() if f"model.{k}" in given or v != defaults.get(k)}
    options = transfer.options_like(cfg.init, model, chosen)
    for name, value in options.items():
        cfg.model[name] = value
    if options and runs.shared() is None:
        print(f"init={cfg.init}: {' '.join(f'model.{k}={v}' for k, v in options.items())}")


def carry_over(cfg: DictConfig, net: "nn.Module") -> None:
    """Start from other weights; say what could not be carried over, and keep it in the config."""
    from tasks import transfer

    carried = transfer.carry_over(net, cfg.init)
    cfg.init_left_out = carried.left_out
    if runs.shared() is None:
        print(carried)


def make_card(
    cfg: DictConfig, spec: dict[str, Any], data: Any, choices: dict[str, Any]
) -> dict[str, Any]:
    """What every checkpoint carries, so that it can be rebuilt and used without this config."""
    from runs import environment

    return {
        "model": spec,
        "choices": choices,
        **data.card(),
        "data": {"name": data.name, "fingerprint": data.fingerprint(), "licence": data.licence},
        "config": OmegaConf.to_container(cfg, resolve=True),
        "commit": environment.commit(),
    }


def locate(cfg: DictConfig, parent: Path, card: dict[str, Any]) -> tuple[Path, Path | None]:
    """The run's folder and, where it goes on with one, the checkpoint to resume from."""
    from upzoo import checkpoint

    if cfg.ckpt is None:
        run, ckpt = runs.shared() or runs.new_folder(parent, cfg.seed), None
    else:
        ckpt = Path(cfg.ckpt)
        if cfg.ckpt == "last":
            ckpt = (runs.shared() or runs.unfinished(parent, cfg.seed)) / runs.LAST
        _, old = checkpoint.load(ckpt)
        run = ckpt.parent.parent
        if not ckpt.is_file() or not (run / runs.RECORD).exists():
            raise ValueError(f"ckpt={ckpt}: give the checkpoints/last.ckpt of a run's folder")
        different = runs.first_difference(old["config"], card["config"])
        if different:
            raise ValueError(f"ckpt={ckpt}: that run was another one: {different}")
    cfg.run_dir = str(run)
    runs.share(run)
    return run, ckpt


def build_trainer(cfg: DictConfig) -> "pl.Trainer":
    """Lightning's trainer with the callbacks of the config."""
    from lightning.pytorch import callbacks

    from tasks.averaging import PowerAverage
    from tasks.budgets import Budgets
    from tasks.callbacks import PlainProgress
    from tasks.precision import resolve_precision

    chosen = [hydra.utils.instantiate(node) for node in cfg.callbacks.values() if node]
    terminal = sweeps.has_terminal()
    chosen.append(callbacks.RichProgressBar(leave=True) if terminal else PlainProgress())
    if cfg.average:
        chosen.append(callbacks.EMAWeightAveraging(decay=cfg.average))
    if cfg.average_power is not None:
        chosen.append(PowerAverage(cfg.average_power))
    if cfg.budgets:
        chosen.append(Budgets(cfg.budgets))
    chosen.sort(key=turn)  # stable: the others keep their order
    return hydra.utils.instantiate(
        cfg.trainer,
        precision=resolve_precision(cfg.trainer.precision),
        logger=hydra.utils.instantiate(cfg.logger),
        callbacks=chosen,
        enable_progress_bar=terminal,
        default_root_dir=cfg.run_dir,
    )


def turn(callback: "pl.Callback") -> int:
    """When a callback's turn comes: a step is averaged, then scored, and then a stop may save it.

    Of the averages a validation ends last, after pictures have been drawn with them.
    """
    from lightning.pytorch import callbacks

    from tasks.budgets import Budgets
    from tasks.callbacks import GracefulStop

    kinds = (callbacks.WeightAveraging, Budgets, GracefulStop)
    return next((i for i, kind in enumerate(kinds, 1) if isinstance(callback, kind)), 0)


def check_processes(trainer: "pl.Trainer", task: "pl.LightningModule", data: Any) -> None:
    """Refuse what several processes cannot train together."""
    if trainer.world_size == 1:
        return
    if sweeps.is_job():
        raise ValueError(
            f"{trainer.world_size} devices: a run of a sweep trains on one: use trainer=default "
            "and hydra/launcher=joblib, or start this run by its own command"
        )
    if not task.automatic_optimization:
        raise ValueError(
            f"{trainer.world_size} devices: task=generation trains on one: its noise and scores "
            "are not split between processes: use trainer.devices=1"
        )
    data.trainer = trainer
    data.train_dataloader()  # these refuse fewer samples than the devices need
    data.val_dataloader()


def help_to_fit(
    cfg: DictConfig,
    trainer: "pl.Trainer",
    task: "pl.LightningModule",
    data: Any,
    ckpt: Path | None,
) -> None:
    """Train as one of several processes, of which the first scores, writes and prints."""
    if cfg.compile:
        task.net.compile()
    with contextlib.suppress(SystemExit):  # the first says that it was stopped
        fit(cfg, trainer, task, data, ckpt)


def fit(
    cfg: DictConfig,
    trainer: "pl.Trainer",
    task: "pl.LightningModule",
    data: Any,
    ckpt: Path | None,
) -> None:
    """Train; take the best weights back at the end, or the last where no score chooses any."""
    import torch

    from tasks.budgets import Budgets
    from tasks.segmentation import LossNotFiniteError

    best = next((c for c in trainer.checkpoint_callbacks if c.monitor and not cfg.budgets), None)
    last = Path(cfg.run_dir) / runs.LAST
    try:
        trainer.fit(task, datamodule=data, ckpt_path=ckpt, weights_only=True)
    except LossNotFiniteError as error:
        kept = best.best_model_path if best else last if last.exists() else ""
        kept = kept or "none yet"
        raise ValueError(
            f"{error}; the last good checkpoint is {kept}; a lower task.lr may help"
        ) from None
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()  # the first process does the rest alone
    kept = best.best_model_path if best else last
    if kept:
        state = torch.load(kept, map_location=task.device, weights_only=True)
        task.load_state_dict(state["state_dict"])
    for budgets in (c for c in trainer.callbacks if isinstance(c, Budgets)):
        budgets.calibrate(task, data)


def keep_budgets(
    run: Path,
    trainer: "pl.Trainer",
    data: Any,
    record: "Record",
    per_image: dict[str, dict[str, Any]],
) -> list[dict[str, Any]]:
    """The scores at every budget of a run that has such; the figures of its images in a file."""
    from runs import per_image as side_file
    from tasks.budgets import Budgets
    from tasks.optimisation import steps_done

    budgets = next((c for c in trainer.callbacks if isinstance(c, Budgets)), None)
    if budgets is None:
        return []
    seconds = record.cost["train_seconds"]
    budgets.finish(steps_done(trainer), seconds, record.metrics, per_image)
    if any(per_image.values()):
        names = {split: data.image_names(split) for split in per_image}
        steps = [entry["step"] for entry in budgets.scored]
        side_file.write(run / side_file.FILE, steps, budgets.per_image, names)
    return budgets.scored


def time_and_memory(trainer: "pl.Trainer") -> dict[str, Any]:
    """Seconds and images of training steps alone, and the most memory held so far."""
    from runs import costs
    from tasks.callbacks import Throughput

    clock = next(c for c in trainer.callbacks if isinstance(c, Throughput))
    return {
        "train_seconds": clock.seconds,
        "images_per_second": clock.images_per_second,
        "peak_memory_bytes": costs.peak_memory(),
    }


def log_scores(trainer: "pl.Trainer", scores: dict[str, Any]) -> None:
    """Put the final scores of the best weights beside the curves, at the last step."""
    values = {f"test/{name}": v for name, v in scores.items() if isinstance(v, float)}
    for name, each in scores.items():
        if isinstance(each, dict):
            group = name.removeprefix("per_class_")
            values |= {f"test_{group}/{label}": v for label, v in each.items()}
    from tasks.optimisation import steps_done

    if trainer.logger is not None:
        trainer.logger.log_metrics(values, step=steps_done(trainer))
        trainer.logger.finalize("success")


def save_model(run: Path, net: "nn.Module", card: dict[str, Any], record: "Record") -> Path:
    """Write the model file of a run."""
    from upzoo import checkpoint

    return checkpoint.save(run / "model", net, card | {"metrics": record.metrics})


if __name__ == "__main__":
    with console.user_errors():
        sweeps.check_launcher(sys.argv[1:])
        main()
