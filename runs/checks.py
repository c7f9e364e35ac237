"""What is refused before a run starts, among the options that nothing else checks."""

from omegaconf import DictConfig

from upzoo.counts import check_counts, is_count


def check(cfg: DictConfig) -> None:
    """Refuse root options out of their range.

    Raises:
        ValueError: with the option and what it may be.
    """
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
    for name in ("train", "val", "test"):
        _check_limit(f"limit_{name}_batches", cfg.trainer[f"limit_{name}_batches"])
    steps = {name: cfg.trainer[name] for name in ("accumulate_grad_batches", "max_epochs")}
    check_counts("trainer.", **steps)
    if cfg.trainer.get("overfit_batches"):
        raise ValueError(
            f"trainer.overfit_batches={cfg.trainer.overfit_batches}: use data.overfit=IMAGES, "
            "which leaves augmentation out too"
        )


def _check_limit(name: str, value: object) -> None:
    """Refuse a limit that leaves nothing to train on or to score."""
    share = isinstance(value, float) and 0 < value <= 1
    if not share and not is_count(value):
        raise ValueError(
            f"trainer.{name}={value!r} must be a number of batches from 1 or a share above 0 to 1.0"
        )
