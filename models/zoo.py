"""The shipped checkpoints: what there is, and nets from it by name.

A checkpoint is a folder with a model file; names are `<arch>_<operator>.<data>`. The manifest lists
each file with its size and SHA-256, which are checked before any of it is parsed. The weights lie
in the repository's `checkpoints/`; an installed package has the manifest alone, looks for them in
`$UPZOO_DATA/checkpoints/`, and fetches them there from the manifest's address.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upzoo.closest import did_you_mean
from upzoo.fetching import data_home, fetch

if TYPE_CHECKING:
    from torch import nn

_PACKAGE = Path(__file__).resolve().parent
#: The repository's folder of checkpoints, or the installed package's, which has the manifest alone.
ROOT = next(
    (folder for folder in (_PACKAGE / "checkpoints",) if folder.is_dir()),
    _PACKAGE.parent / "checkpoints",
)
MANIFEST = "manifest.json"
#: What overrides the address in the manifest: a mirror's.
ADDRESS = "UPZOO_ADDRESS"
NAME = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)?")
#: What the manifest holds of each checkpoint, at least.
KEYS = {"files", "model", "upsample", "data", "licence", "scores"}
#: The files of a checkpoint.
FILES = {"model.safetensors", "config.json"}

#: Data whose checkpoint `pretrained=True` means, the first that there is.
FIRST = ("camvid", "mnist")


def manifest() -> dict[str, Any]:
    """The whole manifest: the address of the files, and the checkpoints.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged.
    """
    path = ROOT / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path}: the list of checkpoints is missing: run from a whole copy of the repository"
        ) from None
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error}): restore it from the repository") from None
    if not isinstance(content, dict) or not isinstance(content.get("checkpoints"), dict):
        raise ValueError(f"{path}: not a list of checkpoints: restore it from the repository")
    for name, entry in content["checkpoints"].items():
        if not (
            NAME.fullmatch(name)
            and isinstance(entry, dict)
            and entry.keys() >= KEYS
            and isinstance(entry["files"], dict)
            and entry["files"].keys() == FILES
            and all(each.keys() == {"sha256", "bytes"} for each in entry["files"].values())
        ):
            raise ValueError(f"{path}: the entry {name!r} is damaged: restore the file")
    return content


def entries() -> dict[str, dict[str, Any]]:
    """What the manifest lists: name -> files, model, upsample, data, licence, scores.

    Raises:
        FileNotFoundError: there is no manifest.
        ValueError: it is damaged.
    """
    return manifest()["checkpoints"]


def list_models(pattern: str | None = None) -> list[str]:
    """Names of the shipped checkpoints.

    Args:
        pattern: a word that must be in the name, or a pattern of whole names with *, ? and […].

    >>> list_models("unet_dysample")
    ['unet_dysample.shapes']
    """
    if pattern is None:
        return list(entries())
    wanted = pattern if re.search(r"[*?[]", pattern) else f"*{pattern}*"
    return [name for name in entries() if fnmatch.fnmatchcase(name, wanted)]


def find(name: str) -> Path:
    """The folder of a shipped checkpoint, whose files are those listed, byte for byte.

    Looked for in the repository, then in `$UPZOO_DATA/checkpoints/`; fetched there otherwise.

    Raises:
        FileNotFoundError: the manifest is missing, or the checkpoint, and there is no address.
        ValueError: there is no such name, or a file has another size or SHA-256.
        ConnectionError: it cannot be fetched.
    """
    listed = entries()
    if name not in listed:
        raise ValueError(_unknown(name, listed))
    files = listed[name]["files"]
    stored = data_home() / "checkpoints" / name
    if (ROOT / name).is_dir():
        return _checked(ROOT / name, files, "restore it from the repository")
    if not stored.is_dir():
        _fetch(name, files, stored)
    return _checked(stored, files, f"remove {stored}, and it is fetched again")


def read(source: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """A trained net, in evaluation mode and float32, and its metadata.

    Args:
        source: a name of the zoo, such as "fcn8s_bilinear_init.camvid"; a run's folder; a model's
            folder; or a `.ckpt` of a training run.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: there is no such name, or its files are damaged.
        ConnectionError: a checkpoint of the zoo cannot be fetched.
    """
    from upzoo import checkpoint

    path = Path(source)
    if isinstance(source, Path) or (
        path.exists() or path.suffix == ".ckpt" or any(mark in source for mark in {"/", os.sep})
    ):
        return checkpoint.load(path)
    return checkpoint.load(find(source), verified=True)


def load(source: str | Path) -> nn.Module:
    """A trained net, in evaluation mode and float32.

    Args:
        source: a name of the zoo, such as "fcn8s_bilinear_init.camvid"; a run's folder; a model's
            folder; or a `.ckpt` of a training run. Where a name is also a path, it is the path.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: there is no such name, or its files are damaged.
        ConnectionError: a checkpoint of the zoo cannot be fetched.
    """
    net, _ = read(source)
    return net


def trained(
    arch: str, upsample: Any, pretrained: bool | str, options: Mapping[str, Any]
) -> nn.Module:
    """The shipped net of an architecture and an operator, as `upzoo.create` gives it.

    Args:
        arch: an architecture's name.
        upsample: an operator's name.
        pretrained: the name of its data; True for the first of `FIRST`, or the only one.
        options: what the net's options must be.
    """
    name = _choose(f"{arch}_{upsample}", pretrained)
    net, card = read(name)
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


def _checked(folder: Path, files: Mapping[str, Mapping[str, Any]], cure: str) -> Path:
    """The folder, whose files are those listed."""
    for name, listed in files.items():
        path = folder / name
        if not path.is_file():
            raise FileNotFoundError(f"{path}: missing, though the manifest lists it: {cure}")
        size = path.stat().st_size
        if size != listed["bytes"]:
            raise ValueError(f"{path}: {size} bytes, the manifest says {listed['bytes']}: {cure}")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != listed["sha256"]:
            raise ValueError(
                f"{path}: refused, checksum mismatch: its SHA-256 is {digest[:12]}…, the manifest "
                f"says {str(listed['sha256'])[:12]}…: {cure}"
            )
    return folder


def _fetch(name: str, files: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    """Fetch the files of a checkpoint into a folder, all of them or none."""
    address = os.environ.get(ADDRESS) or manifest().get("address")
    if not address:
        raise FileNotFoundError(
            f"{name}: its weights are not here, and the manifest holds no address: copy "
            f"checkpoints/{name} of the repository to {folder}, or set {ADDRESS}"
        )
    url = f"{address.rstrip('/')}/{name}"
    total = sum(listed["bytes"] for listed in files.values())
    print(f"fetching {url} ({total / 1e6:.1f} MB) to {folder}", file=sys.stderr)
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder.parent))
    try:
        for file, listed in files.items():
            fetch(f"{url}/{file}", beside / file, listed["bytes"], listed["sha256"])
        beside.chmod(0o755)
        try:
            os.replace(beside, folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


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


def _unknown(name: str, listed: Iterable[str]) -> str:
    """What to say of a name that is none."""
    known = list(listed)
    hint = did_you_mean(name, known, most=5)
    return (
        f"{name!r} is no checkpoint of the zoo: {hint}upzoo.list_models() gives all "
        f"{len(known)}: {_some(known)}"
    )


def _some(names: Iterable[str], most: int = 12) -> str:
    """The first names of many."""
    names = list(names)
    more = ", …" if len(names) > most else ""
    return ", ".join(names[:most]) + more
