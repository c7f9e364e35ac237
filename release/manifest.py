"""The list of the shipped checkpoints, with the digest of every file."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from upzoo import checkpoint, zoo
from upzoo.atomic import whole


def write_manifest() -> dict[str, dict[str, Any]]:
    """List every checkpoint that lies there; whole or not at all."""
    folders = sorted(path.parent for path in zoo.ROOT.glob("[!.]*/model.safetensors"))
    listed = {folder.name: _entry(folder) for folder in folders}
    path = zoo.ROOT / zoo.MANIFEST
    address = json.loads(path.read_text()).get("address") if path.exists() else None
    content = {"address": address, "checkpoints": listed}
    with whole(path) as beside:
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        beside.write_text(text, encoding="utf-8")
    return listed


def _entry(folder: Path) -> dict[str, Any]:
    contents = {name: (folder / name).read_bytes() for name in sorted(zoo.FILES)}
    metadata = checkpoint.read_config(folder)
    choices, metrics = metadata["choices"], metadata["metrics"]
    split = metadata["data"].get("split") or list(metrics)[-1]
    return {
        "files": {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
            for name, content in contents.items()
        },
        "model": choices["model"],
        "upsample": choices.get("upsample"),
        "data": choices["data"],
        "recipe": _recipe(metadata),
        "licence": metadata["data"]["licence"],
        "split": split,
        "seeds": metadata.get("seeds"),
        "images": metadata.get("images"),
        "scores": {k: v for k, v in metrics[split].items() if isinstance(v, float)},
    }


def _recipe(metadata: Mapping[str, Any]) -> str | None:
    """The experiment that a net was trained by, else the name of its study."""
    experiment = re.search(r"\bexperiment=(\S+)", metadata.get("command") or "")
    return experiment[1] if experiment else metadata["choices"].get("name")
