"""Whether a program is being recorded, and what for."""

import torch


def is_traced() -> bool:
    """Whether a program is being recorded, in which sizes are symbols that must not be asked."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()


def is_exported() -> bool:
    """Whether `torch.export` records, and so turns every question about sizes into a condition."""
    exporting = getattr(torch.compiler, "is_exporting", None)  # of PyTorch 2.7 and later
    return exporting is not None and bool(exporting())


def is_compiled_for_cpu(x: torch.Tensor) -> bool:
    """Whether `torch.compile` records for a CPU, where torch's own convolutions run."""
    return torch.compiler.is_compiling() and not is_exported() and x.device.type == "cpu"
