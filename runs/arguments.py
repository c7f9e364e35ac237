"""Command lines as people write them, made into those that Hydra takes."""

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
