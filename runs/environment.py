"""Where a run took place: the machine, the versions of what it ran on, and the commit."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

DISTRIBUTIONS = {
    "torch": "torch",
    "torchvision": "torchvision",
    "lightning": "lightning",
    "hydra": "hydra-core",
    "torchmetrics": "torchmetrics",
    "numpy": "numpy",
}


def machine() -> dict[str, Any]:
    """Describe this machine: processor, cores this process may use, memory in bytes, GPUs, OS.

    `amx_bf16` and `avx512_bf16` say whether the processor multiplies bf16 matrices by itself. What
    the system does not tell is None.
    """
    import torch

    from upzoo.memory import physical_memory

    cpu, flags = _processor()
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "cpu": cpu,
        "cores": cores(),
        "memory_bytes": physical_memory(),
        "amx_bf16": "amx_bf16" in flags,
        "avx512_bf16": "avx512_bf16" in flags,
        "gpu": gpus[0] if gpus else None,
        "gpus": len(gpus),
        "os": platform.platform(),
        "python": platform.python_version(),
    }


def versions() -> dict[str, str | None]:
    """Name the installed version of each library that shapes a result; None if it is missing."""
    return {name: _version(distribution) for name, distribution in DISTRIBUTIONS.items()}


def commit(root: str | os.PathLike[str] = ROOT) -> dict[str, Any] | None:
    """Name the git commit of a repository, and whether its files differ from it.

    Files below results/ do not count: a sweep leaves its records there, and no training reads them.

    Returns:
        {"sha": 40 hex digits, "dirty": bool}; None without git, without a commit, or where `root`
        merely lies inside somebody else's repository.
    """
    sha, top = _git(root, "rev-parse", "HEAD"), _git(root, "rev-parse", "--show-toplevel")
    if sha is None or top is None or Path(top).resolve() != Path(root).resolve():
        return None
    return {"sha": sha, "dirty": _git(root, "status", "--porcelain", "--", ".", ":!results") != ""}


def _git(root: str | os.PathLike[str], *arguments: str) -> str | None:
    try:
        answer = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> tuple[str | None, set[str]]:
    """Return the processor's name and its feature flags (Linux tells both)."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or None, set()
    fields = {key.strip(): value.strip() for key, _, value in (s.partition(":") for s in lines)}
    name = fields.get("model name") or platform.processor() or platform.machine() or None
    return name, set(fields.get("flags", "").split())


def cores() -> int | None:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()
