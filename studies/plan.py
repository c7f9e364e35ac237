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
        experiment: in configs/experiment/study.
        data: folder of the data within the user's.
        variants: keys of `OPERATORS`, the most worth first.
        seeds: of the study.
        common: the learning rate that every variant is trained at, too.
        pilot: None where the setting has one rate only.
        overrides: options of train.py for all of its trainings.
        rates_of: the setting whose variants' own rates it has, by the protocol; None for its own.
        checks: name of a check → its variants, its seeds, its options of train.py.
    """

    experiment: str
    data: str
    variants: Sequence[str]
    seeds: Sequence[int]
    common: float
    pilot: Pilot | None = None
    overrides: Sequence[str] = ()
    rates_of: str | None = None
    checks: Mapping[str, tuple[Sequence[str], Sequence[int], Sequence[str]]] = field(
        default_factory=dict
    )


#: Options of train.py that choose an operator, by the variant's name.
OPERATORS: Mapping[str, Sequence[str]] = {
    "bilinear_fixed": ["upsample=bilinear_init"],
    "bilinear_twin": ["upsample=interpolate"],
    "bilinear_dense": ["upsample=bilinear_init", "upsample.trainable=true", "upsample.dense=true"],
    "bilinear_depthwise": ["upsample=bilinear_init", "upsample.trainable=true"],
    "bilinear_additive": ["upsample=bilinear_additive"],
    "transposed": ["upsample=transposed_conv"],
    "transposed_kernel3": ["upsample=transposed_conv", "upsample.kernel=3"],
    "transposed_kernel5": ["upsample=transposed_conv", "upsample.kernel=5"],
    "transposed_kernel6": ["upsample=transposed_conv", "upsample.kernel=6"],
    "decomposed": ["upsample=decomposed_transposed"],
    "smooth": ["upsample=smooth_transposed"],
    "fir": ["upsample=fir_transposed"],
    "resize_nearest": ["upsample=resize_conv"],
    "resize_bilinear": ["upsample=resize_conv", "upsample.mode=bilinear"],
    "pixel_shuffle": ["upsample=pixel_shuffle"],
    "dysample": ["upsample=dysample"],
    "carafe": ["upsample=carafe"],
}
TWINS = {"bilinear_twin": "bilinear_fixed"}
#: The variants of super-resolution's smaller settings.
FIVE = ("pixel_shuffle", "transposed", "bilinear_fixed", "resize_nearest", "dysample")

SETTINGS: Mapping[str, Setting] = {
    "fcn8s_camvid": Setting(
        experiment="fcn8s_camvid",
        data="camvid",
        variants=(
            "bilinear_fixed",
            "transposed",
            "bilinear_dense",
            "resize_nearest",
            "pixel_shuffle",
            "dysample",
            "bilinear_depthwise",
            "resize_bilinear",
            "carafe",
            "bilinear_twin",
        ),
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
    "espcn_x3": Setting(
        experiment="espcn_t91",
        data="super_resolution",
        variants=(
            "pixel_shuffle",
            "transposed",
            "bilinear_fixed",
            "bilinear_dense",
            "resize_nearest",
            "resize_bilinear",
            "dysample",
            "bilinear_depthwise",
            "decomposed",
            "smooth",
            "fir",
            "bilinear_additive",
            "bilinear_twin",
            "carafe",
        ),
        seeds=(0, 1, 2, 3, 4),
        common=4e-3,
        pilot=Pilot(
            rates=(1e-3, 4e-3, 1.6e-2),
            overrides=("trainer.max_epochs=2", "budgets=[500,1000,2000]"),
            metric="psnr",
        ),
    ),
    "espcn_x2": Setting(
        experiment="espcn_t91",
        data="super_resolution",
        variants=(*FIVE, "transposed_kernel3", "transposed_kernel5", "transposed_kernel6"),
        seeds=(0, 1, 2),
        common=4e-3,
        overrides=("data.scale=2",),
        rates_of="espcn_x3",
    ),
    "espcn_x4": Setting(
        experiment="espcn_t91",
        data="super_resolution",
        variants=FIVE,
        seeds=(0, 1, 2),
        common=4e-3,
        overrides=("data.scale=4",),
        rates_of="espcn_x3",
    ),
    "srresnet_x4": Setting(
        experiment="srresnet_t91",
        data="super_resolution",
        variants=FIVE,
        seeds=(0, 1, 2),
        common=1e-3,
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
