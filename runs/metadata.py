"""What every checkpoint carries, so that it can be rebuilt and used without this config."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from runs import environment


def of_data(data: Any, split: str | None = None) -> dict[str, Any]:
    """Name, fingerprint and licence of a data module, and which of its splits is meant."""
    named = {"name": data.name, "fingerprint": data.fingerprint(), "licence": data.licence}
    return named if split is None else named | {"split": split}


def of_run(
    cfg: DictConfig, spec: dict[str, Any], data: Any, choices: dict[str, Any]
) -> dict[str, Any]:
    """The metadata of a run.

    Args:
        cfg: the run's config.
        spec: from which `upzoo.checkpoint.build` makes the net again.
        data: the data module.
        choices: model, upsample, data, seed and name.
    """
    return {
        "model": spec,
        "choices": choices,
        **data.card(),
        "data": of_data(data),
        "config": OmegaConf.to_container(cfg, resolve=True),
        "commit": environment.commit(),
    }
