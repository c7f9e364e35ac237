"""Put another upsampling operator into a net that exists.

    net2, swapped = upzoo.swap(net, "dysample", where="decoder.*", example=x)
    torch.save(net2.state_dict(), "net2.pth")
    net3, _ = upzoo.swap(net, recipe=swapped.recipe)        # the same structure, then
    net3.load_state_dict(torch.load("net2.pth"))

The net runs once on the example. Modules `ConvTranspose2d`, `Upsample` and `PixelShuffle` (with the
convolution whose output it takes at once) and operators of ours are replaced; a module that calls
`interpolate`, `pixel_shuffle` or `conv_transpose2d` itself is wrapped (`Routed`), and each of its
calls gets an operator of its own.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor, nn

from upzoo.closest import did_you_mean
from upzoo.given import checked
from upzoo.recording import Call, record
from upzoo.routing import Cropped, Placed, Routed, replace
from upzoo.starting import begin, describe
from upzoo.upsampling import OPERATORS, Upsample
from upzoo.upsampling.reparametrised import copied

MODULES = (nn.ConvTranspose2d, nn.Upsample, nn.PixelShuffle, Upsample)
STARTS = ("closest", "own")
#: Version of a recipe.
RECIPE = 1


@dataclass
class Swap:
    """One operator in its place.

    Attributes:
        name: path of the module that was replaced, or that calls.
        site: which call of the module; None where the module itself was replaced.
        old: what was there, in words.
        operator: name of the operator.
        options: of the operator.
        channels: in and out.
        scale: enlargement.
        bias: shape of the bias beside the operator; None for none.
        less: pixels that the old layer's output is smaller than scale · input.
        conv: path of the convolution that the operator stands for too; None for none.
        start: "exact", "fitted" or "own".
        error: ‖new − old‖ / ‖old‖ of its output on the example; None where it was not measured.
        bare: whether the operator itself takes the place, that of another one of ours.
    """

    name: str
    site: int | None
    old: str
    operator: str
    options: dict[str, Any]
    channels: tuple[int, int]
    scale: int
    bias: list[int] | None = None
    less: int = 0
    conv: str | None = None
    start: str = "own"
    error: float | None = None
    bare: bool = False

    def __str__(self) -> str:
        """One line: what stands where, and how close it starts."""
        where = self.name or "net"
        where = where if self.site is None else f"{where} call {self.site + 1}"
        error = "" if self.error is None else f", relative error {self.error:.2g}"
        return f"{where}: {self.old} -> {self.operator} ×{self.scale} ({self.start}{error})"


@dataclass
class Swaps:
    """What was replaced, and what was not: name -> why."""

    replaced: list[Swap] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)

    @property
    def recipe(self) -> dict[str, Any]:
        """Plain data, ready for JSON, from which `swap` makes the same structure again."""
        plain = json.loads(json.dumps([asdict(swap) for swap in self.replaced]))
        return {"version": RECIPE, "swaps": plain}

    def __str__(self) -> str:
        """A line for each."""
        left = [f"{name}: left as it is: {why}" for name, why in self.left.items()]
        return "\n".join([*map(str, self.replaced), *left])


def swap(
    net: nn.Module,
    operator: str | Callable[..., nn.Module] | None = None,
    where: str = "*",
    start: str = "closest",
    *,
    example: Any = None,
    recipe: Mapping[str, Any] | None = None,
) -> tuple[nn.Module, Swaps]:
    """A copy of a net with another upsampling operator where it enlarges.

    Args:
        net: any module; it is left as it is.
        operator: one of `upzoo.list_operators()`, or a partial of its class with options.
        where: pattern of the names of modules that are replaced, or that call: "decoder.*".
        start: "closest": what the old layer computes, exactly where the operator can, else by least
            squares on the example; "own": the operator's own start.
        example: the net's input, a tensor, a tuple, or a dict of keywords; the net runs on it once.
            By default noise.
        recipe: of an earlier swap: the structure alone, for `load_state_dict`. Nothing runs.

    Returns:
        The copy, and what was replaced and what was not (see `Swaps`).

    Raises:
        ValueError: for an unknown operator or start, one that needs switches or a guide, a net that
            does not run on the example or holds no values, and a pattern by which nothing could be
            replaced.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Upsample(scale_factor=2, mode="bilinear"))
        >>> x = torch.rand(1, 3, 8, 8)
        >>> new, swapped = swap(net, "resize_conv", example=x)
        >>> print(swapped)
        1: bilinear interpolation -> resize_conv ×2 (exact, relative error 0)
        >>> torch.equal(new(x), net(x))
        True
    """
    if recipe is not None:
        return _rebuild(copied(net), recipe)
    net = copied(checked(net))
    if operator is None:
        raise ValueError(f"operator is missing: choose from {', '.join(OPERATORS)}")
    if not isinstance(where, str):
        kind = type(where).__name__
        raise ValueError(f"where={kind}: give a pattern of names; an input goes to example=")
    if start not in STARTS:
        raise ValueError(f"start={start!r}: choose from {', '.join(STARTS)}")
    name, options = _operator(operator)
    swaps = Swaps()
    placed: list[tuple[Swap, Placed]] = []
    recorder = record(net, example)
    for (owner, function), reason in recorder.others.items():
        swaps.left[f"{owner or 'net'}.{function}()"] = reason
    kept_convs = [call.conv["holder"] for call in recorder.calls.values() if call.conv]
    for call in recorder.calls.values():
        module = net.get_submodule(call.owner)
        shown = call.owner if isinstance(module, MODULES) else call.name
        if not fnmatchcase(call.owner, where) and not fnmatchcase(shown, where):
            swaps.left[shown] = f"where={where!r} does not name it"
            continue
        alone = call.conv is not None and _runs_alone(net, call, kept_convs)
        try:
            like = _like(module, net)
            placed.append(_replacement(call, module, alone, like, (name, options, start)))
        except ValueError as reason:
            if str(reason):
                swaps.left[shown] = str(reason)
    swaps.replaced.extend(one for one, _ in placed)
    if not placed:
        reasons = "; ".join(f"{n}: {why}" for n, why in swaps.left.items())
        none = "no interpolation, transposed convolution or pixel shuffle that enlarges has run"
        raise ValueError(f"nothing could be replaced by {name}: {reasons or none}")
    return _put(net, placed), swaps


def _operator(operator: str | Callable[..., nn.Module]) -> tuple[str, dict[str, Any]]:
    """Name and options of an operator that needs nothing but its input."""
    options: dict[str, Any] = {}
    if isinstance(operator, functools.partial):
        options = dict(operator.keywords)
        operator = operator.func
    names: dict[Any, str] = {cls: name for name, cls in OPERATORS.items()}
    name = operator if isinstance(operator, str) else names.get(operator)
    if name not in OPERATORS:
        hint = did_you_mean(operator, OPERATORS)
        raise ValueError(f"operator={operator!r}: {hint}choose from {', '.join(OPERATORS)}")
    cls = OPERATORS[name]
    for needs, what in ((cls.needs_switches, "switches"), (cls.needs_guide, "a guide")):
        if needs:
            raise ValueError(f"operator={name!r} needs {what}, which this net does not hand it")
    return name, options


def _replacement(
    call: Call,
    module: nn.Module,
    alone: bool,
    like: Tensor | None,
    operator: tuple[str, dict[str, Any], str],
) -> tuple[Swap, Placed]:
    """What stands in the place of a call, by an operator's name, its options and how it starts.

    Raises:
        ValueError: why the call is left as it is; without words where it enlarges nothing.
    """
    old = describe(call, with_conv=alone)
    if isinstance(old, str):
        raise ValueError(old)
    done = begin(old.kept_in((old.x if like is None else like).dtype), *operator)
    one = Swap(
        name=call.owner,
        site=None if isinstance(module, MODULES) else call.site,
        old=old.kind,
        operator=operator[0],
        options=done.options,
        channels=(old.x.shape[1], old.y.shape[1]),
        scale=old.scale,
        bias=None if done.placed.bias is None else list(done.placed.bias.shape),
        less=old.less,
        conv=call.conv["holder"] if call.conv is not None and old.conv else None,
        start=done.start,
        error=done.error,
        bare=isinstance(module, Upsample),
    )
    return one, done.placed


def _runs_alone(net: nn.Module, call: Call, convs: list[str]) -> bool:
    """Whether the convolution before a shuffle is a module that runs once, for it alone."""
    assert call.conv is not None
    conv = net.get_submodule(call.conv["holder"])
    single = convs.count(call.conv["holder"]) == 1 == call.conv["uses"] == len(call.runs)
    hooked = bool(conv._forward_hooks)
    return isinstance(conv, nn.Conv2d) and conv.padding_mode == "zeros" and single and not hooked


def _put(net: nn.Module, placed: list[tuple[Swap, Placed]]) -> nn.Module:
    """Register operators: modules first, then wrappers from the innermost outwards."""
    sites: dict[str, dict[int, Placed]] = {}
    for one, operator in placed:
        if one.conv is not None:
            net = replace(net, one.conv, nn.Identity())
        if one.site is not None:
            sites.setdefault(one.name, {})[one.site] = operator
    # wrappers change the paths below them: the deepest first
    for one, operator in placed:
        if one.site is None:
            net = replace(net, one.name, operator.up if one.bare else operator)
    for name in sorted(sites, key=lambda n: -n.count(".") - bool(n)):
        net = replace(net, name, Routed(net.get_submodule(name), sites[name]))
    return net


def _rebuild(net: nn.Module, recipe: Mapping[str, Any]) -> tuple[nn.Module, Swaps]:
    if recipe.get("version") != RECIPE or not isinstance(recipe.get("swaps"), list):
        raise ValueError(f"recipe is of version {recipe.get('version')!r}, this reads {RECIPE}")
    swaps = Swaps([Swap(**{**s, "channels": tuple(s["channels"])}) for s in recipe["swaps"]])
    paths = dict(net.named_modules())
    placed = []
    for one in swaps.replaced:
        for path in (one.name, one.conv):
            if path is not None and path not in paths:
                raise ValueError(f"recipe names {path!r}, which {type(net).__name__} has not")
        _operator(one.operator)
        up = OPERATORS[one.operator](*one.channels, one.scale, **one.options)
        like = _like(paths[one.name], net)
        cell = Cropped(up, one.bias, one.less) if one.less else Placed(up, one.bias)
        placed.append((one, cell.to(like) if like is not None else cell))
    return _put(net, placed), swaps


def _like(*modules: nn.Module) -> Tensor | None:
    """The first weight of a layer, or else of the net: in whose type new ones are kept."""
    return next((p for m in modules for p in m.parameters() if p.is_floating_point()), None)
