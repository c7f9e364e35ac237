"""Write `python.md`, the Python API, from the docstrings.

    python docs/python_api.py

A test holds the page up to date.
"""

import importlib
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
import upzoo
from upzoo.upsampling import OPERATORS

PAGE = Path(__file__).parent / "python.md"
HEAD = """# Python API

Written from the docstrings by `python docs/python_api.py`. `pip install` of the repository gives
`import upzoo` anywhere; names are imported when they are first used. Examples run in the tests.
"""
#: Title of a section, its module, and the names shown of it.
SECTIONS: list[tuple[str, str, list[str]]] = [
    (
        "Nets",
        "upzoo",
        ["create", "load", "list_models", "list_operators", "list_architectures"],
    ),
    ("Find and correct checkerboards", "upzoo", ["correct", "swap", "distil"]),
    ("Audit", "upzoo.audit", ["audit", "AuditReport", "Finding", "Cause", "Layer"]),
    ("Operators", "upzoo.upsampling", ["Upsample", *(c.__name__ for c in OPERATORS.values())]),
    (
        "Kernels and transposed convolution",
        "upzoo.upsampling.functional",
        [
            "conv_transpose2d",
            "bilinear_kernel",
            "bilinear_filter",
            "smooth_kernel",
            "phase_gains",
            "overlap_counts",
            "polyphase",
            "fold_nearest",
            "icnr_",
        ],
    ),
    ("Scores", "upzoo.metrics", sorted(importlib.import_module("upzoo.metrics").__all__)),
    ("Export", "upzoo.export", ["to_onnx", "to_program"]),
    ("Weights from elsewhere", "upzoo.conversion", ["load"]),
]
#: Sections of a docstring whose entries become a list.
LISTS = ("Args", "Attributes", "Returns", "Raises")


def signature(name: str, thing: Any) -> str:
    """The call as one writes it, types left to the source."""
    call = inspect.signature(thing)
    plain = [
        p.replace(annotation=inspect.Parameter.empty)
        for p in call.parameters.values()
        if p.name != "self"
    ]
    shown = call.replace(parameters=plain, return_annotation=inspect.Signature.empty)
    return f"{name}{shown}"


def entries(lines: list[str]) -> list[str]:
    """`name: text` with its continuation, one item each; text without a name stays one item."""
    items: list[str] = []
    for line in lines:
        if line.startswith("    ") and items:
            items[-1] += f" {line.strip()}"
        elif line.strip():
            items.append(line.strip())
    if not all(re.match(r"[\w*.]+: ", item) for item in items):
        return [" ".join(items)]
    return [re.sub(r"^([\w*.]+): ", r"- `\1`: ", item) for item in items]


def markdown(text: str) -> str:
    """A Google docstring as Markdown."""
    out: list[str] = []
    lines = text.splitlines()
    i = 0
    while i < len(lines):
        line = lines[i]
        heading = re.fullmatch(r"(\w+):", line)
        if heading and heading[1] in (*LISTS, "Example", "Examples"):
            j = i + 1
            while j < len(lines) and (not lines[j] or lines[j].startswith("    ")):
                j += 1
            block = [each[4:] for each in lines[i + 1 : j]]
            if heading[1] in LISTS:
                out += [f"**{heading[1]}**", "", *entries(block), ""]
            else:
                out += markdown("\n".join(block)).splitlines()
            i = j
        elif line.startswith((">>> ", "    ")):
            j = i
            while j < len(lines) and lines[j].strip():
                j += 1
            cut = 0 if line.startswith(">>>") else 4
            kind = "python" if line.startswith(">>>") else "text"
            out += ["", f"```{kind}", *(each[cut:] for each in lines[i:j]), "", "```", ""]
            i = j
        else:
            out.append(line)
            i += 1
    return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).strip() + "\n"


def entry(module: ModuleType, name: str) -> str:
    """One function or class."""
    thing = getattr(module, name)
    shown = name if module.__name__ == "upzoo" or name == "audit" else f"{module.__name__}.{name}"
    call = signature(shown.removeprefix("upzoo."), thing)
    return f"### {name}\n\n```text\nupzoo.{call}\n```\n\n{markdown(inspect.getdoc(thing) or '')}"


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, module_name, names in SECTIONS:
        module = importlib.import_module(module_name)
        parts += [f"## {title}\n", *(entry(module, name) for name in names)]
    missing = set(upzoo.__all__) - {n for _, m, names in SECTIONS for n in names if "upzoo" in m}
    assert missing <= {"audit", "metrics", "upsampling"}, f"not on the page: {sorted(missing)}"
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
