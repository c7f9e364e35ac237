"""What a correction costs a generator, and what distillation wins back.

    python -m benchmarks.correcting ROOT

ROOT is a `data.root` that holds MNIST. The net is the shipped DCGAN with transposed convolutions of
4×4, whose later layers undo what earlier ones do unevenly: levelled kernels hurt it. The corrected
copy is distilled on the old net's own pictures of drawn codes (`upzoo.distil`), as
`evaluate.py audit=… equalise=true distil=drawn` does. Scores are those of the test split.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import upzoo
from data.mnist import MNIST
from runs import console
from upzoo import zoo
from upzoo.audit.changes import STEPS, corrected, distilled
from upzoo.digits import load_features
from upzoo.metrics.generation import frechet_distance

NET = "dcgan_transposed_conv.mnist"
BATCH = 500
RECORD = Path(__file__).parent / "results" / "correcting.json"


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", help="the folder that holds MNIST/raw/")
    parser.add_argument("--split", default="test", choices=("val", "test"))
    parser.add_argument("--json", type=Path, default=RECORD)
    given = parser.parse_args()
    started = time.process_time()
    net, _ = zoo.read(NET)
    net = net.eval()
    codes = torch.randn(4, net.latent, generator=torch.Generator().manual_seed(0))
    report = upzoo.audit(net, codes)
    fixed = corrected(net, report)
    better = distilled(fixed, net, codes, "drawn")
    nets = {"as it was": net, "corrected": fixed.net, "corrected, distilled": better.net}
    real = real_features(given.root, given.split)
    result = {
        "net": NET,
        "split": given.split,
        "images": len(real),
        "steps": STEPS,
        "said": better.said,
        "nets": {name: measured(each, codes, real) for name, each in nets.items()},
        "processor_seconds": time.process_time() - started,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    print(json.dumps(result, indent=2))
    given.json.write_text(json.dumps(result, indent=2) + "\n")


@torch.no_grad()
def real_features(root: str, split: str) -> Tensor:
    """The classifier's features of all real images of a split, (N, d)."""
    digits = MNIST(root=root, size=(32, 32)).raw(split)
    images = digits[list(range(len(digits)))]["image"].float() / 255
    features = load_features()
    return torch.cat([features(x) for x in images.split(BATCH)])


@torch.no_grad()
def measured(net: nn.Module, codes: Tensor, real: Tensor) -> dict[str, Any]:
    """Fréchet distance from as many pictures as there are real ones, and the checkerboard."""
    features = load_features()
    drawn = torch.Generator().manual_seed(0)
    noise = torch.randn(len(real), codes.shape[1], generator=drawn)
    fake = torch.cat([features((net(z) + 1) / 2) for z in noise.split(BATCH)])
    report = upzoo.audit(net, codes)
    return {
        "frechet_distance": frechet_distance(real, fake).item(),
        "checkerboard_db": report.db,
        "verdict": report.verdict,
        "contrast": max(report.contrast.values()),
    }


if __name__ == "__main__":
    with console.user_errors():
        main()
