"""What the study trains: settings, variants and seeds, in order of worth (docs/protocol.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

#: Learning rates chosen on validation data: setting → variant → rate.
RATES = Path(__file__).with_name("rates.yaml")
#: The seed of the trainings that choose them, which is none of the study's.
PILOT_SEED = 100


@dataclass(frozen=True)
class Pilot:
    """How a setting's learning rates are chosen.

    Attributes:
        rates: to choose from.
        overrides: options of train.py that make the training short and keep the test split out.
        metric: the validation score that decides, the higher the better.
    """

    rates: Sequence[float]
    overrides: Sequence[str]
    metric: str


@dataclass(frozen=True)
class Setting:
    """A net on data, trained with several operators.

    Attributes:
        data: folder of the data within the user's; "" where it is that folder itself.
        variants: name → options of train.py that choose the operator, the most worth first.
        seeds: of the study.
        common: the learning rate that every variant is trained at, too.
        pilot: None where the setting has one rate only.
        twins: variant → the variant that computes the same function, whose rate it has.
        checks: name of a check → its variants, its seeds, its options of train.py.
    """

    data: str
    variants: Mapping[str, Sequence[str]]
    seeds: Sequence[int]
    common: float
    pilot: Pilot | None = None
    twins: Mapping[str, str] = field(default_factory=dict)
    checks: Mapping[str, tuple[Sequence[str], Sequence[int], Sequence[str]]] = field(
        default_factory=dict
    )


SETTINGS: Mapping[str, Setting] = {
    "fcn8s_camvid": Setting(
        data="camvid",
        variants={
            "bilinear_fixed": ["upsample=bilinear_init"],
            "transposed": ["upsample=transposed_conv"],
            "bilinear_dense": [
                "upsample=bilinear_init",
                "upsample.trainable=true",
                "upsample.dense=true",
            ],
            "resize_nearest": ["upsample=resize_conv"],
            "pixel_shuffle": ["upsample=pixel_shuffle"],
            "dysample": ["upsample=dysample"],
            "bilinear_depthwise": ["upsample=bilinear_init", "upsample.trainable=true"],
            "resize_bilinear": ["upsample=resize_conv", "upsample.mode=bilinear"],
            "carafe": ["upsample=carafe"],
            "bilinear_twin": ["upsample=interpolate"],
        },
        twins={"bilinear_twin": "bilinear_fixed"},
        seeds=(0, 1, 2, 3, 4),
        common=3e-3,
        pilot=Pilot(
            rates=(1e-3, 3e-3, 9e-3),
            overrides=("data.leave_out=0006R0", "trainer.max_epochs=6", "budgets=[99,198,396]"),
            metric="miou",
        ),
        checks={
            "cosine": (
                ["bilinear_fixed", "transposed"],
                (0, 1, 2),
                ["task.schedule=cosine", "average=0.995", "average_power=null", "budgets=null"],
            )
        },
    ),
}


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

    A variant is trained at its own rate, then, where that differs, at the common one, and the
    setting's checks come last.

    Args:
        settings: keys of `SETTINGS`.
        rates: setting → variant → its own rate; a variant without one has the common rate.
        seeds: only these; None for all.
    """
    for name in settings:
        setting = SETTINGS[name]
        chosen = rates.get(name, {})
        own = {
            variant: float(chosen.get(setting.twins.get(variant, variant), setting.common))
            for variant in setting.variants
        }
        other = [v for v in setting.variants if own[v] != setting.common and v not in setting.twins]
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
            if variant not in setting.twins:
                for lr in setting.pilot.rates:
                    folder = f"pilots/{name}/{variant}/lr{lr:g}"
                    yield _job(name, variant, lr, PILOT_SEED, folder, setting.pilot.overrides)


def _job(
    name: str, variant: str, lr: float, seed: int, folder: str, overrides: Sequence[str]
) -> Job:
    chosen = SETTINGS[name].variants[variant]
    options = (
        f"experiment=study/{name}",
        *chosen,
        f"task.lr={lr:g}",
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
