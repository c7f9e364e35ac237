"""What every checkpoint carries, so that it can be rebuilt and used without this config."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from runs import environment

#: Files left out that a record names.
NAMED = 1000


def of_data(data: Any, split: str | None = None) -> dict[str, Any]:
    """Name, fingerprint and licence of a data module, and which of its splits is meant."""
    named = {"name": data.name, "fingerprint": data.fingerprint(), "licence": data.licence}
    return named if split is None else named | {"split": split}


def inventory(data: Any) -> dict[str, Any]:
    """How many images each split of a data module has, and what is left out: path → why.

    Of thousands that are left out the record names the first.
    """
    left_out = dict(list(data.left_out.items())[:NAMED])
    if len(data.left_out) > NAMED:
        left_out["…"] = f"{len(data.left_out) - NAMED} more"
    return {"images": {k: len(v) for k, v in data.splits.items()}, "left_out": left_out}


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
