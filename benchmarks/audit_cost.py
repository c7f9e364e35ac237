"""What an audit costs, in forward passes of the same net: `python -m benchmarks.audit_cost`.

The net is the U-Net of Ronneberger et al. (2015) with transposed convolutions, 31 M parameters, at
192×192 pixels. Both sides take turns in one process on one thread, in seconds of the processor, so
that other programs do not count; the figure is the ratio of medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from upzoo.audit import audit
from upzoo.unet import UNet
from upzoo.upsampling import OPERATORS

RECORD = Path(__file__).parent / "results" / "audit_cost.json"


def main() -> None:
    """Time, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--json", type=Path, default=RECORD)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = UNet(partial(OPERATORS["transposed_conv"], kernel=2), 2, width=64).eval()
    x = torch.randn(1, 3, given.size, given.size)
    passes = 0

    def forward() -> None:
        with torch.no_grad():
            net(x)

    def examine() -> None:
        nonlocal passes
        passes = audit(net, x).passes

    sides: dict[str, Callable[[], None]] = {"forward": forward, "audit": examine}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for call in sides.values():
        call()  # once to warm up
    for _ in range(given.rounds):
        for name, call in sides.items():
            started = time.process_time()
            call()
            seconds[name].append(time.process_time() - started)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    result = {
        "parameters": sum(p.numel() for p in net.parameters()),
        "size": given.size,
        "passes": passes,
        "forward_processor_s": medians["forward"],
        "audit_processor_s": medians["audit"],
        "ratio": medians["audit"] / medians["forward"],
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    print(json.dumps(result, indent=2))
    given.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
