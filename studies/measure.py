"""Measure finished nets of the study on their test splits once more: shifts and checkerboards.

python -m studies.measure DATA                   # every finished run of the plan in logs/
python -m studies.measure DATA --settings fcn8s_camvid

The figures join the run's record, and its copy in results/. What has them is skipped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from runs import console, records
from runs import folders as runs
from studies import archive, arguments
from studies.archive import newest
from studies.plan import read_rates, study_jobs
from studies.setting import Setting
from studies.settings import SETTINGS

#: A figure that tells whether a record has been measured.
MARKS = ("shift_consistency", "shift_equivariance")
#: What is measured of pictures, above those of real ones.
OF_PICTURES = ("checkerboard_db", "sharpness_db")


def measure(run: Path, root: Path) -> dict[str, Any]:
    """The further figures of one run on its test split.

    Args:
        run: a finished run's folder.
        root: folder of its data.

    Raises:
        ValueError: a net that neither labels nor makes pictures of images.
    """
    from tasks.artifacts import examine
    from tasks.invariance import of_labels, of_pictures
    from tasks.rebuild import rebuild
    from tasks.reconstruction import Reconstruction
    from tasks.segmentation import Segmentation
    from upzoo import checkpoint

    net, card = checkpoint.load(run)
    task, data = rebuild(card, net, root=str(root))
    if torch.cuda.is_available():
        task.to("cuda")
    dataset = data.prepared(data.test_split)
    if isinstance(task, Segmentation):
        return of_labels(task, (dataset[index] for index in range(len(dataset))))
    if isinstance(task, Reconstruction):
        samples = [dataset[index] for index in range(len(dataset))]
        found = examine(task, samples)
        pictures = {} if found is None else found.headlines
        shown = {name: pictures[name] for name in OF_PICTURES if name in pictures}
        return of_pictures(task, samples) | shown
    raise ValueError(f"{run}: {type(task).__name__} has no such figures: measure images or labels")


def asks(setting: Setting) -> bool:
    """Whether a setting's table has these figures."""
    return any(name in MARKS for _, name in setting.secondary)


def main() -> None:
    """Measure what the command line names."""
    parser = arguments.parser("measure", __doc__)
    given = parser.parse_args()
    arguments.folder(given.data, "the data sets")
    arguments.folder(given.logs, "the runs (--logs)")
    chosen = [name for name in arguments.settings(given.settings) if asks(SETTINGS[name])]
    for job in study_jobs(chosen, read_rates(), None):
        run = newest(given.logs / job.folder, job.seed)
        record = None if run is None else records.read(run / runs.RECORD)
        if run is None or record is None or record.status != "finished":
            continue
        scores = record.metrics[record.data["split"]]
        if any(mark in scores for mark in MARKS):
            continue
        scores |= measure(run, given.data / SETTINGS[job.setting].data)
        records.write(run / runs.RECORD, record)
        archive.keep_run(run, given.results / run.relative_to(given.logs))
        print(f"measured: {run}", flush=True)


if __name__ == "__main__":
    with console.user_errors():
        main()
