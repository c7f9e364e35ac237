"""README's table of shipped nets: by hand, and as the manifest has it."""

from comparison.pages import inserted
from release import page
from tests.conftest import ROOT
from upzoo import zoo

ENTRY = {
    "recipe": "unet_camvid",
    "split": "test",
    "scores": {"boundary_f1": 0.4, "miou": 0.558},
    "files": {"model.safetensors": {"bytes": 3_500_000}, "config.json": {"bytes": 100_000}},
    "seeds": None,
    "images": {"count": 233, "score": "miou", "split": "test", "low": 0.543, "high": 0.572},
}


def test_a_net_of_its_own_recipe_has_a_row_with_its_first_score():
    few = {**ENTRY, "images": None}
    text = page.nets({"b": ENTRY, "a": few, "c": {**ENTRY, "recipe": "study/x"}})
    assert text.splitlines()[2:] == [
        "| `a` | Mean IoU, %, test | 55.8 | – | 3.6 MB |",
        "| `b` | Mean IoU, %, test | 55.8 | 54.3 – 57.2 | 3.6 MB |",
    ]


def test_the_readme_has_the_table_of_the_manifest():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert inserted(readme, {page.PART: page.nets(zoo.entries())}) == readme
