"""What makes two runs variants of their own: the options in which their configs differ."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from runs.console import ROOT

#: Option → its value as JSON.
Options = Mapping[str, str]
Key = tuple[str, frozenset[tuple[str, str]]]

UNSET = "unset"
UPSAMPLE = "upsample."
#: Options that a label names at most.
LABEL_OPTIONS = 3
#: Options that change no result, or that the seed or another option decides.
NEUTRAL = re.compile(
    r"(name|seed|ckpt|run_dir|logs|compile|keep_checkpoints)$"
    r"|init_left_out"
    r"|.*\.seed$"
    r"|.*_(convert|partial)_$"
    r"|logger\."
    r"|callbacks\.(?!best\.monitor$)"
    r"|model\.upsample\."
    r"|data\.(root|download|url|num_workers|eval_batch_size)$"
    r"|trainer\.(enable_\w+|log_every_n_steps|num_sanity_val_steps)$"
)


def options_of(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """The options of a resolved config that make it another variant, by dotted name.

    >>> options_of({"seed": 0, "upsample": {"kernel": 3, "_partial_": True}})
    {'upsample.kernel': '3'}
    """
    flat: dict[str, str] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat |= options_of(value, f"{prefix}{name}.")
        elif not NEUTRAL.match(prefix + name):
            flat[prefix + name] = json.dumps(value, ensure_ascii=False)
    return flat


def labels(variants: Sequence[Key]) -> list[str]:
    """Name each variant by its operator and by what is unusual among its options, each differently.

    Usual is, of an operator's option, its default; of any other, what most variants have. Of more
    than three unusual options the first two are named, and the others counted.
    """
    usual = _usual([options for _, options in variants])
    named: list[str] = []
    for operator, options in variants:
        alike = [other for name, other in variants if name == operator]
        usual_here = usual | _usual(alike, own=True) | defaults(operator)
        mine, keys = dict(options), {key for other in alike for key, _ in other}
        unusual = [
            f"{key.removeprefix(UPSAMPLE)}={_plain(mine.get(key, UNSET))}"
            for key in sorted(keys, key=lambda key: (not key.startswith(UPSAMPLE), key))
            if mine.get(key, UNSET) != usual_here.get(key)
        ]
        if len(unusual) > LABEL_OPTIONS:
            unusual = [*unusual[: LABEL_OPTIONS - 1], f"+{len(unusual) - LABEL_OPTIONS + 1}"]
        label = " ".join([operator, *unusual])
        named.append(label if label not in named else f"{label} #{named.count(label) + 1}")
    return named


def differences(a: Options, b: Options) -> list[str]:
    """In what two variants differ besides the operator, as "option: a's value, not b's"."""
    keys = sorted(k for k in {*a, *b} if not k.startswith(UPSAMPLE))
    pairs = [(key, a.get(key, UNSET), b.get(key, UNSET)) for key in keys]
    return [f"{key}={_plain(x)}, not {_plain(y)}" for key, x, y in pairs if x != y]


@lru_cache(maxsize=64)
def defaults(operator: str) -> dict[str, str]:
    """The options that an operator's config gives; none where there is no such config."""
    import yaml

    path = ROOT / "configs" / "upsample" / f"{operator}.yaml"
    if not path.is_file():
        return {}
    return options_of({"upsample": yaml.safe_load(path.read_text(encoding="utf-8"))})


def _usual(variants: Sequence[frozenset[tuple[str, str]]], own: bool = False) -> dict[str, str]:
    """The value that more than half of the variants have: of operators' own options, or others."""
    configs = [dict(options) for options in variants]
    usual = {}
    for key in {key for options in configs for key in options}:
        if key.startswith(UPSAMPLE) == own:
            value, count = Counter(o.get(key, UNSET) for o in configs).most_common(1)[0]
            if 2 * count > len(configs):
                usual[key] = value
    return usual


def _plain(value: str) -> str:
    """JSON as one would type it."""
    return value.strip('"').replace(" ", "")
