"""Memory that is freed: kept for the next training step, or given back, now or always."""

import ctypes

# malloc.h
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
M_MMAP_MAX = -4


def give_back_freed_memory() -> bool:
    """Return to the system what malloc has kept of freed memory.

    Returns:
        False where malloc is not glibc's, and nothing is done.
    """
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (OSError, AttributeError, TypeError):  # musl, macOS, Windows
        return False


def give_back_large_blocks() -> bool:
    """Let malloc return every block of a MiB or more as it is freed, after what it has kept so far.

    Without this glibc learns from the first maps that are freed to keep such blocks, and maps of
    other sizes do not fit into what is kept. It takes time, for the system zeroes each block.

    Returns:
        False where malloc is not glibc's, and nothing is changed.
    """
    try:
        return bool(ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 2**20)) & give_back_freed_memory()
    except (OSError, AttributeError, TypeError):  # musl, macOS, Windows
        return False


def keep_freed_memory() -> bool:
    """Let malloc keep what is freed from now on, after giving back what it has kept so far.

    By default glibc returns every large block to the system when it is freed, and the system maps
    and zeroes it anew at the next step: feature maps are such blocks, and a training step on a CPU
    makes hundreds (`benchmarks/training.py` measures what this costs). Kept memory is the
    process's until it ends or this is called again.

    Returns:
        False where malloc is not glibc's, and nothing is changed.
    """
    try:
        libc = ctypes.CDLL(None)
        libc.malloc_trim(0)
        kept = libc.mallopt(M_MMAP_MAX, 0) and libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    except (OSError, AttributeError, TypeError):  # musl, macOS, Windows
        return False
    return bool(kept)
