"""What the study's commands have in common on their command lines."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from pathlib import Path

from studies.settings import SETTINGS


def parser(name: str, doc: str | None) -> argparse.ArgumentParser:
    """A parser of DATA, --settings, --logs and --results.

    Args:
        name: of the module in studies/.
        doc: its docstring, whose first line says what it does.
    """
    about, _, more = (doc or "").partition("\n\n")
    made = argparse.ArgumentParser(
        prog=f"python -m studies.{name}",
        description=about,
        epilog=more,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("data", type=Path, help="folder that holds camvid/, …")
    made.add_argument("--settings", default=",".join(SETTINGS), help="default: %(default)s")
    made.add_argument("--logs", type=Path, default=Path("logs"), help="where runs are kept")
    made.add_argument("--results", type=Path, default=Path("results"), help="where records are")
    return made


def folder(path: Path, holds: str) -> Path:
    """A folder that has to be there, absolute.

    Raises:
        FileNotFoundError: it is not.
    """
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such folder; give the folder of {holds}")
    return path.resolve()


def settings(text: str) -> list[str]:
    """The settings that a list names.

    Raises:
        ValueError: there is no such setting.

    >>> settings("espcn_x3,espcn_x2")
    ['espcn_x3', 'espcn_x2']
    """
    return _names("setting", text, SETTINGS)


def variants(text: str, of: Sequence[str]) -> list[str]:
    """The variants that a list names, of settings.

    Raises:
        ValueError: no setting has such a variant.

    >>> variants("transposed,dysample", ["espcn_x3"])
    ['transposed', 'dysample']
    """
    known = dict.fromkeys(name for key in of for name in SETTINGS[key].variants)
    return _names("variant", text, known)


def _names(kind: str, text: str, known: Collection[str]) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in known:
            raise ValueError(f"--{kind}s {text}: there is no {kind} {name!r}: {', '.join(known)}")
    return names


def seeds(text: str) -> list[int]:
    """The seeds that a list names.

    Raises:
        ValueError: a seed is no whole number.

    >>> seeds("0,1")
    [0, 1]
    """
    if not all(seed.strip().isdecimal() for seed in text.split(",")):
        raise ValueError(f"--seeds {text}: give whole numbers, such as 0,1")
    return [int(seed) for seed in text.split(",")]
