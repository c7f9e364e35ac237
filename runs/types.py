"""Options of a run against the types that they are declared with, before anything is built.

The one table is the code's own: a node with a `_target_` is checked against the annotations of that
class. What no class takes, the scripts' own options, stands in `runs.checks`.
"""

from __future__ import annotations

import inspect
import math
import os
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, Union

from hydra.utils import get_class

from upzoo.closest import did_you_mean

#: Keys of a node that are Hydra's.
HYDRA_KEYS = {"_target_", "_partial_", "_convert_", "_recursive_"}
HYDRA_HINTS = {
    "_convert_": Literal["none", "partial", "object", "all"],
    "_partial_": bool,
    "_recursive_": bool,
}
#: Options that a script fills in, by their names, or resolves from a word of its own.
FILLED = {"num_classes", "in_channels", "size", "scale", "precision"}
SEQUENCES = (list, tuple, Sequence)
WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    type(None): "null",
}


def check_node(node: Mapping[str, Any], path: str) -> None:
    """Refuse options of a config node, and of the nodes in it, that their class cannot take.

    Args:
        node: plain, resolved; what has no `_target_` is searched for nodes that have one.
        path: its dotted name, for the message.

    Raises:
        ValueError: a class that cannot be found, or a value of another type than its annotation.
    """
    target = node.get("_target_")
    hints: Mapping[str, Any] = {}
    if target is not None or "_target_" in node:
        cls = _locate(target, path)
        hints = declared(cls)
        _refuse_unknown(node, cls, path)
    for name, value in node.items():
        where = f"{path}.{name}"
        if name in HYDRA_KEYS:
            if name in HYDRA_HINTS:
                _check_value(value, HYDRA_HINTS[name], where)
            continue
        if isinstance(value, Mapping) and "_target_" in value:
            check_node(value, where)
        elif name in hints and not (value is None and name in FILLED) and name != "precision":
            _check_value(value, hints[name], where)
        elif isinstance(value, Mapping) and not hints:
            check_node(value, where)


def _refuse_unknown(node: Mapping[str, Any], cls: type, path: str) -> None:
    """Refuse options that a class does not have, where its own constructor takes no others."""
    parameters = inspect.signature(cls).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return  # it says so itself
    for name in node:
        if name not in parameters and name not in HYDRA_KEYS:
            hint = did_you_mean(name, parameters) or f"there are: {', '.join(parameters)}"
            raise ValueError(f"{path}.{name}: there is no such option; {hint.rstrip()}")


def check_plain(options: Mapping[str, Any], cls: type, path: str) -> None:
    """Refuse options of other types than a class declares; nodes in them are plain mappings.

    For what a file holds: no name in it is looked up.

    Raises:
        ValueError: as `check_node`.
    """
    hints = declared(cls)
    for name, value in options.items():
        if name in hints and not (value is None and name in FILLED):
            _check_value(value, hints[name], f"{path}.{name}")


def _check_value(value: Any, hint: Any, where: str) -> None:
    if not matches(value, hint):
        raise ValueError(f"{where}={shown(value)} must be {words(hint)}")


def declared(cls: type) -> dict[str, Any]:
    """Option → annotated type, of a class's constructor and of those that its **options reach."""
    found: dict[str, Any] = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        constructor = vars(base)["__init__"]
        try:
            hints = typing.get_type_hints(constructor)
        except (NameError, TypeError):  # names that are imported for type checkers alone
            hints = {}
        parameters = inspect.signature(constructor).parameters.values()
        kinds = {p.name: p.kind for p in parameters}
        plain = {k for k, kind in kinds.items() if kind in (1, 3)}  # by name: no *args, **kwargs
        found = {k: v for k, v in hints.items() if k in plain} | found
        if 4 not in kinds.values():
            break
    shared = getattr(cls, "defaults", None)  # the loading options of a data set
    if shared is not None and not isinstance(shared, type):
        found = typing.get_type_hints(type(shared)) | found
    return found


def matches(value: Any, hint: Any) -> bool:
    """Whether a plain value is of an annotated type; unknown types match everything.

    True and false are no numbers, infinities and NaN neither; whole numbers are numbers.

    >>> matches(3, int | None), matches(True, int), matches("3", int), matches(2, float)
    (True, False, False, True)
    >>> matches([1, 2], Sequence[int]), matches([1, "a"], Sequence[int])
    (True, False)
    """
    kind, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is None or hint is type(None):
        return value is None
    if kind in (Union, types.UnionType):
        return any(matches(value, each) for each in inner)
    if kind is Literal:
        return any(value == each and type(value) is type(each) for each in inner)
    if hint is bool:
        return isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and math.isfinite(value)
    if hint is str or (isinstance(hint, type) and issubclass(hint, os.PathLike)):
        return isinstance(value, str)
    if hint is os.PathLike or kind is os.PathLike:
        return isinstance(value, str)
    if kind in SEQUENCES:
        if isinstance(value, str) or not isinstance(value, Sequence):
            return False
        each = [h for h in inner if h is not Ellipsis]
        if kind is tuple and Ellipsis not in inner and each:
            pairs = zip(value, each, strict=False)
            return len(value) == len(each) and all(matches(v, h) for v, h in pairs)
        return all(matches(v, each[0]) for v in value) if each else True
    if kind is not None and isinstance(kind, type) and issubclass(kind, Mapping):
        return isinstance(value, Mapping)
    if kind is Callable:
        return isinstance(value, Mapping)  # a node that makes one
    return True


def words(hint: Any) -> str:
    """An annotated type as one says it.

    >>> words(int | None), words(Sequence[int] | str)
    ('a whole number or null', 'a list of whole numbers or text')
    """
    return " or ".join(dict.fromkeys(_words(hint)))


def _words(hint: Any) -> Iterator[str]:
    kind, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is None:
        yield "null"
    elif kind in (Union, types.UnionType):
        for each in inner:
            yield from _words(each)
    elif kind is Literal:
        yield from map(str, inner)
    elif hint in WORDS:
        yield WORDS[hint]
    elif isinstance(hint, type) and issubclass(hint, os.PathLike):
        yield "a path"
    elif kind in SEQUENCES:
        each = [h for h in inner if h is not Ellipsis]
        what = words(each[0]).removeprefix("a ") if each else "value"
        yield f"a list of {what}" + "s" * what.endswith(("number", "value"))
    elif kind is not None and isinstance(kind, type) and issubclass(kind, Mapping):
        yield "a group of options"
    elif kind is Callable:
        yield "an operator's options"
    else:
        yield getattr(hint, "__name__", str(hint))


def shown(value: Any) -> str:
    """A value as one types it."""
    named = {True: "true", False: "false", None: "null"}
    if value is None or isinstance(value, bool):
        return named[value]
    return " ".join(str(value).split())[:60]


def _locate(target: Any, path: str) -> Any:
    """The class that a node names."""
    if isinstance(target, str):
        name = target.replace("models.", "upzoo.", 1) if target.startswith("models.") else target
        try:
            return get_class(name)
        except Exception as error:
            why = " ".join(str(error).split())[:80]
            raise ValueError(f"{path}._target_={target}: no such class ({why})") from None
    raise ValueError(f"{path}._target_={shown(target)} must be the name of a class")
