"""What is refused before a run starts, among the options that nothing else checks."""

from omegaconf import DictConfig


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
    if not isinstance(cfg.trainer.max_epochs, int) or cfg.trainer.max_epochs < 1:
        raise ValueError(f"trainer.max_epochs={cfg.trainer.max_epochs!r} must be at least 1")
