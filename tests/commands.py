"""The scripts as commands, many in little time: each in a process forked after all is imported."""

import contextlib
import multiprocessing
import os
import runpy
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
#: A command that needs longer hangs.
SECONDS = 120

#: What the scripts import when they run; forked processes find it there.
PRELOAD = (
    "comparison.curves",
    "comparison.figures",
    "comparison.hparams",
    "comparison.pictures",
    "comparison.tensorboard",
    "hydra",
    "panels.audit",
    "release.export",
    "release.listing",
    "runs.checks",
    "statsmodels.stats.multitest",
    "tasks.callbacks",
    "tasks.evaluation",
    "tasks.generation",
    "tasks.prediction",
    "tasks.training",
    "tasks.transfer",
    "tests.commands",
    "upzoo.audit.command",
    "upzoo.conversion",
)


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str
    written: list[str]  # files below its working directory

    @property
    def refusal(self) -> str | None:
        """The one line in which a command was refused."""
        lines = [line for line in self.err.splitlines() if not line.startswith("note: ")]
        ok = self.status == 2 and len(lines) == 1 and lines[0].startswith("error: ")
        return lines[0].removeprefix("error: ") if ok else None


def command_in_child(folder: str, arguments: Sequence[str]) -> None:
    """What the forked process does: `python SCRIPT ARGUMENTS` in a folder."""
    import torch

    multiprocessing.set_start_method(None, force=True)  # the system's own, as in a command
    os.chdir(folder)
    os.setsid()
    for descriptor, name in ((0, os.devnull), (1, ".out"), (2, ".err")):
        os.dup2(os.open(name, os.O_CREAT | os.O_RDWR, 0o600), descriptor)
    sys.stdout, sys.stderr = (os.fdopen(n, "w", encoding="utf-8", closefd=False) for n in (1, 2))
    torch.set_num_threads(1)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    script, *rest = arguments
    sys.argv = [script, *rest]
    try:
        runpy.run_path(str(ROOT / script), run_name="__main__")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


class Commands:
    """Runs commands in folders of their own."""

    def __init__(self) -> None:
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(list(PRELOAD))

    def start(self, folder: Path, line: str | Sequence[str]) -> multiprocessing.Process:
        """Start a command in a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        arguments = shlex.split(line) if isinstance(line, str) else list(line)
        child = self.context.Process(target=command_in_child, args=(str(folder), arguments))
        child.start()
        return child

    def __call__(self, folder: Path, line: str | Sequence[str], seconds: float = SECONDS) -> Ended:
        """Run a command in a folder to its end; one that hangs is killed and has the status −9."""
        before = set(files(folder))
        child = self.start(folder, line)
        child.join(seconds)
        if child.exitcode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.join()
        out, err = ((folder / name).read_text(errors="replace") for name in (".out", ".err"))
        written = sorted(set(files(folder)) - before - {".out", ".err"})
        return Ended(child.exitcode, out, err, written)


def files(folder: Path) -> Iterator[str]:
    """What lies below a folder, by its path from there."""
    return (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
