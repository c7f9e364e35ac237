"""Measure what a training step of every variant of a setting costs: processor time, one thread.

python -m studies.cost DATA                        # of every setting with finished runs in logs/
python -m studies.cost DATA --settings espcn_x3

Variants take turns, so that a busy machine burdens all alike. The figures are the medians of the
rounds; they are written beside the setting's records, with the machine.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from runs import console, environment
from studies import arguments
from studies.archive import newest
from studies.plan import read_rates, study_jobs
from studies.settings import SETTINGS
from studies.variants import TWINS
from upzoo.atomic import whole

#: Beside a setting's records.
FILE = "cost.json"


def read(folder: Path) -> dict[str, tuple[float, float]]:
    """Variant → seconds of a step and parameters; none where they were not measured.

    Args:
        folder: of the setting's records.
    """
    path = folder / FILE
    if not path.is_file():
        return {}
    measured = json.loads(path.read_text(encoding="utf-8"))["variants"]
    return {v: (each["step_seconds"], each["parameters"]) for v, each in measured.items()}


def step_of(run: Path, root: Path) -> tuple[Callable[[], None], int]:
    """A training step of a finished run's net, and how many parameters it has.

    The step is the forward pass of a batch of the training, the loss, the backward pass and AdamW;
    of a generator the passes of a batch of noise, as its discriminator is the same for all.

    Args:
        run: its folder, with weights.
        root: folder of its data.
    """
    import torch

    from tasks.generation import Generation
    from tasks.rebuild import rebuild
    from upzoo import checkpoint

    net, metadata = checkpoint.load(run)
    task, data = rebuild(metadata, net, root=str(root))
    task.train()
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    if isinstance(task, Generation):
        net = net.deployed
        noise = torch.randn(len(batch["image"]), net.latent)
    parameters = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=0.0)

    def step() -> None:
        optimizer.zero_grad()
        if isinstance(task, Generation):
            net(noise).square().mean().backward()
        else:
            task.loss(task(task.augment(batch["image"])), task.truth(batch)).backward()
        optimizer.step()

    return step, sum(p.numel() for p in net.parameters())


def measure(setting: str, data: Path, logs: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Variant → seconds of a step and parameters, of the variants that have a finished run."""
    steps, parameters = {}, {}
    for job in study_jobs([setting], read_rates(), None):
        run = newest(logs / job.folder, job.seed)
        if run is not None and job.variant not in steps and job.variant not in TWINS:
            root = data / SETTINGS[setting].data
            steps[job.variant], parameters[job.variant] = step_of(run, root)
            steps[job.variant]()
    seconds: dict[str, list[float]] = {variant: [] for variant in steps}
    for _ in range(rounds):
        for variant, step in steps.items():
            started = time.process_time()
            step()
            seconds[variant].append(time.process_time() - started)
    return {
        variant: {
            "step_seconds": statistics.median(found),
            "least": min(found),
            "most": max(found),
            "parameters": parameters[variant],
        }
        for variant, found in seconds.items()
    }


def main() -> None:
    """Measure what the command line names."""
    import torch

    parser = arguments.parser("cost", __doc__)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = arguments.folder(given.data, "the data sets")
    logs = arguments.folder(given.logs, "the runs (--logs)")
    for setting in arguments.settings(given.settings):
        found = measure(setting, data, logs, given.rounds)
        if found:
            path = given.results / "study" / setting / FILE
            here = {"machine": environment.machine(), "versions": dict(environment.versions())}
            with whole(path) as beside:
                content = here | {"rounds": given.rounds, "variants": found}
                beside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
            print(f"written: {path}")


if __name__ == "__main__":
    with console.user_errors():
        main()
