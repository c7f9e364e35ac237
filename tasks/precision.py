"""Which arithmetic a machine trains fastest in."""

import platform
from pathlib import Path

import torch

from runs import checks

#: Lightning's precisions whose weights are float32.
ALLOWED = ("32-true", "32", 32, "bf16-mixed", "bf16", "16-mixed", "16", 16)


def resolve_precision(precision: str | int, accelerator: str = "auto") -> str | int:
    """What Lightning takes: "auto" becomes the fastest precision of this machine's accelerator.

    "auto" is "bf16-mixed" on NVIDIA GPUs from Ampere on, on CPUs with AMX and on AMD's with
    AVX512-BF16 (Zen 4 and later), "32-true" anywhere else. Intel's CPUs with AVX512-BF16 but
    without AMX stay with "32-true": there, bfloat16 trained at 0.75 times the speed of float32, on
    AMD's at 1.3 times (`benchmarks/training.py` measures it).

    Args:
        precision: one of `ALLOWED`, or "auto".
        accelerator: of the trainer; "cpu" leaves a GPU idle.

    Raises:
        ValueError: a precision of weights that are not float32.
    """
    if precision in ALLOWED:
        return precision
    if precision != "auto":
        raise ValueError(
            f"trainer.precision={precision}: weights are kept and scored in float32: "
            "give auto, 32-true, bf16-mixed or 16-mixed"
        )
    if checks.on_gpu(accelerator):
        fast = torch.cuda.get_device_capability() >= (8, 0)
    else:
        amx, avx = torch.cpu._is_amx_tile_supported(), torch.cpu._is_avx512_bf16_supported()
        fast = amx or (avx and made_by_amd())
    return "bf16-mixed" if fast else "32-true"


def exact_float32() -> None:
    """Let float32 be float32 on CUDA: torch's convolutions take TF32, of 10 bits, by default."""
    torch.backends.cudnn.allow_tf32 = False


def made_by_amd() -> bool:
    """Whether this processor says so."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        told = platform.processor()
    return "AuthenticAMD" in told
