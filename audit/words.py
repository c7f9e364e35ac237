"""An audit in words: what was examined, the verdict, its causes, and what to do about them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence

from upzoo.audit.report import CAUSE, LEVEL, AuditReport, Finding, Layer, product

WIDTH = 80
CAUSES = 3  # lines of them
SHOWN = 1.05  # of a layer's uneven gradient, at the net's input


def summary(report: AuditReport, width: int = WIDTH, advice: bool = True) -> str:
    """The whole report but its tables, in lines of at most `width` columns.

    Args:
        report: of an audit.
        width: columns.
        advice: with the gradient's line and the next command.
    """
    lines = [
        *wrapped(examined(report), width, ""),
        *wrapped(verdict(report)[:1].upper() + verdict(report)[1:] + ".", width, ""),
    ]
    for line in cause_lines(report):
        lines += wrapped(line, width, "  ")
    if not advice:
        return "\n".join(lines)
    if (gradient := gradient_line(report)) is not None:
        lines += wrapped(gradient, width, "  ")
    command = next_command(report)
    if command is not None:
        lines.append(f"next: {command}")  # never broken: it is there to be pasted
    return "\n".join(lines)


def wrapped(text: str, width: int = WIDTH, indent: str = "") -> list[str]:
    """A text in lines of at most so many columns, but for words that are longer."""
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent + "  ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def examined(report: AuditReport) -> str:
    """What was examined: the net, its weights, its input and its output."""
    inputs = ", ".join("×".join(map(str, s)) or "a number" for s in report.input_size[:3])
    output = f"{report.output} " if report.output else ""
    gives = f"{output}{'×'.join(map(str, report.output_size))}" if report.output_size else "no map"
    weights = "random weights" if report.random else f"weights: {report.weights}"
    return f"{report.net}, {weights}: {inputs} -> {gives}"


def verdict(report: AuditReport) -> str:
    """The verdict in a sentence."""
    if report.verdict == "checkerboard":
        found = [f for f in report.findings if not f.expected]
        strongest = found[0]
        periods = [str(f.period) for f in found]
        named = f"period{'s' * (len(periods) > 1)} {listed(periods)}"
        where = "" if strongest.shown_by == "a constant" else f" on {strongest.shown_by}"
        return f"{strongest.severity} checkerboard{where} at {named}: {size(strongest)}"
    if report.verdict == "none":
        return f"no checkerboard on a constant: {report.reason}"
    return f"cannot tell: {report.reason}"


def size(finding: Finding) -> str:
    """How large a grid is: dB, and its shares."""
    if finding.contrast is None:
        return f"{finding.db:.0f} dB above what surrounds it in the spectrum"
    if math.isinf(finding.db):
        return "all that comes out is grid"
    return f"{finding.db:.0f} dB, {percent(finding.contrast)} % of the output's spread"


def cause_lines(report: AuditReport) -> list[str]:
    """Who makes the grids: a line for each cause, at most three; what layers share is said once."""
    lines: list[str] = []
    causes = [c for c in report.causes if report.verdict != "checkerboard" or not c.expected]
    told: set[str] = set()
    for cause in causes[:CAUSES]:
        shares = [
            f"{'' if c.share is None else f'{c.share:.0%} of '}period {f.period}"
            for f in report.findings
            for c in f.causes
            if c.layer == cause.layer
        ]
        layer = report.layer(cause.layer)
        what = f" ({layer.kind} {layer.geometry()})" if layer is not None else ""
        why = f": {remedy(layer)}" if layer is not None and not cause.expected else ""
        if what + why in told:
            what, why = "", " in the same way"
        told.add(what + why)
        lines.append(f"{cause.layer}{what} makes {listed(shares)}{why}")
    if len(causes) > CAUSES:
        lines[-1] += f"; and {len(causes) - CAUSES} more"
    return lines


def gradient_line(report: AuditReport) -> str | None:
    """Which layers hand the gradient out unevenly, where one does: the worst kind."""
    uneven = [layer for layer in report.layers if uneven_gradient(report, layer)]
    if not uneven:
        return None
    groups = sorted(grouped(uneven), key=lambda g: -max(layer.gradient or 0 for layer in g))
    worst_kind = groups[0]
    most = ratio(max(layer.gradient or 1 for layer in worst_kind))
    more = f"; {len(groups) - 1} more kinds do too" if len(groups) > 2 else ""
    more = "; one more kind does too" if len(groups) == 2 else more
    even = worst_kind[0].unevenness == 1
    remedy = "a blur before" if even else "a kernel of a multiple of the stride, or a blur before,"
    return (
        f"gradient: {names(worst_kind)} ({worst_kind[0].kind} {worst_kind[0].geometry()}) "
        f"{'give' if len(worst_kind) > 1 else 'gives'} some pixels {most} the energy of others, "
        f"which {remedy} would not{more}"
    )


def uneven_gradient(report: AuditReport, layer: Layer) -> bool:
    """Whether a layer thins out unevenly, and the input's gradient shows its period."""
    return layer.uneven and report.gradient.get(layer.period or 0, 0.0) > SHOWN


def remedy(layer: Layer) -> str:
    """What to do about a layer that makes a grid; nothing is made up for one that is not known."""
    if "shuffle" in layer.kind.lower() and "un" not in layer.kind.lower():
        return "its phases have different gains; ICNR, or equal gains, make them alike"
    if "interpolation" in layer.kind:
        return "a constant passes it flat: what repeats here was no constant before it"
    if "unpool" in layer.kind.lower():
        return (
            "it leaves zeros between values; a convolution of its window, or resizing, fills them"
        )
    if layer.kernel is None or layer.unevenness is None:
        return "its phases differ"
    if layer.unevenness > 1:
        pairs = zip(layer.kernel, layer.stride, strict=True)
        fit = product([math.ceil(k / s) * int(s) for k, s in pairs])
        return f"its stamps overlap unevenly (×{layer.unevenness:.3g}); those of {fit} do not"
    return "its stamps overlap evenly, but its phases have different gains"


def next_command(report: AuditReport) -> str | None:
    """One line to paste."""
    target = f"{report.target}{report.options}" if report.target is not None else None
    learned = [
        layer
        for cause in report.causes
        if (layer := report.layer(cause.layer)) is not None
        and not cause.expected
        and ("transposed" in layer.kind.lower() or "shuffle" in layer.kind.lower())
    ]
    if report.verdict == "checkerboard" and learned:
        if target is not None:
            return f"upzoo audit {target} --correct --output better.safetensors"
        return "fixed, changes = upzoo.correct(net, report)"
    if target is None:
        return None
    if report.random and report.verdict == "unknown" and report.output_size:
        source = str(report.target).split(":")[0]
        shipped = "DEFAULT" if source in ("torchvision", "timm", "smp") else "FILE"
        return f"upzoo audit {target} --weights {shipped}"
    return f"upzoo audit {target} --tables"


def grouped(layers: Sequence[Layer]) -> list[list[Layer]]:
    """Layers of one kind and geometry together, in order of the first."""
    groups: dict[tuple[str, str, bool], list[Layer]] = {}
    for layer in layers:
        groups.setdefault((layer.kind, layer.geometry(), layer.up), []).append(layer)
    return list(groups.values())


def names(layers: Sequence[Layer]) -> str:
    """The names of a group, shortened from three on."""
    if len(layers) <= 2:
        return listed([layer.name for layer in layers])
    return f"{layers[0].name} … {layers[-1].name} ({len(layers)})"


def listed(texts: Sequence[str]) -> str:
    """A, B and C.

    Example:
        >>> listed(["2", "4", "8"])
        '2, 4 and 8'
    """
    if len(texts) < 2:
        return "".join(texts)
    return f"{', '.join(texts[:-1])} and {texts[-1]}"


def error_line(error: BaseException) -> str:
    r"""An error's type and its first line, for a message of one.

    Example:
        >>> error_line(ValueError("no\nmore")), error_line(StopIteration())
        ('ValueError: no', 'StopIteration')
    """
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    lines = said.strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def percent(share: float | None) -> str:
    """A share in %, to three digits; a dash for none.

    Example:
        >>> percent(0.31234), percent(3e-9), percent(None)
        ('31.2', '0', '–')
    """
    if share is None:
        return "–"
    if math.isinf(share):
        return "∞"
    return "0" if abs(share) < 5e-6 else f"{100 * share:.3g}"


def ratio(value: float) -> str:
    """×4, or all where the others get nothing."""
    return "all" if math.isinf(value) or value > 1e6 else f"×{value:.3g}"


def worst(layer: Layer) -> float:
    """The largest ripple that a layer was found to make by itself."""
    found = (layer.weighted, layer.inside, layer.ripple)
    return max((value for value in found if value is not None), default=0.0)


def rippling(report: AuditReport) -> Iterator[Layer]:
    """Layers that ripple a constant by themselves without being the cause of anything."""
    main = {cause.layer for cause in report.causes if (cause.share or 0) >= CAUSE}
    yield from (
        layer
        for layer in report.layers
        if layer.up and layer.name not in main and worst(layer) > LEVEL
    )
