"""The record of a run from its start to its end, whichever way it ends."""

import contextlib
import errno
import re
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from runs import folders, records, signals
from runs.records import Record
from upzoo.atomic import NotWrittenError

#: What the system says where nothing more can be written.
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}


@contextlib.contextmanager
def recording(run: Path, record: Record, steps_done: Callable[[], int]) -> Iterator[Record]:
    """Write a run's record before and after what is done with it.

    The record says "finished" where nothing went wrong, "interrupted" where the run was stopped,
    "failed" otherwise. Ctrl-C, SIGTERM and SIGHUP stop it at once, but for a training step. In the
    end the folder is left to others.

    Args:
        run: the run's folder.
        record: to be filled in meanwhile.
        steps_done: how far training is, for what is printed where it is stopped.

    Raises:
        SystemExit: with 128 and the signal's number, where a signal stopped the run.
        NotWrittenError: the disk is full.
    """
    path = run / folders.RECORD
    records.write(path, record)
    record.status = "failed"
    with signals.at_once(), _writers_faults_once():
        try:
            yield record
            record.status = "finished"
        except (SystemExit, KeyboardInterrupt) as stop:
            record.status = "interrupted"
            with signals.shielded(), contextlib.suppress(NotWrittenError):
                folders.refuse_gone(run)
                records.write(path, record)
            command = re.sub(r" '?ckpt=\S+", "", record.command)
            way_on = f"go on with: {command} ckpt=last"
            if not (run / folders.LAST).exists():
                way_on = "before there was a checkpoint"
            with contextlib.suppress(OSError):  # a terminal that was closed
                print(f"stopped at step {steps_done()}; {way_on}", flush=True)
            raise SystemExit(getattr(stop, "code", 128 + signal.SIGINT)) from None
        except OSError as error:
            gone = not run.is_dir()
            if error.errno not in NO_ROOM and not isinstance(error, NotWrittenError) and not gone:
                raise
            line = str(error) if isinstance(error, NotWrittenError) else f"{run}: {error.strerror}"
            line = f"{run}: the run's folder is gone" if gone else line
            way_on = "go on with ckpt=last" if (run / folders.LAST).exists() else "start it again"
            raise NotWrittenError(
                f"{line}; the run stopped at step {steps_done()}: make room, then {way_on}"
            ) from None
        finally:
            if record.status != "interrupted":
                with signals.shielded(), _unless_full(record):
                    folders.refuse_gone(run)
                    records.write(path, record)
            folders.disown(run)


@contextlib.contextmanager
def _writers_faults_once() -> Iterator[None]:
    """Let a thread that cannot write its events say nothing: its owner raises the same error."""
    usual = threading.excepthook

    def hook(fault: threading.ExceptHookArgs) -> None:
        if not issubclass(fault.exc_type, OSError):
            usual(fault)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = usual


@contextlib.contextmanager
def _unless_full(record: Record) -> Iterator[None]:
    """Where the disk is full, a failed run keeps the record of its start."""
    try:
        yield
    except NotWrittenError:
        if record.status == "finished":
            raise
