"""Ship the best seed of each variant of a study.

python -m release.best logs/study/dcgan_mnist
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from typing import Any

from comparison import groups
from comparison.analysis import Result, analyse
from comparison.groups import Run, Variant
from comparison.pictures import model_file
from release.ship import ship
from runs import console
from upzoo import zoo
from upzoo.metrics.catalogue import SCORES

#: Share of a score that rounding the weights to float16 may change.
ROUNDED = 1e-3


def best_run(variant: Variant, quality: str) -> Run | None:
    """The run of a variant with the best score, of those that still have their weights."""
    scores = {
        s: v for s, v in variant.values(quality).items() if model_file(variant, s) is not None
    }
    if not scores:
        return None
    sign = SCORES[quality].better
    return variant.runs[max(scores, key=lambda seed: (sign * scores[seed], -seed))]


def name_of(result: Result, variant: Variant) -> str:
    """The checkpoint's name: <model>_<operator>_<what is unusual>.<data>.

    A variant "bilinear_init trainable=true" of fcn8s on camvid becomes
    fcn8s_bilinear_init_trainable.camvid.
    """
    unusual = variant.label.removeprefix(variant.operator).replace("=true", "").replace("=", "")
    words = "_".join([variant.operator, *unusual.split()])
    return f"{result.group.model}_{_plain(words)}.{result.group.data}"


def free_name(name: str, recipe: str, listed: Mapping[str, Mapping[str, Any]]) -> str:
    """The name, or one with the recipe's first word where another recipe's net has it.

    >>> listed = {"unet_carafe.camvid": {"recipe": "camvid"}}
    >>> free_name("unet_carafe.camvid", "study/unet_camvid", listed)
    'unet_carafe_study.camvid'
    """
    if name not in listed or listed[name].get("recipe") == recipe:
        return name
    stem, _, data = name.partition(".")
    return f"{stem}_{_plain(recipe.partition('/')[0])}.{data}"


def beats(score: float, shipped: float, better: int) -> bool:
    """Whether a run's score is better than a shipped net's by more than float16 may cost.

    >>> beats(0.52, 0.50, 1), beats(0.5002, 0.5, 1), beats(40.0, 50.0, -1)
    (True, False, True)
    """
    return better * (score - shipped) > ROUNDED * abs(shipped)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9_]", "_", text.lower())


def main() -> None:
    """Ship what lies in the folder that the command line names.

    What is shipped already stays, unless a run of the same recipe is better.
    """
    parser = argparse.ArgumentParser(prog="python -m release.best", description=__doc__)
    parser.add_argument("runs", help="folder of finished runs with their weights")
    given = parser.parse_args()
    listed = zoo.entries()
    for group in groups.collect([given.runs]).groups:
        result = analyse(group, None)
        if result.quality is None:
            continue
        for variant in result.group.variants:
            name, run = name_of(result, variant), best_run(variant, result.quality)
            if run is None:
                print(f"{name}: no weights beside its records")
                continue
            name = free_name(name, run.record.choices["name"], listed)
            score, better = variant.values(result.quality)[run.seed], SCORES[result.quality].better
            if name in listed and not beats(score, listed[name]["scores"][result.quality], better):
                print(f"{name}: is shipped already")
            else:
                chosen = f"best of {len(variant.runs)} seeds on {group.split}"
                print(f"shipped: {ship(run.folder, name, chosen)}", flush=True)


if __name__ == "__main__":
    with console.user_errors():
        main()
