"""Every line of code in docs/*.md: snippets run, commands compose, what cannot run is named."""

import ast
import doctest
import json
import re
import shlex
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch

from runs import audits
from tests.conftest import ROOT, compose_config

DOCS = ROOT / "docs"
#: Written from docstrings, which pytest runs where they stand.
GENERATED = ("python.md",)
#: Pages whose plain Python a test of their own runs: tests/test_checkerboard_page.py.
ELSEWHERE = ("checkerboard.md",)
PAGES = [path for path in sorted(DOCS.glob("*.md")) if path.name not in GENERATED]
FENCED = re.compile(
    r"^(?:<!-- (?P<mark>slow|not run: [^>]+) -->\n)?```(?P<kind>\w*)\n(?P<text>.*?)^```$",
    re.M | re.S,
)
INDENTED = re.compile(r"(?:(?<=\n\n)|\A)(?: {4}.*\n)+")
#: Programs whose arguments are not ours; each is run by a slow test or is named here.
OTHERS = {
    "pip": "tests/test_wheel.py installs the project",
    "tensorboard": "tests/comparison/test_tensorboard_page.py opens it",
}


class Block(NamedTuple):
    """One block of code of a page."""

    page: str
    kind: str
    text: str
    mark: str


def kind_of(text: str) -> str:
    """Of a block without a name: commands, Python, or text."""
    lines = [line for line in text.splitlines() if line.strip()]
    if all(re.match(r"(python|upzoo|pip|tensorboard|git|source) ", line) for line in lines):
        return "sh"
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return "text"
    code = (ast.Import, ast.ImportFrom, ast.Assign, ast.Assert)
    return "python" if any(isinstance(node, code) for node in tree.body) else "text"


def blocks() -> list[Block]:
    found = []
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        found += [
            Block(path.name, match["kind"] or "text", match["text"], match["mark"] or "")
            for match in FENCED.finditer(text)
        ]
        for match in INDENTED.finditer(FENCED.sub("", text)):
            lines = "".join(line.removeprefix("    ") for line in match[0].splitlines(True))
            found += [Block(path.name, kind_of(part), part, "") for part in lines.split("\n\n")]
    return found


BLOCKS = blocks()
COMMANDS = [
    (block.page, line)
    for block in BLOCKS
    if block.kind in ("sh", "bash")
    for line in block.text.splitlines()
    if line.strip() and not block.mark.startswith("not run")
]


def test_every_block_is_of_a_kind_that_is_tried():
    assert {block.kind for block in BLOCKS} <= {"python", "sh", "text", "yaml"}
    assert len(COMMANDS) > 10
    for block in BLOCKS:
        if block.kind == "text":
            assert not re.search(r"^(python|upzoo|pip) ", block.text, re.M), block


@pytest.mark.parametrize("page", [path.name for path in PAGES])
@pytest.mark.parametrize("slow", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_snippets_run(page: str, slow: bool, monkeypatch):
    """Those of one page go on from one another; slow ones need those before them."""
    monkeypatch.chdir(ROOT)
    chosen = [
        block
        for block in BLOCKS
        if block.page == page and ">>>" in block.text and (slow or block.mark != "slow")
    ]
    if slow and not any(block.mark == "slow" for block in chosen):
        pytest.skip("none is slow")
    assert all(block.kind == "python" for block in chosen)
    text = "\n".join(block.text for block in chosen)
    example = doctest.DocTestParser().get_doctest(text, {}, page, str(DOCS / page), 0)
    report: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        doctest.DocTestRunner().run(example, out=report.append)
    assert not report, "".join(report)


PLAIN = [block for block in BLOCKS if block.kind == "python" and ">>>" not in block.text]


@pytest.mark.parametrize("page", sorted({block.page for block in PLAIN} - {*ELSEWHERE}))
def test_plain_python_runs(page: str, capsys):
    import upzoo

    given: dict[str, Any] = {
        "upzoo": upzoo,
        "net": upzoo.load("fcn8s_bilinear_init.shapes"),
        "photographs": torch.rand(8, 3, 64, 64),
        "generated": torch.rand(8, 3, 64, 64),
    }
    text = "\n".join(block.text for block in PLAIN if block.page == page)
    text = text.replace('"logs/…/seed0-…"', '"fcn8s_bilinear_init.shapes"')  # a run's folder
    exec(compile(text, page, "exec"), given)


def test_the_readmes_python_runs(capsys):
    import upzoo

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = [match["text"] for match in FENCED.finditer(text) if match["kind"] == "python"]
    assert len(found) == text.count("```python") == 2
    given = {"net": upzoo.load("unet_bilinear_init.shapes")}
    exec(compile("\n".join(found), "README.md", "exec"), given)
    assert "unet_bilinear_init.camvid" in capsys.readouterr().out


def composes(script: str, arguments: list[str]) -> None:
    """A command of ours names groups and options that exist, and builds its net."""
    from tasks import training

    swept = "-m" in arguments or any("hydra/launcher" in word for word in arguments)
    overrides = [word for word in arguments if "=" in word]  # compare.py's folders have none
    if swept:  # the first job of it
        kept = [w for w in overrides if not w.startswith("hydra") and "glob(" not in w]
        overrides = [w if "[" in w else w.partition(",")[0] for w in kept]
    cfg = compose_config(script, audits.spelled_out(overrides))
    if script == "train":
        scale = cfg.data.scale if isinstance(cfg.data.get("scale"), int) else 1
        size = cfg.data.get("size") or [96, 96]
        channels = 1 if "data=mnist" in overrides else 3
        data = SimpleNamespace(num_classes=5, in_channels=channels, size=size, scale=scale)
        if not any(word.startswith("model.weights") for word in overrides):  # a file, or fetched
            training.build_net(cfg, data)


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=[f"{p}: {c[:60]}" for p, c in COMMANDS])
def test_commands_exist(page: str, line: str, capsys):
    words = shlex.split(line, comments=True)
    program, *arguments = words
    script = Path(arguments[0]).stem if program == "python" else ""
    if script in ("train", "evaluate", "compare"):
        composes(script, arguments[1:])
    elif program == "python" and arguments[0] == "-m":
        assert (ROOT / f"{arguments[1].replace('.', '/')}.py").exists()
    elif program == "python":
        assert (ROOT / arguments[0]).exists()
    elif program == "upzoo":
        from upzoo.audit import command

        with pytest.raises(SystemExit):
            command.main([arguments[0], "--help"])
        options = [word for word in arguments[1:] if word.startswith("--")]
        assert set(options) <= set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    else:
        assert program in OTHERS, line


def test_the_python_page_is_that_of_the_docstrings(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    import python_api

    assert (DOCS / "python.md").read_text(encoding="utf-8") == python_api.page()


def test_steps_are_those_of_the_record():
    folder = ROOT / "results/camvid/fcn8s-bilinear_init"
    curve = json.loads((folder / "curves.json").read_text())["val/miou"]
    known = {step + 1: score for step, score in curve}
    text = (DOCS / "your_data.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\d,]+) \| (\d+) \| ([\d.]+) % \|$", text, re.M)
    assert len(rows) >= 5
    for step, epoch, score in rows:
        number = int(step.replace(",", ""))
        assert number == 45 * int(epoch)  # 367 images in batches of 8
        assert score == f"{100 * known[number]:.1f}"
    record = json.loads((folder / "record.json").read_text())
    assert f"{record['cost']['train_seconds'] / 60:.0f} minutes on one core" in text


def test_links_between_pages_lead_somewhere():
    for path in [*PAGES, DOCS / "python.md"]:
        for target in re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", path.read_text("utf-8"))):
            if "://" in target or target.startswith("#"):
                continue
            assert (DOCS / target.partition("#")[0]).exists(), f"{path.name}: {target}"


def test_pictures_say_what_they_show():
    for path in PAGES:
        for alt, _ in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", path.read_text("utf-8")):
            assert len(alt) > 10, path.name


def test_the_animation_is_small():
    assert (DOCS / "figures" / "stamps.gif").stat().st_size < 500_000


@pytest.mark.slow
def test_the_notebook_runs():
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipywidgets")
    folder = ROOT / "notebooks"
    notebook = nbformat.read(folder / "transposed_convolution.ipynb", as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": folder}}
    ).execute()
    widgets = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "application/vnd.jupyter.widget-view+json" in output.get("data", {})
    ]
    assert len(widgets) == 2


@pytest.mark.slow
def test_the_site_builds_without_warnings(tmp_path):
    mkdocs = pytest.importorskip("mkdocs.commands.build")
    pytest.importorskip("material")
    from mkdocs.config import load_config

    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path), strict=True)
    config.plugins.on_startup(command="build", dirty=False)
    mkdocs.build(config)
    for path in PAGES:
        assert (tmp_path / path.stem / "index.html").exists()
