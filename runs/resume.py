"""Which run to go on with, and whether it is the same run."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from runs import folders, records
from runs.options import options_of
from upzoo.atomic import remove_strays

#: Options in which a resumed run may differ from its start: they change no result, but for those
#: of the trainer, by which a run may be made longer. What the data is, its fingerprint tells.
UNCHECKED = re.compile(
    r"(ckpt|run_dir|init_left_out|logs|name|compile|artifacts|keep_checkpoints)$"
    r"|(budgets|callbacks|logger|trainer)(\.|$)"
    r"|data\.(root|download|url|num_workers|eval_batch_size|cache\w*)$"
)
#: Options that runs of earlier versions lack → what they were trained with.
ADDED: Mapping[str, Any] = {"task.encoder_factor": 1.0}


def resolve_run(cfg: DictConfig, metadata: Mapping[str, Any]) -> tuple[Path, Path | None]:
    """The run's folder and, where it goes on with one, the checkpoint to resume from.

    Sets `cfg.run_dir`, and names the folder to the processes that the run will start. The folder
    is this process's alone until it ends.

    Raises:
        FileNotFoundError: no such checkpoint.
        ValueError: no such run, one that was another, or one that another process trains.
    """
    choices = metadata["choices"]
    variant = "-".join(str(choices[key]) for key in ("model", "upsample", "data"))
    parent = Path(cfg.logs, cfg.name, variant)
    first = folders.shared() is None
    if cfg.ckpt is None:
        run, ckpt = folders.shared() or folders.new_folder(parent, cfg.seed), None
    else:
        ckpt = Path(cfg.ckpt)
        if cfg.ckpt == "last":
            ckpt = (folders.shared() or unfinished(parent, cfg.seed)) / folders.LAST
        run = ckpt.parent.parent
        check_same(ckpt, metadata)
    if first:
        folders.own(run)
        for folder in (run, run / folders.LAST.parent):
            remove_strays(folder)
    cfg.run_dir = str(run)
    folders.share(run)
    return run, ckpt


def check_same(ckpt: Path, metadata: Mapping[str, Any]) -> None:
    """Refuse a checkpoint that cannot be gone on with, or that is of a run of another kind."""
    from upzoo import checkpoint

    run = ckpt.parent.parent
    if not ckpt.exists() and _finished(run):
        raise FileNotFoundError(
            f"ckpt={ckpt}: that run is finished and its checkpoints are removed: "
            "keep_checkpoints=true keeps them"
        )
    try:
        _, old = checkpoint.load(ckpt)
    except ValueError as error:
        raise ValueError(f"{error}{_other_checkpoint(ckpt)}") from None
    if not ckpt.is_file() or not (run / folders.RECORD).exists():
        raise ValueError(f"ckpt={ckpt}: give the checkpoints/last.ckpt of a run's folder")
    config, data = old.get("config"), old.get("data", {})
    if config is None or "fingerprint" not in data:
        raise ValueError(f"ckpt={ckpt}: it does not say how and on what it was trained")
    _check_state(ckpt)
    different = first_difference(config, metadata["config"])
    if different is None and data["fingerprint"] != metadata["data"]["fingerprint"]:
        different = (
            f"its data had the fingerprint {data['fingerprint']} and now has "
            f"{metadata['data']['fingerprint']}: files were added, removed or changed"
        )
    if different:
        raise ValueError(f"ckpt={ckpt}: that run was another one: {different}")


def _check_state(ckpt: Path) -> None:
    """Refuse a checkpoint without optimizer or steps, from which Lightning would begin anew."""
    import torch

    content = torch.load(ckpt, map_location="cpu", weights_only=True)
    kinds = {"loops": dict, "optimizer_states": list, "lr_schedulers": list, "callbacks": dict}
    kinds["pytorch-lightning_version"] = str
    for name, kind in kinds.items():
        empty = name in ("loops", "optimizer_states") and not content.get(name)
        if not isinstance(content.get(name), kind) or empty:
            raise ValueError(
                f"ckpt={ckpt}: no training goes on from it, what it has of {name} is damaged"
                f"{_other_checkpoint(ckpt)}"
            )


def _other_checkpoint(ckpt: Path) -> str:
    """What to go on from instead of a damaged checkpoint."""
    from upzoo import checkpoint

    for other in sorted(set(ckpt.parent.glob("*.ckpt")) - {ckpt}):
        try:
            checkpoint.load(other)
        except ValueError:
            continue
        return f"; {other.name} beside it is whole: go on with ckpt={other}"
    return ""


def _finished(run: Path) -> bool:
    try:
        return records.read(run / folders.RECORD).status == "finished"
    except (ValueError, OSError):
        return False


def resumable(folder: Path, config: Mapping[str, Any]) -> Path | None:
    """The checkpoint of a sweep's job that was stopped or killed, with these very options.

    Args:
        folder: of the sweep.
        config: of the job.

    Returns:
        None where there is none that can be read, or where another process trains that run.
    """
    from upzoo import checkpoint

    for path in sorted(folder.glob(f"*/seed{config['seed']}-*/{folders.LAST}"), reverse=True):
        run = path.parent.parent
        try:
            record = records.read(run / folders.RECORD)
            if record.status == "finished" or options_of(record.config) != options_of(config):
                continue
            checkpoint.load(path)
        except (ValueError, OSError):
            continue  # a damaged run is begun anew
        if not folders.is_owned(run):
            return path
    return None


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
    """Name the first option in which two configs differ, those that change no result left out.

    >>> first_difference({"seed": 0, "data": {"size": 1}}, {"seed": 0, "data": {"size": 2}})
    'data.size was 1 and is now 2'
    >>> first_difference({"task": {}}, {"task": {"encoder_factor": 1.0}})  # of an earlier version
    """
    for key in sorted(set(old) | set(new)):
        if UNCHECKED.match(f"{path}{key}"):
            continue
        a, b = old.get(key, ADDED.get(f"{path}{key}")), new.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            inner = first_difference(a, b, f"{path}{key}.")
            if inner:
                return inner
        elif a != b:
            return f"{path}{key} was {a!r} and is now {b!r}"
    return None
