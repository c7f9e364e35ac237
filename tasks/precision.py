"""Which arithmetic a machine trains fastest in."""

import torch


def resolve_precision(precision: str | int) -> str | int:
    """What Lightning takes: "auto" becomes the fastest precision of this machine.

    "auto" is "bf16-mixed" on NVIDIA GPUs from Ampere on and on CPUs with AMX, "32-true" anywhere
    else. CPUs with AVX512-BF16 but without AMX stay with "32-true": bfloat16 is slower than float32
    there (`benchmarks/training.py` measures it).
    """
    if precision != "auto":
        return precision
    if torch.cuda.is_available():
        fast = torch.cuda.get_device_capability() >= (8, 0)
    else:
        fast = torch.cpu._is_amx_tile_supported()
    return "bf16-mixed" if fast else "32-true"
