"""Which run to go on with, and whether it is the same run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from runs import folders, records

#: Parts of a config in which a resumed run may differ from its start.
UNCHECKED = (
    "budgets",
    "ckpt",
    "run_dir",
    "init_left_out",
    "logs",
    "compile",
    "callbacks",
    "logger",
    "trainer",
)


def resolve_run(cfg: DictConfig, metadata: Mapping[str, Any]) -> tuple[Path, Path | None]:
    """The run's folder and, where it goes on with one, the checkpoint to resume from.

    Sets `cfg.run_dir`, and names the folder to the processes that the run will start.

    Raises:
        ValueError: no such run, or one that was another.
    """
    from upzoo import checkpoint

    choices = metadata["choices"]
    variant = "-".join(str(choices[key]) for key in ("model", "upsample", "data"))
    parent = Path(cfg.logs, cfg.name, variant)
    if cfg.ckpt is None:
        run, ckpt = folders.shared() or folders.new_folder(parent, cfg.seed), None
    else:
        ckpt = Path(cfg.ckpt)
        if cfg.ckpt == "last":
            ckpt = (folders.shared() or unfinished(parent, cfg.seed)) / folders.LAST
        _, old = checkpoint.load(ckpt)
        run = ckpt.parent.parent
        if not ckpt.is_file() or not (run / folders.RECORD).exists():
            raise ValueError(f"ckpt={ckpt}: give the checkpoints/last.ckpt of a run's folder")
        different = first_difference(old["config"], metadata["config"])
        if different:
            raise ValueError(f"ckpt={ckpt}: that run was another one: {different}")
    cfg.run_dir = str(run)
    folders.share(run)
    return run, ckpt


def unfinished(parent: Path, seed: int) -> Path:
    """The newest folder of `parent` and `seed` with a `last.ckpt` whose record is not finished.

    Raises:
        ValueError: if there is none, or a record there cannot be read.
    """
    found = [
        run
        for run in parent.glob(f"seed{seed}-*")
        if (run / folders.LAST).exists() and records.read(run / folders.RECORD).status != "finished"
    ]
    if not found:
        raise ValueError(
            f"ckpt=last: no unfinished run with a last.ckpt in {parent}/seed{seed}-*; "
            "leave ckpt out to start one"
        )
    return max(found, key=lambda run: (run / folders.LAST).stat().st_mtime)


def first_difference(old: Mapping[str, Any], new: Mapping[str, Any], path: str = "") -> str | None:
    """Name the first option in which two configs differ, the free parts left out.

    >>> first_difference({"seed": 0, "data": {"size": 1}}, {"seed": 0, "data": {"size": 2}})
    'data.size was 1 and is now 2'
    """
    for key in sorted(set(old) | set(new)):
        if not path and key in UNCHECKED:
            continue
        a, b = old.get(key), new.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            inner = first_difference(a, b, f"{path}{key}.")
            if inner:
                return inner
        elif a != b:
            return f"{path}{key} was {a!r} and is now {b!r}"
    return None
