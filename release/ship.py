"""Finished runs as shipped checkpoints, and their manifest.

python -m release.ship RUN NAME    # logs/…/seed0-… becomes checkpoints/NAME
python -m release.ship             # writes the manifest again, after a folder was removed
"""

from __future__ import annotations

import argparse
import copy
import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from release import card
from release.interval import over_images
from release.manifest import write_manifest
from runs import console, folders, records, scrub
from upzoo import checkpoint, zoo

if TYPE_CHECKING:
    from torch import nn

#: Bytes of the weights of one checkpoint and of all, and how many the repository holds.
MAX_BYTES, ALL_BYTES, MOST = 4_000_000, 30_000_000, 40
#: What a shipped config keeps of a run's: all that scoring and comparing need.
CONFIG_KEYS = ("seed", "init", "average", "artifacts", "data", "task", "trainer")


def ship(run: str | Path, name: str, seeds: Mapping[str, Any] | None = None) -> Path:
    """Make a finished run the checkpoint `name`, and list it in the manifest.

    Weights are rounded to float16, but for biases and batch statistics, which are few and range
    widely; then the rounded net is scored on whole splits, and those scores are the checkpoint's.
    Of a generator and its discriminator only the generator is shipped.

    Args:
        run: the run's folder; its data must be where they were.
        name: `<arch>_<operator>.<data>` of the run; more words may follow the operator's.
        seeds: what the run's variant has over all its seeds: `count`, and `mean` and `half` of the
            95 % interval of the score `score` on `split`.

    Returns:
        The checkpoint's folder.

    Raises:
        FileNotFoundError: there is no run.
        TooLargeError: too many weights for one checkpoint, or for all.
        ValueError: a run that is not finished, a name that is not its own.
    """
    record = records.read(Path(run) / folders.RECORD)
    if record.status != "finished" or record.checkpoint is None:
        raise ValueError(f"{run}: this run is {record.status}: only finished ones are shipped")
    _check_name(name, record.choices)
    net, metadata = checkpoint.load(Path(run) / record.checkpoint)
    halved = halve(net)
    part, spec = used_part(halved, metadata["model"])
    refuse_large(run, name, sum(t.numel() * t.element_size() for t in part.state_dict().values()))
    net.load_state_dict(halved.state_dict())  # as float32 again
    metrics, images = rescore(net, metadata, record.metrics)
    options = {key: metadata["config"][key] for key in CONFIG_KEYS if key in metadata["config"]}
    metadata |= {
        "model": spec,
        "data": {k: v for k, v in record.data.items() if k not in records.COUNTED},
        "config": scrub.config(options),
        "metrics": _short(metrics),
        "command": scrub.command(record.command),
    }
    intervals = {"seeds": seeds and dict(seeds), "images": images}
    metadata |= {kind: interval for kind, interval in intervals.items() if interval}
    folder = checkpoint.save(zoo.ROOT / name, part, metadata)
    (folder / card.FILE).write_text(card.write(name, part, metadata, record))
    write_manifest()
    return folder


class TooLargeError(ValueError):
    """A net that the repository has no room for."""


def refuse_large(run: str | Path, name: str, size: int) -> None:
    """Refuse weights of so many bytes, by themselves or beside the checkpoints that are there.

    Raises:
        TooLargeError: one line that says which limit, and what would fit.
    """
    if size > MAX_BYTES:
        raise TooLargeError(
            f"{run}: {size:,} bytes of weights, more than the {MAX_BYTES:,} of a shipped "
            "checkpoint: train a narrower net (model.width=…)"
        )
    others = {path for path in zoo.ROOT.glob("[!.]*/model.safetensors") if path.parent.name != name}
    total = size + sum(path.stat().st_size for path in others)
    if total > ALL_BYTES or len(others) >= MOST:
        raise TooLargeError(
            f"{run}: with {name} there would be {len(others) + 1} checkpoints of {total:,} bytes, "
            f"more than {MOST} or {ALL_BYTES:,}: remove one from {zoo.ROOT.name}/"
        )


def halve(net: nn.Module) -> nn.Module:
    """A copy with every parameter of two or more dimensions in float16."""
    halved = copy.deepcopy(net)
    for parameter in halved.parameters():
        if parameter.ndim > 1:
            parameter.data = parameter.data.half()
            if not parameter.isfinite().all():
                raise ValueError("a weight is beyond 65504, the largest of float16: not shipped")
    return halved


def used_part(net: nn.Module, spec: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """What is used of a trained net, and its spec: the generator of a DCGAN, else all."""
    from upzoo.dcgan import DCGAN, Generator

    if not isinstance(net, DCGAN):
        return net, dict(spec)
    known = inspect.signature(Generator).parameters
    own = {key: value for key, value in spec.items() if key in known}
    own |= {"size": net.size[0], "channels": spec["in_channels"]}
    return net.generator, {"_target_": "models.dcgan.Generator", **own}


def rescore(
    net: nn.Module, metadata: Mapping[str, Any], splits: Iterable[str]
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Score a net on whole splits of the data that it was trained on.

    Returns:
        The scores, and the interval of the first over images, where there is one.
    """
    from omegaconf import OmegaConf

    from tasks.rebuild import rebuild, stored_config
    from tasks.scoring import measure_artifacts, pictures_of, quiet, score

    quiet()
    stored = OmegaConf.create(dict(stored_config(metadata)))
    stored.trainer.limit_val_batches = stored.trainer.limit_test_batches = 1.0
    task, data = rebuild(metadata, net)
    split, count = data.test_split, stored.artifacts
    pictures = pictures_of(task, count)
    metrics, figures = score(
        stored.trainer, task, data, splits, {split: pictures} if pictures else {}
    )
    metrics[split] |= measure_artifacts(task, data, split, count, pictures)
    return metrics, over_images(figures[split], split, task.pooled)


def _check_name(name: str, choices: Mapping[str, Any]) -> None:
    stem, data = f"{choices['model']}_{choices['upsample']}", choices["data"]
    before, _, after = name.partition(".")
    own = before == stem or before.startswith(f"{stem}_")
    if not (zoo.NAME.fullmatch(name) and own and after == data):
        raise ValueError(f"name {name!r}: this run is {stem}.{data}, or {stem}_<variant>.{data}")


def _short(metrics: Any) -> Any:
    """Scores to six digits, without the artifacts' details, which the record keeps."""
    if isinstance(metrics, Mapping):
        return {key: _short(value) for key, value in metrics.items() if key != "artifacts"}
    return float(f"{metrics:.6g}") if isinstance(metrics, float) else metrics


def main() -> None:
    """Ship the run that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m release.ship", description=__doc__)
    parser.add_argument("run", nargs="?", help="folder of a finished run")
    parser.add_argument("name", nargs="?", help="<arch>_<operator>.<data>")
    given = parser.parse_args()
    if given.run is None:
        print(f"{len(write_manifest())} checkpoints listed: {zoo.ROOT / zoo.MANIFEST}")
        return
    if given.name is None:
        parser.error("give RUN and NAME, such as fcn8s_bilinear_init.camvid")
    print(f"shipped: {ship(given.run, given.name)}")


if __name__ == "__main__":
    with console.user_errors():
        main()
