"""The house as DESIGN has it: every import of ours points down, never up."""

import ast

import pytest

from tests.conftest import ROOT

#: From top to bottom. A room imports from rooms below its own; `upzoo` is models, metrics, audit.
ORDER = (
    "scripts",
    "benchmarks",
    "studies",
    "release",
    "comparison",
    "tasks",
    "runs",
    "panels",
    "data",
    "audit",
    "metrics",
    "models",
)
#: The rooms of the installed package, which imports nothing of the rest.
LIBRARY = ("audit", "metrics", "models")
#: What metrics may import of models: pure functions, of kernels and of arguments.
LEAVES = ("upzoo.upsampling.phases", "upzoo.closest", "upzoo.counts")
#: The package's own front, which opens every room of the library when it is asked for.
FRONT = ROOT / "models" / "__init__.py"
SCRIPTS = ("train", "evaluate", "compare", "hubconf")


def files():
    for name in SCRIPTS:
        yield "scripts", ROOT / f"{name}.py"
    for room in ORDER[1:]:
        yield from ((room, path) for path in sorted((ROOT / room).rglob("*.py")) if path != FRONT)
    yield from (("scripts", path) for path in sorted((ROOT / "docs").rglob("*.py")))


def modules(path):
    """Names of all modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(module):
    """The room of a module of ours; None for others'."""
    first, _, rest = module.partition(".")
    if first == "upzoo":
        second = rest.partition(".")[0]
        return second if second in ("audit", "metrics") else "models"
    if first in SCRIPTS:
        return "scripts"
    return first if first in ORDER else None


FILES = list(files())


@pytest.mark.parametrize(("room", "path"), FILES, ids=lambda v: str(v).removeprefix(f"{ROOT}/"))
def test_every_arrow_points_down(room, path):
    for module in modules(path):
        target = room_of(module)
        if target is None or target == room:
            continue
        assert ORDER.index(room) < ORDER.index(target), f"{path}: {module}"
        assert room not in LIBRARY or module.partition(".")[0] == "upzoo", f"{path}: {module}"
        assert room != "metrics" or module.startswith(LEAVES), f"{path}: {module} is no leaf"


def test_no_file_lies_beside_the_rooms():
    known = {*ORDER, "configs", "checkpoints", "docs", "results", "tests"}
    folders = {p.parent for p in ROOT.glob("*/*.py")}
    assert {p.name for p in folders} <= known
    assert {p.stem for p in ROOT.glob("*.py")} == {*SCRIPTS, "upzoo"}
