"""Peak memory of one call: every allocation that torch makes, on the CPU or on a GPU."""

import os
from collections.abc import Callable

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # read once, when the profiler first starts

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.devices import CPU


def peak_bytes(call: Callable[[], object], device: torch.device = CPU) -> int:
    """Most bytes that `call` held at once, on top of what was there before; call it once before.

    It counts tensors, gradients and the scratch memory that convolutions take from torch's
    allocator; unlike the size of the process it repeats exactly and forgets what ran before. On a
    CPU torch's profiler tells each allocation, on a GPU the allocator the most.
    """
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        kept = call()
        torch.cuda.synchronize()
        del kept
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        kept = call()
    del kept
    assert profiler.profiler is not None
    events = profiler.profiler.kineto_results.events()
    changes = [(e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]"]
    held = peak = 0
    for _, change in sorted(changes, key=lambda event: event[0]):
        held += change
        peak = max(peak, held)
    return peak
