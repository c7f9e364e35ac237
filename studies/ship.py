"""Ship the first seed of each variant of the study, with what all its seeds score.

python -m studies.ship                          # of every finished setting in logs/
python -m studies.ship --settings espcn_x3

The seed is fixed beforehand: a new training is expected to score as a shipped net does. Variants
go in the protocol's order, those of most worth first; what the repository has no room for is named.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from comparison.statistics import estimate
from release.ship import TooLargeError, ship
from runs import console
from studies import arguments
from studies.archive import newest
from studies.evidence import Evidence, read
from studies.settings import SETTINGS
from studies.variants import OPERATORS, TWINS


def name_of(experiment: str, choices: Mapping[str, Any], options: Sequence[str]) -> str:
    """The checkpoint's name: <model>_<operator>_<what is unusual of either>_study.<data>.

    A recipe's net, which trained longer, has the name without "study".

    Args:
        experiment: of the setting, <model and what is unusual of it>_<data>.
        choices: of a record.
        options: of train.py that chose the operator.

    >>> choices = {"model": "unet", "upsample": "bilinear_init", "data": "camvid"}
    >>> options = ["upsample=bilinear_init", "upsample.dense=true"]
    >>> name_of("study/unet_lite0_camvid", choices, options)
    'unet_bilinear_init_dense_lite0_study.camvid'
    """
    model = experiment.split("/")[-1].rpartition("_")[0]
    of_model = model.removeprefix(choices["model"]) if model.startswith(choices["model"]) else ""
    unusual = [o.removeprefix("upsample.").removesuffix("=true") for o in options[1:]]
    words = [choices["model"], choices["upsample"], *unusual, of_model.strip("_"), "study"]
    stem = "_".join(word for word in words if word)
    return re.sub(r"[^a-z0-9_]", "", stem.lower()) + f".{choices['data']}"


def over_seeds(evidence: Evidence, variant: str) -> dict[str, Any] | None:
    """The interval of a variant's primary score; None for one seed."""
    setting = evidence.setting
    found = estimate(list(evidence.scores(evidence.budgets[-1])[variant].values()))
    if found.half is None:
        return None
    interval = {"count": found.n, "mean": found.mean, "half": found.half}
    return interval | {"score": setting.primary, "split": setting.split}


def main() -> None:
    """Ship what the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m studies.ship",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--settings", default=",".join(SETTINGS), help="default: %(default)s")
    parser.add_argument("--logs", type=Path, default=Path("logs"), help="runs with their weights")
    parser.add_argument("--results", type=Path, default=Path("results"), help="their records")
    given = parser.parse_args()
    arguments.folder(given.logs, "the runs (--logs)")
    for setting in arguments.settings(given.settings):
        evidence = read(setting, given.results)
        if not evidence.own or not evidence.seeds:
            continue
        for variant in evidence.own:
            first = evidence.setting.seeds[0]
            run = newest(given.logs / "study" / setting / variant, first)
            if variant in TWINS or run is None:
                continue
            choices = evidence.own[variant][first].record.choices
            name = name_of(evidence.setting.experiment, choices, OPERATORS[variant])
            try:
                print(f"shipped: {ship(run, name, over_seeds(evidence, variant))}", flush=True)
            except TooLargeError as error:
                print(f"left out: {error}", flush=True)


if __name__ == "__main__":
    with console.user_errors():
        main()
