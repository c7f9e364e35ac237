"""What the study trains: settings, variants and seeds, in order of worth (docs/protocol.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
class Hypothesis:
    """A statement about two variants that a test can reject (docs/protocol.md).

    Attributes:
        name: of the page's table.
        sentence: what is claimed.
        first: a variant.
        second: another.
        kind: "higher": the first's score is higher than the second's; "equivalent": they differ by
            less than the setting's margin.
        score: None for the setting's primary one.
        budgets: indices into the setting's budgets; one test each.
    """

    name: str
    sentence: str
    first: str
    second: str
    kind: str
    score: str | None = None
    budgets: Sequence[int] = (-1,)


@dataclass(frozen=True)
class Setting:
    """A net on data, trained with several operators.

    Attributes:
        title: for people.
        experiment: in configs/experiment/study.
        data: folder of the data within the user's.
        variants: keys of `OPERATORS`, the most worth first.
        primary: the score that decides, the higher the better.
        split: the test split that it is of.
        figures: names of the figures of each image that the score is a mean of, or a mean IoU.
        margin: differences below it are none, in the score's unit.
        act: differences up to it are not worth acting on.
        secondary: further scores of the page's table, split and name.
        hypotheses: tested at their budgets, one Holm family.
        seeds: of the study.
        common: the learning rate that every variant is trained at, too.
        pilot: None where the setting has one rate only.
        overrides: options of train.py for all of its trainings.
        rates_of: the setting whose variants' own rates it has, by the protocol; None for its own.
        checks: name of a check → its variants, its seeds, its options of train.py.
    """

    title: str
    experiment: str
    data: str
    variants: Sequence[str]
    seeds: Sequence[int]
    common: float
    primary: str
    split: str
    figures: Sequence[str]
    margin: float
    act: float
    secondary: Sequence[tuple[str, str]] = ()
    hypotheses: Sequence[Hypothesis] = ()
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

#: What scores of mean IoU on CamVid are taken from and shown with.
_CAMVID: dict[str, Any] = {
    "data": "camvid",
    "primary": "miou",
    "split": "test",
    "figures": ("hits", "truth", "predicted"),
    "margin": 0.01,
    "act": 0.005,
    "secondary": (
        ("test", "boundary_f1"),
        ("test", "boundary_iou"),
        ("test", "shift_consistency"),
        ("val", "miou"),
    ),
    "pilot": Pilot(
        rates=(1e-3, 3e-3, 9e-3),
        overrides=("data.leave_out=0006R0", "trainer.max_epochs=6", "budgets=[99,198,396]"),
        metric="miou",
    ),
}
_SUPER_RESOLUTION: dict[str, Any] = {
    "data": "super_resolution",
    "primary": "psnr",
    "split": "set5",
    "figures": ("psnr",),
    "margin": 0.05,
    "act": 0.05,
    "secondary": (
        ("set5", "ssim"),
        ("set14", "psnr"),
        ("set5", "checkerboard_db"),
        ("set5", "sharpness_db"),
        ("set5", "shift_equivariance"),
    ),
}

SETTINGS: Mapping[str, Setting] = {
    "fcn8s_camvid": Setting(
        title="FCN-8s on CamVid",
        experiment="fcn8s_camvid",
        **_CAMVID,
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
        hypotheses=(
            Hypothesis(
                "1, start",
                "after a short training a bilinear start is better than a random one",
                "bilinear_dense",
                "transposed",
                "higher",
                budgets=(0, 1, 2),
            ),
            Hypothesis(
                "2, end",
                "at the end the start does not matter",
                "bilinear_dense",
                "transposed",
                "equivalent",
            ),
            Hypothesis(
                "3, learning",
                "learning one kernel a channel is equivalent to fixed bilinear kernels",
                "bilinear_depthwise",
                "bilinear_fixed",
                "equivalent",
            ),
            Hypothesis(
                "3, learning",
                "learning dense kernels is equivalent to fixed bilinear kernels",
                "bilinear_dense",
                "bilinear_fixed",
                "equivalent",
            ),
            Hypothesis(
                "4, content",
                "dysample has better boundaries than fixed bilinear kernels",
                "dysample",
                "bilinear_fixed",
                "higher",
                "boundary_f1",
            ),
            Hypothesis(
                "4, content",
                "carafe has better boundaries than fixed bilinear kernels",
                "carafe",
                "bilinear_fixed",
                "higher",
                "boundary_f1",
            ),
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
        title="ESPCN ×3 (T91, Set5)",
        experiment="espcn_t91",
        **_SUPER_RESOLUTION,
        variants=(
            "pixel_shuffle",
            "transposed",
            "bilinear_fixed",
            "bilinear_dense",
            "resize_nearest",
            "resize_bilinear",
            "dysample",
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
            overrides=("trainer.max_epochs=8", "budgets=[500,1000,2000,4000,8000]"),
            metric="psnr",
        ),
        hypotheses=(
            Hypothesis(
                "b1",
                "sub-pixel convolution and transposed convolution are equivalent",
                "pixel_shuffle",
                "transposed",
                "equivalent",
            ),
            Hypothesis(
                "b2",
                "sub-pixel convolution is better than fixed bilinear kernels",
                "pixel_shuffle",
                "bilinear_fixed",
                "higher",
            ),
        ),
        checks={"no_icnr": (["pixel_shuffle"], (0, 1, 2, 3, 4), ["upsample.icnr=false"])},
    ),
    "espcn_x2": Setting(
        title="ESPCN ×2 (T91, Set5)",
        experiment="espcn_t91",
        **_SUPER_RESOLUTION,
        variants=(*FIVE, "transposed_kernel3", "transposed_kernel5", "transposed_kernel6"),
        seeds=(0, 1, 2),
        common=4e-3,
        overrides=("data.scale=2",),
        hypotheses=tuple(
            Hypothesis(
                "b3",
                f"a kernel of {kernel}, whose overlap is uneven, is equivalent to one of 4",
                f"transposed_kernel{kernel}",
                "transposed",
                "equivalent",
            )
            for kernel in (3, 5)
        ),
        rates_of="espcn_x3",
    ),
    "espcn_x4": Setting(
        title="ESPCN ×4 (T91, Set5)",
        experiment="espcn_t91",
        **_SUPER_RESOLUTION,
        variants=FIVE,
        seeds=(0, 1, 2),
        common=4e-3,
        overrides=("data.scale=4",),
        rates_of="espcn_x3",
    ),
    "srresnet_x4": Setting(
        title="small SRResNet ×4 (T91, Set5)",
        experiment="srresnet_t91",
        **_SUPER_RESOLUTION,
        variants=FIVE,
        seeds=(0, 1, 2),
        common=1e-3,
    ),
    "unet_lite0_camvid": Setting(
        title="U-Net on a pretrained encoder (CamVid)",
        experiment="unet_lite0_camvid",
        **_CAMVID,
        variants=(
            "bilinear_fixed",
            "transposed",
            "bilinear_dense",
            "resize_nearest",
            "pixel_shuffle",
            "dysample",
            "bilinear_twin",
        ),
        seeds=(0, 1, 2),
        common=3e-3,
        hypotheses=(
            Hypothesis(
                "c1",
                "after a short training a bilinear start is better than a random one",
                "bilinear_dense",
                "transposed",
                "higher",
                budgets=(0, 1, 2),
            ),
            Hypothesis(
                "c2",
                "at the end the start does not matter",
                "bilinear_dense",
                "transposed",
                "equivalent",
            ),
        ),
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
