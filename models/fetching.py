"""Fetch one file over HTTP: of a known size and SHA-256, whole or not at all."""

import hashlib
import http.client
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

#: Seconds without a byte after which a connection is given up.
PATIENCE = 30.0
CHUNK = 2**16


def data_home() -> Path:
    """Where downloads live: $UPZOO_DATA, or ~/.cache/upzoo."""
    return Path(os.environ.get("UPZOO_DATA") or "~/.cache/upzoo").expanduser()


def fetch(url: str, path: Path, size: int, sha256: str) -> None:
    """Write what an address serves to a new file; what fails leaves an incomplete one.

    Never more than `size` bytes are read, and redirects lead to HTTP addresses alone.

    Args:
        url: begins with http:// or https://.
        path: the file to write, in a folder of its own that is moved into place afterwards.
        size: in bytes.
        sha256: 64 hex digits.

    Raises:
        ConnectionError: no answer, an error for an answer, or a connection that ends early.
        ValueError: an address of another kind, or another content than was asked for.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"{url}: not an address of the web: give one with https://")
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for chunk in _chunks(url, size):
            digest.update(chunk)
            file.write(chunk)
    if digest.hexdigest() != sha256:
        raise ValueError(
            f"{url}: another file than the one listed: its SHA-256 is {digest.hexdigest()[:12]}…, "
            f"not {sha256[:12]}…: not used"
        )


def _chunks(url: str, size: int) -> Iterator[bytes]:
    """What an address serves: exactly `size` bytes."""
    count = 0
    try:
        with _opener().open(url, timeout=PATIENCE) as answer:
            while chunk := answer.read(CHUNK):
                count += len(chunk)
                if count > size:
                    raise ValueError(f"{url}: more than the {size:,} bytes listed: not used")
                yield chunk
    except urllib.error.HTTPError as error:
        error.close()  # it holds the connection
        reason = " ".join(f"{error.code} {error.msg}".split())
        raise ConnectionError(f"{url}: the server answers {reason}") from None
    except (http.client.HTTPException, OSError) as error:
        if not count:
            reason = " ".join(str(getattr(error, "reason", error)).split())
            raise ConnectionError(f"{url}: no connection: {reason}") from None
    if count < size:
        raise ConnectionError(
            f"{url}: the connection ended after {count:,} of {size:,} bytes: try again"
        )


def _opener() -> urllib.request.OpenerDirector:
    """What urllib opens addresses with, without file:, ftp: and data:."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener
