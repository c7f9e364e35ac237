"""Names that come from files, made harmless: in the terminal, in Markdown, and as a file's name."""

from __future__ import annotations

import html
import re
import zlib

import rich.markup

#: Characters that Markdown gives a meaning inside a line; underscores only at a word's edge.
MARKDOWN = re.compile(r"[\\`*\[\]|]|(?<!\w)_|_(?!\w)")
MAX_FILE_NAME = 100


def printable(text: object) -> str:
    r"""Text in one line without control characters, which are spelt out.

    >>> print(printable("a\x1b[31mb\nc"))
    a\x1b[31mb\nc
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def terminal(text: object) -> str:
    r"""Text that rich prints as it is, in one line.

    >>> print(terminal("a [red]b\n"))
    a \[red]b\n
    """
    return rich.markup.escape(printable(text))


def markdown(text: object) -> str:
    r"""Text that Markdown shows as it is.

    >>> print(markdown("<b>a|b_c*"))
    &lt;b&gt;a\|b_c\*
    """
    return MARKDOWN.sub(r"\\\g<0>", html.escape(printable(text), quote=False))


def file_name(text: str, safe: str = " =,+#[]~") -> str:
    """A name for a file or folder: another one for each text, no path, no hidden file.

    >>> file_name("resize_conv mode=nearest"), file_name("../a b"), file_name("..")
    ('resize_conv mode=nearest', '%2E.%2Fa b', '%2E.')
    """
    kept = re.compile(rf"[^A-Za-z0-9_.\-{re.escape(safe)}]|^\.")
    name = kept.sub(lambda found: "".join(f"%{b:02X}" for b in found[0].encode()), text)
    if len(name) <= MAX_FILE_NAME:
        return name
    return f"{name[: MAX_FILE_NAME - 10]}~{zlib.crc32(text.encode()):08x}"
