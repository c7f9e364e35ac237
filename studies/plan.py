"""What the study trains, in order of worth: jobs of the settings, their pilots, their rates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from studies.settings import SETTINGS
from studies.variants import OPERATORS, TWINS

#: Learning rates chosen on validation data: setting → variant → rate.
RATES = Path(__file__).with_name("rates.yaml")
#: The seed of the trainings that choose them, which is none of the study's.
PILOT_SEED = 100


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        setting: key of `SETTINGS`.
        variant: key of its variants.
        lr: its learning rate.
        seed: its seed.
        folder: where its runs are kept, within `logs`; no other job's are there but of its seeds.
        overrides: options of train.py, but for the data's folder.
    """

    setting: str
    variant: str
    lr: float
    seed: int
    folder: str
    overrides: tuple[str, ...]


def study_jobs(
    settings: Sequence[str], rates: Mapping[str, Mapping[str, float]], seeds: Sequence[int] | None
) -> Iterator[Job]:
    """The study's trainings, the most worth first: a seed of every variant before the next seed.

    A variant is trained at its own rate, then, where that differs, at the common one (but not
    where the setting has another's rates), and the setting's checks come last.

    Args:
        settings: keys of `SETTINGS`.
        rates: setting → variant → its own rate; a variant without one has the common rate.
        seeds: only these; None for all.
    """
    for name in settings:
        setting = SETTINGS[name]
        chosen = rates.get(setting.rates_of or name, {})
        own = {
            variant: float(chosen.get(TWINS.get(variant, variant), setting.common))
            for variant in setting.variants
        }
        other = [
            variant
            for variant in setting.variants
            if setting.rates_of is None and own[variant] != setting.common and variant not in TWINS
        ]
        parts: list[tuple[str, Sequence[str], Sequence[int], Sequence[str], bool]] = [
            ("", list(setting.variants), setting.seeds, (), False),
            ("-common", other, setting.seeds, (), True),
            *((f"-{check}", *what, False) for check, what in setting.checks.items()),
        ]
        for suffix, variants, its_seeds, options, common in parts:
            for seed in its_seeds:
                for variant in variants:
                    if seeds is None or seed in seeds:
                        lr = setting.common if common else own[variant]
                        folder = f"study/{name}/{variant}{suffix}"
                        yield _job(name, variant, lr, seed, folder, options)


def pilot_jobs(settings: Sequence[str]) -> Iterator[Job]:
    """The trainings that choose learning rates: every rate of every variant, one seed."""
    for name in settings:
        setting = SETTINGS[name]
        if setting.pilot is None:
            continue
        for variant in setting.variants:
            if variant not in TWINS:
                for lr in setting.pilot.rates:
                    folder = f"pilots/{name}/{variant}/lr{lr:g}"
                    yield _job(name, variant, lr, PILOT_SEED, folder, setting.pilot.overrides)


def _job(
    name: str, variant: str, lr: float, seed: int, folder: str, overrides: Sequence[str]
) -> Job:
    setting = SETTINGS[name]
    options = (
        f"experiment=study/{setting.experiment}",
        *OPERATORS[variant],
        *setting.overrides,
        *(f"{option}={lr:g}" for option in setting.rate_options),
        f"seed={seed}",
        f"name={folder}",
        *overrides,
    )
    return Job(name, variant, lr, seed, folder, options)


def read_rates(path: Path = RATES) -> dict[str, dict[str, float]]:
    """Rates that have been chosen; none where there is no such file yet."""
    if not path.is_file():
        return {}
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
