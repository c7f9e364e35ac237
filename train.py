"""Train a net whose decoder upsamples by the operator of your choice.

python train.py model=fcn upsample=bilinear_init
"""

import sys

import hydra
from omegaconf import DictConfig, OmegaConf

from runs import arguments, console, folders, help, imports, sweeps


@hydra.main(version_base="1.3", config_path="configs", config_name="train")
def main(cfg: DictConfig) -> None:
    """Train one run of a config, or one of a sweep."""
    with console.user_errors():
        if cfg.init is not None:
            from tasks import transfer

            transfer.inherit_options(cfg)
        if sweeps.is_job():
            sweeps.run_job(cfg, train)
        else:
            train(cfg)


def train(cfg: DictConfig) -> str | None:
    """Build data, net and task, fit, test, write the run's record; of a sweep's, return a line."""
    sweeps.announce(cfg)
    with imports.without_collecting():
        import lightning.pytorch as pl
        from lightning.pytorch.loggers import TensorBoardLogger

        from comparison import hparams
        from runs import checks, closing, costs, metadata, records, resume, tables
        from runs.recording import recording
        from tasks import budgets, training, transfer
        from tasks.allocator import keep_freed_memory
        from tasks.optimisation import steps_done
        from tasks.scoring import measure_artifacts, pictures_of, quiet, score
        from tasks.single_values import refuse_single_values
        from upzoo import checkpoint
        from upzoo.atomic import whole

    quiet()
    checks.check(cfg)
    keep_freed_memory()
    costs.reset_peak_memory()
    with imports.without_collecting():  # torchvision, where the data need it
        data = hydra.utils.instantiate(cfg.data)
    pl.seed_everything(cfg.seed, verbose=False)
    net, spec = training.build_net(cfg, data)
    if cfg.init is not None:
        transfer.start_from_init(cfg, net)
    data.setup()
    data.train_dataloader()  # refuses what cannot be trained on before anything is written
    refuse_single_values(net, data)

    operator = hydra.core.hydra_config.HydraConfig.get().runtime.choices["upsample"]
    choices = {"model": net.label, "upsample": operator, "data": data.name}
    choices |= {"seed": cfg.seed, "name": cfg.name}
    card = metadata.of_run(cfg, spec, data, choices)
    task = hydra.utils.instantiate(cfg.task, _recursive_=False, net=net, data=data, card=card)
    training.check_monitors(cfg, task)
    run, ckpt = resume.resolve_run(cfg, card)
    try:
        trainer = training.build_trainer(cfg)
        training.check_fit(trainer, task, data)
        if not trainer.is_global_zero:
            training.fit_other_rank(cfg, trainer, task, data, ckpt)
            return None
        record = records.new(
            command=sweeps.command(),
            choices=choices,
            config=card["config"],
            data=metadata.of_data(data, data.test_split) | metadata.inventory(data),
            cost=costs.of_net(net, data.prepared(data.test_split)[0]["image"].shape),
        )
        record.machine["precision"] = trainer.precision  # what "auto" is on this machine
        with whole(run / folders.CONFIG) as beside:
            OmegaConf.save(cfg, beside, resolve=True)
    except BaseException:
        folders.discard(run)
        raise
    if not sweeps.is_job():
        print(f"{net.label} with {operator} on {data.name}, seed {cfg.seed}: {run}")
        print(data.inventory(), flush=True)

    if cfg.compile:
        task.compile()
    with recording(run, record, lambda: steps_done(trainer)):
        training.fit(cfg, trainer, task, data, ckpt)
        record.cost |= training.time_and_memory(trainer)
        splits = dict.fromkeys(("val", data.test_split, *data.test_splits))
        pictures = pictures_of(task, cfg.artifacts)
        looked_at = {} if pictures is None else {data.test_split: pictures}
        record.metrics, per_image = score(
            cfg.trainer, task, data, splits, looked_at, progress=not sweeps.is_job()
        )
        record.budgets = budgets.keep(run, trainer, data, record, per_image)
        figures = measure_artifacts(task, data, data.test_split, cfg.artifacts, pictures)
        record.metrics[data.test_split] |= figures
        training.log_scores(trainer, record.metrics, data)
        model = checkpoint.save(run / "model", net, card | {"metrics": record.metrics})
        record.checkpoint = model.relative_to(run).as_posix()
    in_tensorboard = any(isinstance(logger, TensorBoardLogger) for logger in trainer.loggers)
    if in_tensorboard:
        hparams.write(run, record, scores=False)
    if not cfg.keep_checkpoints:
        folders.remove_checkpoints(run)
    if sweeps.is_job():
        return closing.one_line(record, run)
    tables.show(record)
    shape = data.prepared(data.test_split)[0]["image"].shape
    print(*closing.lines(record, costs.of_upsampling(net, shape)), sep="\n")
    print(f"model        {model}")
    if in_tensorboard:
        print(f"TensorBoard  tensorboard --logdir {cfg.logs}, then http://localhost:6006")
    return None


if __name__ == "__main__":
    with console.user_errors():
        help.show_if_asked("train", sys.argv[1:])
        sys.argv[1:] = arguments.prepared(sys.argv[1:], "train")
        sweeps.check_launcher(sys.argv[1:])
        main()
