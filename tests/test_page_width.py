"""README and docs in a browser, as wide as GitHub shows them: nothing is wider than the page."""

import pytest

from tests.comparison.browser import BINARY, NAMES, browse
from tests.conftest import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BINARY, reason=f"no {', '.join(NAMES)} is installed"),
]
#: Pixels of GitHub's column of text.
WIDTH = 830
#: What matters here of GitHub's style, in letters as wide as Helvetica's.
STYLE = """
body { width: 830px; margin: 0; overflow-wrap: break-word; }
body { font: 16px/1.5 Arial, "Liberation Sans", "DejaVu Sans"; font-stretch: condensed; }
img { max-width: 100%; }
code { font: 13.6px Menlo, "Liberation Mono", "DejaVu Sans Mono", monospace; padding: 0.2em 0.4em; }
code { white-space: break-spaces; }
pre { padding: 16px; overflow: auto; } pre code { white-space: pre; padding: 0; }
table { border-collapse: collapse; }
td, th { padding: 6px 13px; border: 1px solid #d1d9e0; }
"""
FILES = ["README.md", *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
#: Of each table that is too wide: its place on the page, its width, and how it begins.
WIDER = (
    "[...document.querySelectorAll('table')]"
    ".map((each, i) => [i, Math.round(each.getBoundingClientRect().width), each.innerText])"
    f".filter(each => each[1] > {WIDTH}).map(([i, width, text]) => [i, width, text.slice(0, 80)])"
)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with browse(tmp_path_factory.mktemp("profile")) as page:
        size = {"width": WIDTH, "height": 1200, "deviceScaleFactor": 1, "mobile": False}
        page.call("Emulation.setDeviceMetricsOverride", **size)
        yield page


@pytest.mark.parametrize("name", FILES)
def test_no_table_is_wider_than_the_page(name, page, tmp_path):
    markdown = pytest.importorskip("markdown")
    source = (ROOT / name).read_text(encoding="utf-8")
    body = markdown.markdown(source, extensions=["tables", "pymdownx.superfences"])
    base = f'<base href="{(ROOT / name).parent.as_uri()}/">'
    shown = tmp_path / "page.html"
    shown.write_text(
        f"<!doctype html><meta charset=utf-8>{base}<style>{STYLE}</style><body>{body}",
        encoding="utf-8",
    )
    page.open(shown.as_uri())
    page.wait_until("document.readyState === 'complete' && document.body.innerText.length > 100")
    assert page.run(WIDER) == []
