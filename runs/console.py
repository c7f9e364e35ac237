"""What the scripts say in the terminal when something is wrong: one line, no traceback."""

import codecs
import contextlib
import errno
import io
import os
import re
import sys
import traceback
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from runs.arguments import MEANT
from runs.escape import printable
from upzoo.closest import did_you_mean

UNREADABLE = (
    "{}: not readable: close brackets and quotes, and put a value with blanks or signs into "
    "quotes within quotes: name='\"my value\"'"
)
#: What Hydra says, and what is said instead.
HYDRAS = {
    r"Could not delete from config\. '(.+?)' does not exist": "~{}: there is no such option",
    r"Ambiguous value for argument '([^=]+)=(.*?)'": (
        "{0}={1}: several values: '{0}=[{1}]' is a list, -m trains a run with each"
    ),
    r"(?:parsing override|alternative at input|mismatched input) '(.+?)'[\s\S]*grammar": UNREADABLE,
    r"LexerNoViableAltException: (.+)": UNREADABLE,
    r"Error merging override (\S+?)=(.*)": (
        "{0}={1}: {0} takes no such value: its options are {0}.NAME=VALUE, or one of another kind"
    ),
    r"Missing mandatory value: data\.root": (
        "data.root is not set: give the folder of the data, data.root=PATH"
    ),
    r"Missing mandatory value: (\S+)": "{0} is not set: give {0}=VALUE",
}

#: What a disk refuses with after a file has been opened: such an error names no file.
OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
#: Signs that have no near one in ASCII by Unicode's own tables.
SIGNS = str.maketrans({"–": "-", "−": "-", "×": "x", "→": "->", "±": "+-", "·": "*", "ß": "ss"})

ROOT = Path(__file__).resolve().parent.parent


@contextlib.contextmanager
def user_errors() -> Iterator[None]:
    """End the script with one line and status 2 where the fault lies in its input.

    What counts as such: anything that Hydra refuses, and every ValueError or OSError that this
    project's own code raises. Any other exception is a fault of ours and keeps its traceback.
    Ctrl-C ends it with status 130.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # hand exceptions over instead of printing them
    plain_where_needed()
    try:
        yield
    except BrokenPipeError:  # of `… | head`
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        sys.exit(128 + 13)  # as a shell has it where SIGPIPE ends a program
    except Exception as error:
        line = explain(error)
        if line is None:
            raise
        print(f"error: {line}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def plain_where_needed() -> None:
    """Let terminals that are not UTF-8 have other signs for those that they lack."""
    codecs.register_error("plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and "utf" not in stream.encoding.lower():
            stream.reconfigure(errors="plain")


def _plain(error: UnicodeError) -> tuple[str, int]:
    """The nearest signs of ASCII for what an encoding lacks: "×10³ – é" is "x103 - e"."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end].translate(SIGNS)
    nearest = unicodedata.normalize("NFKD", signs).encode("ascii", "ignore").decode()
    return nearest or "?", error.end


def explain(error: BaseException) -> str | None:
    """The line for a user, or None where the error is not the user's."""
    from hydra.errors import HydraException, InstantiationException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        return _one_line(error.__cause__)
    if isinstance(error, HydraException | OmegaConfBaseException):
        return _hydra_line(error)
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return printable(f"{error.filename}: {error.strerror}")  # of a place that a user named
    if isinstance(error, OSError) and error.errno in OF_DISKS:
        return f"{error.strerror}: make room, or write to another disk"
    if isinstance(error, ValueError | OSError) and _ours(error):
        return _one_line(error)
    if _of_memory(error):
        why = _one_line(error) or type(error).__name__
        return (
            f"more memory is needed than there is ({why}): make the net, the images, the batches "
            "or their number smaller"
        )
    if type(error).__module__ == "submitit.core.utils" and type(error).__name__ == "FailedJobError":
        return f"the cluster refused the jobs: {_one_line(error)}"
    if isinstance(error, ValueError) and _raised_in(error).parts[-3:-1] == ("hydra", "_internal"):
        return _one_line(error)
    return None


def _of_memory(error: BaseException) -> bool:
    """Whether the system, or a GPU, had no more memory to give."""
    by_torch = isinstance(error, RuntimeError) and re.search(
        "can't allocate memory|out of memory", str(error)
    )
    return isinstance(error, MemoryError) or bool(by_torch)


def _raised_in(error: BaseException) -> Path:
    frames = traceback.extract_tb(error.__traceback__)
    return Path(frames[-1].filename if frames else "")


def _ours(error: BaseException) -> bool:
    home = type(error).__module__.split(".")[0]
    if home == "upzoo" or (ROOT / home).is_dir():
        return True  # a class of this project's, whoever raises it again
    # A loader's worker hands its exception over as text: the class and message end it.
    if "DataLoader worker process" in str(error):
        raised_in = re.findall(r'^  File "(.+?)"', str(error), re.MULTILINE)
        return bool(raised_in) and Path(raised_in[-1]).is_relative_to(ROOT)
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and Path(frames[-1].filename).is_relative_to(ROOT)


def _one_line(error: BaseException) -> str:
    text = str(error)
    if "DataLoader worker process" in text:
        text = text.strip().splitlines()[-1].split(": ", 1)[-1]
    return " ".join(text.split())


def _hydra_line(error: BaseException) -> str:
    text = str(error)
    missing = re.search(r"Could not find '(.+?)/(.+?)'", text)
    if missing:
        group, value = missing.groups()
        names = sorted(p.stem for p in (ROOT / "configs" / group).glob("*.yaml"))
        return f"{group}={value}: there is no such {group}{_closest(value, names)}"
    unknown = re.search(r"Could not override '([\w.]+)'", text)
    if unknown:
        return _unknown_option(unknown[1], text)
    for pattern, line in HYDRAS.items():
        if found := re.search(pattern, text):
            return " ".join(line.format(*found.groups()).split())
    return " ".join(text.split())


def _unknown_option(key: str, text: str) -> str:
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import DictConfig, OmegaConf

    parent, _, name = key.rpartition(".")
    if key in MEANT:
        return f"{key}: there is no such option; did you mean {MEANT[key]}=…?"
    options = [a for a in sys.argv[1:] if "=" in a and not a.startswith(("-", "~"))]
    choices = [a for a in options if (ROOT / "configs" / a.split("=")[0].lstrip("+")).is_dir()]
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
            cfg = compose(Path(sys.argv[0]).stem, choices)
    except Exception:
        return " ".join(text.split())
    node = OmegaConf.select(cfg, parent) if parent else cfg
    while parent and not isinstance(node, DictConfig):  # a slip before the last dot
        parent, _, name = parent.rpartition(".")
        node = OmegaConf.select(cfg, parent) if parent else cfg
    known = [str(k) for k in node if not str(k).startswith("_")] if node else []
    if not isinstance(node, DictConfig) or not known:
        return f"{key}: there is no such option"
    return f"{key}: there is no such option{_closest(name, known)}"


def _closest(value: str, known: list[str]) -> str:
    return f"; {did_you_mean(value, known)}there are: {', '.join(known)}"
