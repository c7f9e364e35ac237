"""The shipped checkpoints: what there is, and nets from it by name.

`checkpoints/<name>/` is a model file; names are `<arch>_<operator>.<data>`. The manifest beside
them lists each with its size and SHA-256, which are checked before any of it is parsed.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

ROOT = Path(__file__).resolve().parent.parent / "checkpoints"
MANIFEST = "manifest.json"
NAME = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)?")
#: What the manifest holds of each checkpoint, at least.
KEYS = {"file", "sha256", "bytes", "model", "upsample", "data", "licence", "scores"}

#: Data whose checkpoint `pretrained=True` means, the first that there is.
FIRST = ("camvid", "mnist")

#: Architectures that `create` makes, by the names that checkpoints begin with: class and defaults.
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "fcn32s": {"_target_": "models.fcn.FCN", "num_classes": None, "stride": 32},
    "fcn16s": {"_target_": "models.fcn.FCN", "num_classes": None, "stride": 16},
    "fcn8s": {"_target_": "models.fcn.FCN", "num_classes": None, "stride": 8},
    "unet": {"_target_": "models.unet.UNet", "num_classes": None},
    "dcgan": {"_target_": "models.dcgan.DCGAN", "in_channels": 3, "size": [64, 64]},
    "deconvnet": {"_target_": "models.deconvnet.DeconvNet", "num_classes": None},
    "segnet_basic": {"_target_": "models.segnet.SegNetBasic", "num_classes": None},
    "espcn": {"_target_": "models.espcn.ESPCN", "scale": None},
    "fsrcnn": {"_target_": "models.fsrcnn.FSRCNN", "scale": None},
    "srresnet": {"_target_": "models.srresnet.SRResNet", "scale": None},
    "edsr": {"_target_": "models.edsr.EDSR", "scale": None},
}


def entries() -> dict[str, dict[str, Any]]:
    """What the manifest lists: name -> file, sha256, bytes, model, upsample, data, licence, scores.

    Raises:
        FileNotFoundError: there is no manifest.
        ValueError: it is damaged.
    """
    path = ROOT / MANIFEST
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path}: the list of checkpoints is missing: run from a whole copy of the repository"
        ) from None
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error}): restore it from the repository") from None
    if not isinstance(listed, dict):
        raise ValueError(f"{path}: not a list of checkpoints: restore it from the repository")
    for name, entry in listed.items():
        if not (
            NAME.fullmatch(name)
            and isinstance(entry, dict)
            and entry.keys() >= KEYS
            and entry["file"] == f"{name}/model.safetensors"
        ):
            raise ValueError(f"{path}: the entry {name!r} is damaged: restore the file")
    return listed


def find(name: str) -> Path:
    """The folder of a shipped checkpoint, whose weights are those listed, byte for byte.

    Raises:
        FileNotFoundError: the manifest or the checkpoint is missing.
        ValueError: there is no such name, or the weights have another size or SHA-256.
    """
    listed = entries()
    if name not in listed:
        close = difflib.get_close_matches(str(name), listed, 5, 0.5)
        hint = f"did you mean {' or '.join(close)}? There" if close else "there"
        raise ValueError(
            f"{name!r} is no checkpoint of the zoo: {hint} are {len(listed)}, which python "
            f"evaluate.py list=true shows: {_some(listed)}"
        )
    entry, path = listed[name], ROOT / listed[name]["file"]
    restore = f"restore {path.parent} from the repository"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: missing, though the manifest lists it: {restore}")
    size = path.stat().st_size
    if size != entry["bytes"]:
        raise ValueError(f"{path}: {size} bytes, the manifest says {entry['bytes']}: {restore}")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != entry["sha256"]:
        raise ValueError(
            f"{path}: damaged or changed, and so stays shut: its SHA-256 is {digest[:12]}…, the "
            f"manifest says {str(entry['sha256'])[:12]}…: {restore}"
        )
    return path.parent


def load(name: str) -> nn.Module:
    """The shipped net of this name, in evaluation mode and float32.

    Args:
        name: as in the manifest, such as "fcn8s_bilinear_init.camvid".

    Raises:
        FileNotFoundError: the manifest or the checkpoint is missing.
        ValueError: there is no such name, or its files are damaged.
    """
    from upzoo import checkpoint

    net, _ = checkpoint.load(find(name))
    return net


def create(arch: str, upsample: Any, pretrained: bool | str = False, **options: Any) -> nn.Module:
    """A net by its architecture's and operator's names, trained or not.

    Args:
        arch: a key of `ARCHITECTURES`.
        upsample: an operator's name; for an untrained net also a factory (in_channels,
            out_channels, scale) -> module.
        pretrained: the name of the data that a shipped checkpoint of this architecture and
            operator was trained on; True for the first of `FIRST` among them, or the only one.
        options: the model's; of a trained net they must be its own.

    Raises:
        FileNotFoundError: the manifest or the checkpoint is missing.
        ValueError: an unknown operator or option, no such checkpoint, or several for True.
    """
    from upzoo import checkpoint

    if pretrained is False:
        spec = {**ARCHITECTURES[arch], "upsample": _operator(upsample), **options}
        return checkpoint.build(spec).eval()
    name = _choose(f"{arch}_{upsample}", pretrained)
    net, card = checkpoint.load(find(name))
    spec = dict(card["model"])
    if "channels" in spec:  # a generator alone
        spec |= {"in_channels": spec["channels"], "size": [spec["size"]] * 2}
    for key, value in options.items():
        given = list(value) if isinstance(value, tuple) else value
        if key not in spec or spec[key] != given:
            stored = f"{key}={spec[key]!r}" if key in spec else f"no option {key}"
            raise ValueError(
                f"{key}={value!r}: {name} has {stored}; leave it out, or start a net of your own "
                f"from these weights: python train.py init={name}"
            )
    return net


def _operator(upsample: Any) -> Any:
    """The spec of an operator by its name; a factory is one already."""
    from upzoo.upsampling import OPERATORS

    if callable(upsample):
        return upsample
    if upsample not in OPERATORS:
        close = difflib.get_close_matches(str(upsample), OPERATORS, 1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ValueError(f"upsample={upsample!r}: {hint}choose from {', '.join(OPERATORS)}")
    return {
        "_target_": f"models.upsampling.{OPERATORS[upsample].__name__}",
        "_partial_": True,
    }


def _choose(stem: str, pretrained: bool | str) -> str:
    """The name of the checkpoint `<stem>.<data>` that `pretrained` means."""
    if pretrained is not True:
        return f"{stem}.{pretrained}"
    listed = entries()
    data = [name.partition(".")[2] for name in listed if name.partition(".")[0] == stem]
    chosen = next((name for name in FIRST if name in data), data[0] if len(data) == 1 else None)
    if chosen is not None:
        return f"{stem}.{chosen}"
    if data:
        choices = " or ".join(f"pretrained={each!r}" for each in data)
        raise ValueError(f"pretrained=True: {stem} was trained on several data: give {choices}")
    raise ValueError(
        f"pretrained=True: there is no checkpoint {stem}.<data>; there are {_some(listed)}"
    )


def _some(names: dict[str, Any], most: int = 12) -> str:
    """The first names of many."""
    more = ", …" if len(names) > most else ""
    return ", ".join(list(names)[:most]) + more
