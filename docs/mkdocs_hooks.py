"""Hooks of mkdocs: the README is the first page, and new pages find their place by themselves."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
#: A link or picture of Markdown, and where it goes.
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def on_config(config: Any) -> Any:
    """Add pages that the navigation does not name, and leave out those that are not there."""

    def known(entries: list[Any]) -> list[Any]:
        kept: list[Any] = []
        for entry in entries:
            if isinstance(entry, dict):
                ((title, below),) = entry.items()
                kept.append({title: known(below) if isinstance(below, list) else below})
            elif entry == "index.md" or (ROOT / "docs" / entry).exists():
                kept.append(entry)
        return kept

    config.nav = known(config.nav)
    named = re.findall(r"[\w/]+\.md", str(config.nav))
    new = sorted({p.name for p in (ROOT / "docs").glob("*.md")} - set(named))
    if new:
        config.nav.append({"More": new})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Take the README as the first page."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").replace("](docs/", "](")
    files.append(File.generated(config, "index.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn links to files of the repository that are no pages into their paths as text."""
    folder = ROOT if page.file.src_uri == "index.md" else ROOT / "docs"

    def linked(found: re.Match[str]) -> str:
        picture, text, target = found.groups()
        path = target.partition("#")[0]
        if not path or "://" in target or files.get_file_from_path(path) is not None:
            return found[0]
        if not picture and (folder / path).exists():
            place = (folder / path).resolve().relative_to(ROOT)
            return text if text.strip("`") == str(place) else f"{text} (`{place}`)"
        return found[0]

    return LINK.sub(linked, markdown)
