"""`--help` of the scripts, and docs/options.md: every option with its comment from the YAML.

Hydra's own help drops the comments, and takes a second to put the whole config together. Read here
are the files as text. `python -m runs.help` prints docs/options.md.
"""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runs.arguments import ABSENT
from runs.console import ROOT
from upzoo.closest import did_you_mean

CONFIGS = ROOT / "configs"
#: The scripts, and what each is for.
SCRIPTS = {
    "train": "Train a net whose decoder upsamples by an operator of your choice",
    "evaluate": "Score a trained net, apply it to images, draw with it, or examine any net",
    "compare": "Compare the operators of many runs",
}
#: Keys that are Hydra's or the code's.
INNER = re.compile(r"_\w+_|defaults|hydra")
#: Characters of a default in a table.
LONGEST = 60
LINE = re.compile(
    r"""(?P<indent>\ *)(?P<key>[\w@/.]+):\ *
    (?P<value>"[^"]*"|'[^']*'|\[.*\]|\{.*\}|[^#\s]*(?:\ [^#\s]+)*)\ *(?:\#\ ?(?P<comment>.*))?$""",
    re.VERBOSE,
)
OVERRIDE = re.compile(r"- (?:override )?/?(\w+)(?:@[\w.]+)?: ([\w./${}]+)")


@dataclass(frozen=True)
class Option:
    """One option of a script or of a group's choice.

    Attributes:
        key: dotted, as on the command line.
        value: by default, as YAML.
        comment: behind it in the file; empty where there is none.
    """

    key: str
    value: str
    comment: str


@dataclass(frozen=True)
class File:
    """A config file as a reader sees it.

    Attributes:
        title: the first paragraph of its leading comment; empty where there is none.
        options: in the file's order.
        chosen: group → the choice of it that the file makes.
    """

    title: str
    options: tuple[Option, ...]
    chosen: Mapping[str, str]


def read(path: Path, prefix: str = "") -> File:
    """Read a config file.

    Args:
        path: of the file.
        prefix: the group, put before the options' names.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    leading = []
    for line in lines:
        if not line.startswith("# ") or line.startswith("#  "):
            break
        if not line.startswith("# @package"):
            leading.append(line[2:])
    title = " ".join(leading)
    here = "" if any(line.startswith("# @package _global_") for line in lines) else prefix
    chosen = {m[1]: m[2] for line in lines if (m := OVERRIDE.match(line.strip()))}
    return File(title, tuple(_options(lines, here)), chosen)


def _options(lines: Sequence[str], prefix: str) -> Iterator[Option]:
    path: list[tuple[int, str]] = [(-1, prefix)] if prefix else []
    skipped = 10**6  # indent of a key whose own lines are left out
    for line in lines:
        found = LINE.match(line)
        if found is None:
            continue
        indent, key = len(found["indent"]), found["key"]
        if indent > skipped:
            continue
        skipped = 10**6
        if INNER.fullmatch(key):
            skipped = indent
            continue
        while path and path[-1][0] >= indent:
            path.pop()
        dotted = ".".join([*(name for _, name in path), key])
        of_group = found["value"].startswith("${") and (CONFIGS / key).is_dir()
        if (found["value"] or found["comment"]) and not of_group:
            yield Option(dotted, found["value"], found["comment"] or "")
        if not found["value"]:
            path.append((indent, key))


def choices(group: str) -> list[str]:
    """The choices of a group, those in folders too; `parts` are of other configs."""
    files = [path.relative_to(CONFIGS / group) for path in (CONFIGS / group).rglob("*.yaml")]
    return sorted(p.with_suffix("").as_posix() for p in files if p.parts[0] != "parts")


def groups(script: str) -> list[str]:
    """The groups that a script's options choose from."""
    return [name for name in read(CONFIGS / f"{script}.yaml").chosen if (CONFIGS / name).is_dir()]


def page(script: str, arguments: Sequence[str], width: int = 0) -> str:
    """What `--help` prints.

    Args:
        script: its name.
        arguments: of the command line; of groups that are chosen there, those options alone.
        width: in characters; 0 is the terminal's, at least 60.

    Raises:
        ValueError: for a choice that its group does not have.
    """
    width = width or max(60, min(120, shutil.get_terminal_size((80, 24)).columns))
    own, known = read(CONFIGS / f"{script}.yaml"), groups(script)
    given = {k: v for k, _, v in (a.partition("=") for a in arguments) if k in known and v}
    given = {k: v for k, v in given.items() if v not in ("null", ABSENT.get(k))}
    for group, choice in given.items():
        if choice not in choices(group):
            names = choices(group)
            raise ValueError(
                f"{group}={choice}: there is no such {group}; {did_you_mean(choice, names)}"
                f"there are: {', '.join(names)}"
            )
    lines = [f"{SCRIPTS[script]}.", ""]
    if given:
        for group, choice in given.items():
            lines += _section(f"{group}={choice}", read(_file(group, choice), group), width)
        return "\n".join([*lines, f"All options: python {script}.py --help", ""])
    lines += [f"    {example}" for example in _examples(script)]
    if known:
        lines += ["", "Groups and their choices; GROUP=CHOICE --help tells the options of one:", ""]
        wide = max(map(len, known)) + 4
        for group in known:
            text = ", ".join(choices(group))
            indent = " " * wide
            lines += textwrap.wrap(text, width, initial_indent=f"  {group}=".ljust(wide),
                                   subsequent_indent=indent, break_on_hyphens=False)  # fmt: skip
    lines += ["", *_section("Options", File("", own.options, {}), width)]
    for group, choice in own.chosen.items():
        if group in known and (CONFIGS / group / f"{choice}.yaml").is_file():
            lines += _section(f"{group}={choice}", read(_file(group, choice), group), width)
    lines += [
        "--cfg job prints what your options come to. TAB completes them after:",
        f'    eval "$(python {script}.py -sc install=bash)"',
    ]
    return "\n".join([*lines, ""])


def _file(group: str, choice: str) -> Path:
    return CONFIGS / group / f"{choice}.yaml"


def _examples(script: str) -> list[str]:
    text = (CONFIGS / f"{script}.yaml").read_text(encoding="utf-8")
    return re.findall(r"^ {8,}(python .*)$", text, re.MULTILINE)


def _section(name: str, file: File, width: int) -> list[str]:
    lines = [name]
    lines += textwrap.wrap(file.title, width, initial_indent="  ", subsequent_indent="  ")
    column = min(34, max((len(f"{o.key}={o.value}") for o in file.options), default=0) + 4)
    for option in file.options:
        left = f"  {option.key}={option.value}"
        if not option.comment:
            lines.append(left)
            continue
        if len(left) >= column:
            lines.append(left)
            left = ""
        indent = " " * column
        lines += textwrap.wrap(option.comment, width, initial_indent=left.ljust(column),
                               subsequent_indent=indent, break_on_hyphens=False)  # fmt: skip
    return [*lines, ""]


def markdown() -> str:
    """docs/options.md."""
    parts = [
        "# Options",
        "",
        "Every option of the scripts with its default, as `--help` prints them; written by",
        "`python -m runs.help > docs/options.md` from `configs/`. On the command line an option is",
        "`key=value`, and a group's choice `group=choice`: `python train.py model=unet",
        "model.width=32 upsample=carafe`. `python train.py model=unet --help` prints one choice's.",
        "",
    ]
    for script, purpose in SCRIPTS.items():
        parts += [f"## `{script}.py`", "", f"{purpose}.", ""]
        parts += _table(read(CONFIGS / f"{script}.yaml").options)
    for group in groups("train"):
        parts += [f"## `{group}=`", ""]
        for choice in choices(group):
            file = read(_file(group, choice), group)
            parts += [f"### `{group}={choice}`", ""]
            parts += [file.title, ""] if file.title else []
            parts += _table(file.options)
    return "\n".join(parts)


def _table(options: Sequence[Option]) -> list[str]:
    if not options:
        return []
    rows = [
        f"| `{o.key}` | {f'`{_short(o.value)}`' if o.value else ''} | {_cell(o.comment)} |"
        for o in options
    ]
    return ["| option | default | |", "|---|---|---|", *rows, ""]


def _short(value: str) -> str:
    """A default that leaves the page room for its comment."""
    return value if len(value) <= LONGEST else f"{value[: LONGEST - 1]}…"


def _cell(text: str) -> str:
    return re.sub(r"(<\w+>|\*)", r"`\1`", text.replace("|", "\\|"))


def show_if_asked(script: str, arguments: Sequence[str]) -> None:
    """Print the help of a script and end it, where its command line has --help or -h."""
    if any(argument in ("--help", "-h") for argument in arguments):
        print(page(script, arguments), end="")
        sys.exit()


if __name__ == "__main__":
    print(markdown(), end="")
