import ctypes
import subprocess
import sys

import pytest

from tests.conftest import ROOT

STEPS = """
import resource, sys, torch
from tasks.allocator import keep_freed_memory
torch.set_num_threads(1)
if sys.argv[1] == "keep":
    assert keep_freed_memory()
for step in range(50):
    maps = [torch.ones(10 << 20) for _ in range(2)]  # 40 MiB each
    del maps
    if step == 9:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def glibc() -> bool:
    try:
        return hasattr(ctypes.CDLL(None), "gnu_get_libc_version")
    except (OSError, TypeError):
        return False


def faults(mode: str) -> int:
    command = [sys.executable, "-c", STEPS, mode]
    return int(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)


@pytest.mark.skipif(not glibc(), reason="another malloc")
def test_steps_take_again_what_the_steps_before_have_freed() -> None:
    # 40 steps of 80 MiB are 819,200 pages of 4 KiB; kept, none of them is mapped again
    assert faults("default") > 100_000
    assert faults("keep") < 1_000


@pytest.mark.skipif(not glibc(), reason="another malloc")
def test_what_was_kept_is_given_back_when_it_is_called_again() -> None:
    code = """
import torch
from pathlib import Path
from tasks.allocator import keep_freed_memory
resident = lambda: int(Path("/proc/self/statm").read_text().split()[1]) * 4096
keep_freed_memory()
maps = [torch.ones(1 << 22) for _ in range(20)]
del maps
kept = resident()
keep_freed_memory()
print(kept - resident())
"""
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True
    ).stdout
    assert int(found) > 10 * (1 << 24)


@pytest.mark.skipif(not glibc(), reason="another malloc")
def test_large_blocks_are_given_back_though_smaller_ones_lie_behind_them() -> None:
    code = """
import sys, torch
from pathlib import Path
from tasks.allocator import give_back_large_blocks
resident = lambda: int(Path("/proc/self/statm").read_text().split()[1]) * 4096
if sys.argv[1] == "give back":
    assert give_back_large_blocks()
else:  # from this block malloc learns to keep those that are smaller
    torch.ones(7 << 20)
maps = [(torch.ones(1 << 20), torch.ones(1 << 10)) for _ in range(20)]  # 4 MiB, 4 KiB
full, behind = resident(), [small for _, small in maps]
del maps
print(full - resident())
"""
    freed = [
        int(
            subprocess.run([sys.executable, "-c", code, mode], cwd=ROOT, capture_output=True).stdout
        )
        for mode in ("keep", "give back")
    ]
    assert freed[0] < 20 << 20
    assert freed[1] > 75 << 20
