"""`record.json`: everything that a comparison needs to know about one run.

A record is written when a run starts (status "running") and again when it ends. The metrics are
nested by split: {"test": {"miou": 0.61, "per_class_iou": {"sky": 0.92, …}}, …}. A run that was
scored at several lengths (`tasks.budgets`) has them under `budgets`, too, shortest first:
[{"step": 64, "seconds": 31.2, "metrics": {"test": {…}, …}}, …], seconds of training alone.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path, PurePath
from typing import Any

from runs import environment
from upzoo.atomic import whole
from upzoo.metadata import check_extent
from upzoo.metrics import catalogue

SCHEMA_VERSION = 1
STATUSES = ("running", "finished", "interrupted", "failed")

# the keys that each nested field holds, all of them and no others
KEYS = {
    "choices": {"model", "upsample", "data", "seed", "name"},
    "data": {"name", "fingerprint", "licence", "split", "images", "left_out"},
    "cost": {
        "parameters",
        "parameters_upsampling",
        "flops_forward",
        "image_size",
        "train_seconds",
        "images_per_second",
        "peak_memory_bytes",
    },
}

# field → what JSON may hold there
TYPES: dict[str, tuple[type, ...]] = {
    "schema_version": (int,),
    "created": (str,),
    "command": (str,),
    "status": (str,),
    "choices": (dict,),
    "config": (dict,),
    "versions": (dict,),
    "machine": (dict,),
    "commit": (dict, type(None)),
    "data": (dict,),
    "cost": (dict,),
    "metrics": (dict,),
    "checkpoint": (str, type(None)),
    "budgets": (list,),
}
#: Fields that older records lack, and keys in fields.
OPTIONAL = {"budgets"}
#: Of data: how many images each split has; path → why it is not used.
COUNTED = {"images", "left_out"}
OPTIONAL_KEYS = {"data": COUNTED}
#: Beyond it, JSON's whole numbers are none that a float holds.
LARGEST = 1e300
BUDGET = {"step", "seconds", "metrics"}


@dataclasses.dataclass
class Record:
    """One run. Times are UTC in ISO 8601, sizes in bytes, FLOPs of one forward pass of one image.

    `checkpoint` is relative to the record's folder, so that a run's folder may be moved.

    Raises:
        ValueError: a field of the wrong type or with other keys, an unknown status, an absolute
            checkpoint path.
    """

    created: str
    command: str
    status: str
    choices: dict[str, Any]
    config: dict[str, Any]
    versions: dict[str, Any]
    machine: dict[str, Any]
    commit: dict[str, Any] | None
    data: dict[str, Any]
    cost: dict[str, Any]
    metrics: dict[str, Any]
    checkpoint: str | None = None
    budgets: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        _validate({f.name: getattr(self, f.name) for f in dataclasses.fields(self)})


def new(
    *,
    command: str,
    choices: Mapping[str, Any],
    config: Mapping[str, Any],
    data: Mapping[str, Any],
    cost: Mapping[str, Any] | None = None,
    status: str = "running",
) -> Record:
    """Begin the record of a run that starts now, here. Costs not yet known are None."""
    return Record(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        command=command,
        status=status,
        choices=dict(choices),
        config=dict(config),
        versions=dict(environment.versions()),
        machine=environment.machine(),
        commit=environment.commit(),
        data=dict(data),
        cost=dict.fromkeys(sorted(KEYS["cost"])) | dict(cost or {}),
        metrics={},
    )


def write(path: str | os.PathLike[str], record: Record) -> None:
    """Write a record as JSON, whole or not at all: beside its place first, then renamed.

    Tensors and numpy values become numbers and lists; nan and infinities become null.

    Raises:
        ValueError: a field that `Record` refuses, or a value that JSON cannot hold.
    """
    fields = {f.name: _plain(getattr(record, f.name), f.name) for f in dataclasses.fields(record)}
    _validate(fields)
    text = json.dumps(fields, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with whole(path) as beside:
        beside.write_text(text, encoding="utf-8")


def read(path: str | os.PathLike[str]) -> Record:
    """Read a record back and check it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not JSON, another schema version, missing or unknown fields, wrong values; one
            line that names the file.
    """
    path = Path(path)
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path}: no such record; a run writes record.json into its own folder"
        ) from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not a JSON record ({error}); run it again") from None
    try:
        _validate(fields)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    fields["metrics"] = catalogue.current(fields["metrics"])  # names of earlier versions
    return Record(**fields)


def _validate(fields: Any) -> None:
    """Refuse what is no record: each check relies on those before it."""
    if not isinstance(fields, dict):
        raise ValueError(f"a record is a JSON object, not {type(fields).__name__}")
    version = fields.get("schema_version")
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise ValueError(f"schema_version={version!r} is not {SCHEMA_VERSION}, the one known here")
    _check_fields(fields)
    _check_values(fields)
    if fields["status"] not in STATUSES:
        raise ValueError(f"status={fields['status']!r} is unknown: use {', '.join(STATUSES)}")
    _check_metrics(fields)
    check_extent(fields)
    _check_checkpoint(fields["checkpoint"])


def _check_fields(fields: Mapping[str, Any]) -> None:
    """Refuse other fields than a record's, other types than theirs and other keys in them."""
    _same_keys("the record", set(fields) | OPTIONAL, TYPES.keys())
    for name, kinds in TYPES.items():
        if name in OPTIONAL and name not in fields:
            continue
        if not isinstance(fields[name], kinds):
            wanted = " or ".join("null" if k is type(None) else k.__name__ for k in kinds)
            raise ValueError(f"{name} is {type(fields[name]).__name__}, expected {wanted}")
    for name, keys in KEYS.items():
        _same_keys(name, set(fields[name]) | OPTIONAL_KEYS.get(name, set()), keys)


def _check_metrics(fields: Mapping[str, Any]) -> None:
    """Refuse metrics that are not split: {name: score}, the run's and those of its budgets."""
    budgets = fields.get("budgets", [])
    for budget in budgets:
        if not isinstance(budget, dict):
            raise ValueError(f"budgets holds a {type(budget).__name__}, expected an object")
        _same_keys("an entry of budgets", budget, BUDGET)
        if not isinstance(budget["metrics"], dict):
            raise ValueError(f"budgets: metrics is {budget['metrics']!r:.60}, expected name: score")
    for metrics in (fields["metrics"], *(budget["metrics"] for budget in budgets)):
        for split, scores in metrics.items():
            if not isinstance(scores, dict):
                kind = type(scores).__name__
                raise ValueError(f"metrics[{split!r}] is {kind}, expected name: score")


def _check_checkpoint(checkpoint: str | None) -> None:
    """Refuse a path that is not in the record's folder."""
    if checkpoint is None:
        return
    if PurePath(checkpoint).is_absolute():
        raise ValueError(f"checkpoint={checkpoint!r} is absolute: give it relative to the record")
    if ".." in PurePath(checkpoint).parts:
        raise ValueError(f"checkpoint={checkpoint!r} leaves the record's folder: give one in it")


def _check_values(fields: Mapping[str, Any]) -> None:
    """Refuse names that are no texts and costs that are no numbers."""
    named: dict[str, Any] = {f"choices.{k}": v for k, v in fields["choices"].items()}
    named |= {f"data.{k}": v for k, v in fields["data"].items() if k not in COUNTED}
    for name, value in named.items():
        if not isinstance(value, str | int | None):
            raise ValueError(f"{name}={value!r:.60} is neither text nor a number")
    for name, value in fields["cost"].items():
        values = value if isinstance(value, list) else [value]
        if not all(each is None or _is_number(each) for each in values):
            raise ValueError(f"cost.{name}={value!r:.60} is no number")
    for name in COUNTED & set(fields["data"]):
        if not isinstance(fields["data"][name], dict):
            raise ValueError(f"data.{name}={fields['data'][name]!r:.60} is no group of values")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) <= LARGEST


def _same_keys(name: str, given: Any, expected: Any) -> None:
    missing, unknown = sorted(set(expected) - set(given)), sorted(set(given) - set(expected))
    if missing or unknown:
        faults = [f"lacks {', '.join(missing)}"] if missing else []
        faults += [f"has unknown {', '.join(unknown)}"] if unknown else []
        raise ValueError(f"{name} {' and '.join(faults)}; it holds {', '.join(sorted(expected))}")


def _plain(value: Any, where: str) -> Any:
    """Turn a value into what JSON holds; `where` names it in the error."""
    if hasattr(value, "tolist"):  # tensors, numpy arrays and scalars
        value = value.tolist()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise ValueError(
        f"{where} is a {type(value).__name__}, which JSON cannot hold: give numbers, text, lists "
        "or mappings"
    )
