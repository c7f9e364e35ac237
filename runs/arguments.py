"""Command lines as people write them, made into those that Hydra takes."""

import re
from collections.abc import Sequence

#: Groups whose absence has a config of its own, and groups that are absent unless chosen.
ABSENT = {"logger": "none", "callbacks": "none", "recipe": None, "experiment": None, "debug": None}
#: Groups that every run needs.
NEEDED = ("data", "task", "trainer", "model", "upsample")


def without_null_groups(arguments: Sequence[str]) -> list[str]:
    """Say `group=null` in a way that Hydra understands, which has no null for a group.

    >>> without_null_groups(["logger=null", "debug=null", "seed=1"])
    ['logger=none', 'seed=1']

    Raises:
        ValueError: for a group that every run needs.
    """
    kept = []
    for argument in arguments:
        group, _, value = argument.partition("=")
        if value not in ("null", "") or group not in (*ABSENT, *NEEDED):
            kept.append(argument)
        elif group in NEEDED:
            raise ValueError(f"{argument}: a run needs one: see the choices in configs/{group}")
        elif ABSENT[group] is not None:
            kept.append(f"{group}={ABSENT[group]}")
    return kept


#: Options that are paths, in any of the scripts; Hydra's grammar would take some for its own.
PATHS = {
    "ckpt", "convert", "data.root", "export", "foreign", "init", "input", "logs", "name", "out",
    "output", "root", "audit.example", "audit.weights", "model.weights",
}  # fmt: skip
#: What Hydra takes as text without quotes.
PLAIN = re.compile(r"[A-Za-z0-9_/.+$%*@?|-]*")
#: Flags of Hydra, which the scripts have too.
FLAGS = re.compile(
    r"-\w{1,2}$|--(help|hydra-help|version|cfg|resolve|package|run|multirun|info"
    r"|shell-completion|config-(path|name|dir)|experimental-rerun)(=|$)"
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
        hydras = value[:1] in ("'", '"') or "${" in value or (sweep and "," in value)
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
            option = MEANT.get(name, name)
            raise ValueError(f"{argument}: options here have no dashes: give {option}=VALUE")


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


def prepared(arguments: Sequence[str]) -> list[str]:
    """A command line as Hydra takes it.

    Raises:
        ValueError: for what is no option of these scripts.
    """
    refuse_flags(arguments)
    return quoted_paths(arguments)
