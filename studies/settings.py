"""The study's settings, in order of worth, as docs/protocol.md has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from studies.setting import Hypothesis, Pilot, Setting
from studies.variants import FIVE

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
    "parts": {"0001TP": "in training too", "Seq05VD": "not in training"},
    "pilot": Pilot(
        rates=(1e-3, 3e-3, 9e-3),
        overrides=(
            "data.leave_out=0006R0",
            "trainer.max_epochs=22",
            "budgets=[99,198,396,726,1452]",
        ),
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

_GENERATION: dict[str, Any] = {
    "split": "test",
    "figures": (),
    "rate_options": ("task.generator_lr", "task.discriminator_lr"),
    "baseline": "transposed",  # Radford's own
    "common": 4e-4,
}


def _starts(early: str, late: str) -> tuple[Hypothesis, Hypothesis]:
    """Kernels of one shape differ by their start after a short training, not at the end."""
    pair = ("bilinear_dense", "transposed")
    words = "after a short training a bilinear start is better than a random one"
    return (
        Hypothesis(early, words, *pair, "better", budgets=(0, 1, 2)),
        Hypothesis(late, "at the end the start does not matter", *pair, "equivalent"),
    )


def _same_functions(name: str) -> Hypothesis:
    """That two ways to write one layer train alike (Shi et al. 2016b)."""
    words = "sub-pixel convolution and transposed convolution are equivalent"
    return Hypothesis(name, words, "pixel_shuffle", "transposed", "equivalent")


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
            *_starts("1, start", "2, end"),
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
                "better",
                "boundary_f1",
            ),
            Hypothesis(
                "4, content",
                "carafe has better boundaries than fixed bilinear kernels",
                "carafe",
                "bilinear_fixed",
                "better",
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
            _same_functions("b1"),
            Hypothesis(
                "b2",
                "sub-pixel convolution is better than fixed bilinear kernels",
                "pixel_shuffle",
                "bilinear_fixed",
                "better",
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
        hypotheses=(*_starts("c1", "c2"),),
    ),
    "gan_mnist": Setting(
        title="DCGAN of digits (MNIST, 32×32)",
        experiment="gan_mnist",
        data=".",
        **_GENERATION,
        primary="fid",
        margin=0.5,
        act=0.5,
        secondary=(
            ("test", "swd"),
            ("test", "precision"),
            ("test", "recall"),
            ("test", "checkerboard_db"),
            ("test", "sharpness_db"),
        ),
        variants=(
            "transposed",
            "bilinear_fixed",
            "resize_nearest",
            "pixel_shuffle",
            "transposed_kernel3",
            "smooth",
        ),
        seeds=(0, 1, 2, 3, 4),
        pilot=Pilot(rates=(2e-4, 4e-4, 8e-4), overrides=(), metric="fid"),
        hypotheses=(
            Hypothesis(
                "d1",
                "resize, then convolve leaves less of a checkerboard than a kernel of 3",
                "resize_nearest",
                "transposed_kernel3",
                "better",
                "checkerboard_db",
            ),
            Hypothesis(
                "d2",
                "the Fréchet distance prefers a transposed convolution to fixed bilinear kernels",
                "transposed",
                "bilinear_fixed",
                "better",
            ),
            _same_functions("d3"),
        ),
    ),
    "gan_emoji": Setting(
        title="DCGAN of emoji (64×64)",
        experiment="gan_emoji",
        data="emoji",
        **_GENERATION,
        primary="swd",
        margin=2.0,
        act=2.0,
        secondary=(("test", "checkerboard_db"), ("test", "sharpness_db")),
        variants=("transposed", "bilinear_fixed", "resize_nearest"),
        seeds=(0, 1, 2),
        pilot=Pilot(rates=(1e-4, 2e-4, 4e-4, 8e-4, 1.6e-3, 3.2e-3), overrides=(), metric="swd"),
    ),
    "unet_scratch_camvid": Setting(
        title="U-Net from scratch (CamVid)",
        experiment="unet_scratch_camvid",
        **_CAMVID,
        variants=(
            "bilinear_fixed",
            "transposed",
            "max_unpool",
            "fade",
            "sapa",
            "smooth",
            "bilinear_twin",
        ),
        seeds=(0, 1, 2),
        common=3e-3,
        hypotheses=tuple(
            Hypothesis(
                name,
                f"{words} better boundaries than fixed bilinear kernels",
                variant,
                "bilinear_fixed",
                "better",
                "boundary_f1",
            )
            for name, variant, words in (
                ("e1", "max_unpool", "unpooling with switches gives"),
                ("e2", "fade", "fade, guided by the encoder, gives"),
                ("e3", "sapa", "sapa, guided by the encoder, gives"),
            )
        ),
    ),
    "deconvnet_emoji": Setting(
        title="DeconvNet, reconstruction (emoji)",
        experiment="deconvnet_emoji",
        data="emoji",
        primary="psnr",
        split="test",
        figures=("psnr",),
        pooled=True,
        margin=0.1,
        act=0.1,
        secondary=(
            ("test", "ssim"),
            ("test", "checkerboard_db"),
            ("test", "sharpness_db"),
            ("test", "shift_equivariance"),
        ),
        variants=(
            "max_unpool",
            "bilinear_fixed",
            "transposed",
            "resize_nearest",
            "pixel_shuffle",
        ),
        seeds=(0, 1, 2, 3, 4),
        common=9e-3,
        pilot=Pilot(rates=(1e-3, 3e-3, 9e-3, 2.7e-2, 8.1e-2), overrides=(), metric="psnr"),
        hypotheses=(
            Hypothesis(
                "f1",
                "unpooling with switches is better than fixed bilinear kernels",
                "max_unpool",
                "bilinear_fixed",
                "better",
            ),
            _same_functions("f2"),
        ),
    ),
}
