"""Command lines as people write them, made into those that Hydra takes."""

import difflib
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
#: Groups whose absence has a config of its own, and groups that are absent unless chosen.
ABSENT = {"logger": "none", "callbacks": "none", "recipe": None, "experiment": None, "debug": None}
#: Groups that every run needs.
NEEDED = ("data", "task", "trainer", "model", "upsample")
#: Script → its groups, and whether it needs one.
GROUPS: Mapping[str, Mapping[str, bool]] = {
    "train": {**dict.fromkeys(NEEDED, True), **dict.fromkeys(ABSENT, False)},
    "evaluate": {"data": False},
    "compare": {},
}
#: The names of one config or of several, or a choice of a sweep.
CHOICE = re.compile(r"[A-Za-z_][\w./-]*(,[A-Za-z_][\w./-]*)*|(glob|choice|range)\(.*\)|\$\{.*")
CHOICES = re.compile(r"\[[A-Za-z_][\w./-]*(, ?[A-Za-z_][\w./-]*)*\]")


def checked_groups(arguments: Sequence[str], script: str) -> list[str]:
    """Refuse what is no choice of a group; `group=null` as Hydra has it, which knows no such null.

    Args:
        arguments: of the command line.
        script: a key of `GROUPS`.

    Raises:
        ValueError: for a group that the script needs, or does not have, and for what is no name.

    >>> checked_groups(["logger=null", "debug=null", "seed=1"], "train")
    ['logger=none', 'seed=1']
    """
    kept = []
    for argument in arguments:
        group, given, value = argument.partition("=")
        group = group.lstrip("+")
        if not given or not group.isidentifier() or not (CONFIGS / group).is_dir():
            kept.append(argument)
        elif value in ("null", "", "[]") and group in GROUPS[script]:
            kept += _absent(script, group, argument)
        else:
            _check_choice(script, group, argument, value)
            kept.append(argument)
    return kept


def _absent(script: str, group: str, argument: str) -> list[str]:
    if GROUPS[script][group]:
        raise ValueError(f"{argument}: a run needs one: {_names(group)}")
    none = ABSENT.get(group) if script == "train" else None
    return [f"{group}={none}"] if none else []


def _check_choice(script: str, group: str, argument: str, value: str) -> None:
    if group not in GROUPS[script]:
        there = ", ".join(GROUPS[script]) or "none"
        hint = f"; its single options are {group}.NAME=VALUE" * (script == "evaluate")
        raise ValueError(f"{argument}: {script}.py has no such group (there are: {there}){hint}")
    several = group in ABSENT and CHOICES.fullmatch(value)
    name = value.strip("'\"")
    words = ("true", "false", "null", "none") if group not in ("logger", "callbacks") else ()
    if not (several or CHOICE.fullmatch(name)) or name.lower() in words:
        raise ValueError(f"{argument}: {group}= takes a name: {_names(group)}")


def _names(group: str) -> str:
    found = sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))
    return ", ".join(found)


#: Options that are paths, in any of the scripts; Hydra's grammar would take some for its own.
PATHS = {
    "ckpt", "convert", "data.root", "export", "foreign", "init", "input", "logs", "name", "out",
    "output", "root", "audit.example", "audit.weights", "model.weights",
}  # fmt: skip
#: What Hydra takes as text without quotes.
PLAIN = re.compile(r"[A-Za-z0-9_/.+$%*@?|-]*")
#: A list or a mapping, which no path is that does not exist.
LIST = re.compile(r"\[.*\]|\{.*\}")
#: Flags of Hydra, which the scripts have too.
FLAGS = re.compile(
    r"-\w{1,2}$|--(help|hydra-help|version|cfg|resolve|package|run|multirun|info"
    r"|shell-completion|config-(path|name|dir)|experimental-rerun)(=|$)"
)


#: Names of options and groups: data.size, +x, hydra/launcher, group@package.
NAME = re.compile(r"\+{0,2}[A-Za-z_][\w@:-]*([./][A-Za-z_][\w@:-]*)*")
#: Flags of Hydra that a value follows.
VALUED = (
    *("-c", "--cfg", "-p", "--package", "-i", "--info", "-cn", "-cp", "-cd"),
    *("--config-name", "--config-path", "--config-dir", "--experimental-rerun"),
)


def quoted_paths(arguments: Sequence[str]) -> list[str]:
    """Quote the values of options that are paths, where Hydra would read more into them.

    Brackets, `=`, spaces, umlauts and a leading `~` stay what they are; in a sweep (-m) a comma
    still separates values.

    >>> quoted_paths(["input=my (1) photo.jpg", "logs=logs", "seed=1"])
    ["input='my (1) photo.jpg'", 'logs=logs', 'seed=1']
    """
    sweep = any(a in ("-m", "--multirun") for a in arguments)
    result = []
    for argument in arguments:
        key, given, value = argument.partition("=")
        listed = LIST.fullmatch(value) and not Path(value).exists()  # no name of a file, a list
        hydras = value[:1] in ("'", '"') or "${" in value or (sweep and "," in value) or listed
        if given and key.lstrip("+") in PATHS and not hydras and not PLAIN.fullmatch(value):
            escaped = re.sub(r"(\\*)'", r"\1\1\\'", value)
            escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
            argument = f"{key}='{escaped}'"
        result.append(argument)
    return result


def refuse_flags(arguments: Sequence[str]) -> None:
    """Refuse `--epochs 3`, as other programs have it.

    Raises:
        ValueError: with the form that these scripts take.
    """
    for argument in arguments:
        if argument.startswith("-") and not FLAGS.match(argument):
            name = argument.lstrip("-").partition("=")[0].replace("-", "_")
            if difflib.get_close_matches(name, ["help"], 1, 0.7):
                raise ValueError(f"{argument}: there is no such flag; did you mean --help?")
            option = MEANT.get(name, name)
            raise ValueError(f"{argument}: options here have no dashes: give {option}=VALUE")


def refuse_loose(arguments: Sequence[str]) -> None:
    """Refuse `seed = 3` and `seed 3`, which is no option with a value.

    Raises:
        ValueError: with the form that these scripts take.
    """
    for previous, argument in zip(["", *arguments], arguments, strict=False):
        if argument.startswith(("-", "~")) or previous in VALUED:
            continue
        name, given, _ = argument.partition("=")
        if not given or not NAME.fullmatch(name):
            raise ValueError(f"{argument}: options are given as NAME=VALUE, without spaces: seed=3")


def given_twice(arguments: Sequence[str]) -> list[str]:
    """A line for each option with two values, of which Hydra takes the last.

    >>> given_twice(["seed=1", "data.size=[8,8]", "seed=2"])
    ['of seed=1 and seed=2 the last counts']
    """
    seen: dict[str, str] = {}
    lines = []
    for argument in arguments:
        name, given, _ = argument.lstrip("+").partition("=")
        if given and not name.startswith("-"):
            before = seen.get(name, argument)
            lines += [f"of {before} and {argument} the last counts"] * (before != argument)
            seen[name] = argument
    return lines


#: What people type first → the option that they mean.
MEANT = {
    "epochs": "trainer.max_epochs",
    "max_epochs": "trainer.max_epochs",
    "num_epochs": "trainer.max_epochs",
    "lr": "task.lr",
    "learning_rate": "task.lr",
    "weight_decay": "task.weight_decay",
    "batch_size": "data.batch_size",
    "batch": "data.batch_size",
    "bs": "data.batch_size",
    "workers": "data.num_workers",
    "num_workers": "data.num_workers",
    "size": "data.size",
    "image_size": "data.size",
    "img_size": "data.size",
    "root": "data.root",
    "data_root": "data.root",
    "data_dir": "data.root",
    "dataset": "data",
    "devices": "trainer.devices",
    "gpus": "trainer.devices",
    "precision": "trainer.precision",
    "upsampling": "upsample",
    "operator": "upsample",
    "backbone": "model.backbone",
    "encoder": "model.backbone",
    "width": "model.width",
    "resume": "ckpt",
    "checkpoint": "ckpt",
    "weights": "init",
    "kernel": "upsample.kernel",
}


#: Hydra's flag of a sweep.
SWEEP = ("-m", "--multirun")


def prepared(arguments: Sequence[str], script: str) -> list[str]:
    """A command line as Hydra takes it.

    Args:
        arguments: as typed.
        script: a key of `GROUPS`.

    Raises:
        ValueError: for what is no option of this script.
    """
    refuse_flags(arguments)
    refuse_loose(arguments)
    for line in given_twice(arguments):
        print(f"note: {line}", file=sys.stderr)
    # between options Hydra's own flags end them: it would not know those behind
    first = sorted(arguments, key=lambda word: word not in SWEEP)
    return quoted_paths(checked_groups(first, script))
