"""Records that no run wrote, with numbers that are easy to check."""

from pathlib import Path

from runs import records

COSTS = {
    "parameters": 2_500_000,
    "parameters_upsampling": 1000,
    "flops_forward": 165_000_000,
    "image_size": [96, 96],
    "train_seconds": 130.0,
    "images_per_second": 150.0,
    "peak_memory_bytes": 2**30,
}


def write(
    logs: Path,
    operator: str,
    seed: int,
    scores: dict,
    *,
    model: str = "fcn8s",
    data: str = "shapes",
    status: str = "finished",
    created: str = "2026-01-01T00:00:00+00:00",
    command: str = "python train.py",
    config: dict | None = None,
    upsample: dict | None = None,
    fingerprint: str = "f00d",
    split: str = "test",
    checkpoint: str | None = None,
    **cost,
) -> Path:
    """Write a run's record where train.py would; returns its path."""
    stamp = created.replace("-", "").replace(":", "").replace("T", "-")[:15]
    path = logs / f"{model}-{operator}-{data}" / f"seed{seed}-{stamp}" / "record.json"
    record = records.Record(
        created=created,
        command=command,
        status=status,
        choices={"model": model, "upsample": operator, "data": data, "seed": seed, "name": "study"},
        config={"seed": seed, "upsample": upsample or {}, **(config or {})},
        versions={},
        machine={"cpu": "a", "cores": 2, "gpu": None},
        commit={"sha": "c" * 40, "dirty": False},
        data={"name": data, "fingerprint": fingerprint, "licence": None, "split": split},
        cost=COSTS | cost,
        metrics={split: scores},
        checkpoint=checkpoint,
    )
    records.write(path, record)
    return path
