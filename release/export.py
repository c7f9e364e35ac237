"""A net as a file for elsewhere: ONNX, or a model folder of weights that others released."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from upzoo import checkpoint, metadata
from upzoo.base import Net
from upzoo.export import to_onnx


def export(net: Net, card: Mapping[str, Any], target: str) -> None:
    """Write the net as ONNX, with what its checkpoint says of images and classes."""
    if Path(target).suffix != ".onnx":
        raise ValueError(f"export={target}: give a name ending in .onnx")
    told = {
        k: json.dumps(card[k]) for k in ("classes", "mean", "std", "per_image", "data") if k in card
    }
    error = to_onnx(net, target, len(metadata.normalisation(card)[0]), told)
    checked = f"{error:.0e} off PyTorch" if error is not None else "unchecked: no onnxruntime here"
    print(f"ONNX file with dynamic size written ({checked}): {target}")


def convert(net: nn.Module, card: Mapping[str, Any], source: str, target: str | None) -> None:
    """Write a net that another project released as a model file of ours."""
    name = card["conversion"]["format"]
    if target is None:
        raise ValueError(
            f"convert={source} is {name}: give input=IMAGE to apply it, or output=FOLDER to write "
            "it as a model file"
        )
    if Path(target).exists():
        raise ValueError(f"output={target} exists: give the name of a new folder")
    print(f"{name} written: {checkpoint.save(target, net, card)}")
