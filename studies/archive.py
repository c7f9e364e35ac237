"""Keep the records of finished runs where a repository can hold them, and find them there.

python -m studies.archive logs/study results/study
python -m studies.archive logs/segnet_basic results/segnet_basic --curves    # learning curves too
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
from pathlib import Path

from comparison import groups
from comparison.curves import FILE, scalars
from runs import console, folders, per_image, records, scrub
from runs.records import Record
from studies.plan import Job
from upzoo.metrics.catalogue import SCORES

#: Scalars of a learning curve.
TAGS = ("train/loss", "train/loss_d", "train/loss_g", *(f"val/{name}" for name in SCORES))


def keep(
    source: str | Path, target: str | Path, curves: bool = False
) -> tuple[list[Path], list[str]]:
    """Copy every finished record below a folder, at the same place below another.

    What names one machine's folders is taken out, and so is the way to weights that do not come
    along.

    Args:
        source: such as logs/study.
        target: such as results/study; records that are there already are written again.
        curves: keep losses and validation scores by step beside each record, too.

    Returns:
        The copies, and why others were left out.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: no finished run is found there.
    """
    study = groups.collect([source])
    kept = []
    for group in study.groups:
        for variant in group.variants:
            for run in variant.runs.values():
                path = Path(target) / run.path.relative_to(source)
                keep_run(run.folder, path.parent)
                if curves:
                    found = scalars(run.folder, TAGS)
                    points = {tag: list(values.items()) for tag, values in found.items() if values}
                    (path.parent / FILE).write_text(json.dumps(points) + "\n")
                kept.append(path)
    return kept, [f"{each.path}: {each.reason}" for each in study.left_out]


def keep_run(run: Path, target: Path) -> None:
    """Copy the record of one finished run, and the figures of its images where it has such."""
    records.write(target / folders.RECORD, without_places(records.read(run / folders.RECORD)))
    if (run / per_image.FILE).exists():
        shutil.copyfile(run / per_image.FILE, target / per_image.FILE)


def without_places(record: Record) -> Record:
    """A record that holds on any machine."""
    config = scrub.config(record.config) | {"logs": "logs", "run_dir": None, "ckpt": None}
    return dataclasses.replace(
        record, command=scrub.command(record.command), config=config, checkpoint=None
    )


def newest(folder: Path, seed: int) -> Path | None:
    """The newest run of a seed below a job's folder."""
    found = [path.parent for path in folder.glob(f"*/seed{seed}-*/{folders.RECORD}")]
    return max(found, key=lambda run: records.read(run / folders.RECORD).created, default=None)


def newest_of(job: Job, *places: Path) -> Path | None:
    """A job's newest run in the first of these folders that holds any: runs or their records."""
    found = (newest(place / job.folder, job.seed) for place in places)
    return next((run for run in found if run is not None), None)


def main() -> None:
    """Keep what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m studies.archive", description=__doc__)
    parser.add_argument("source", help="folder of finished runs, such as logs/study")
    parser.add_argument("target", help="folder for the copies, such as results/study")
    parser.add_argument("--curves", action="store_true", help="keep learning curves too")
    given = parser.parse_args()
    kept, left_out = keep(given.source, given.target, given.curves)
    for line in left_out:
        print(f"left out: {line}")
    print(f"{len(kept)} records kept: {given.target}")


if __name__ == "__main__":
    with console.user_errors():
        main()
