"""The record of a run from its start to its end, whichever way it ends."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from runs import folders, records
from runs.records import Record


@contextmanager
def recording(run: Path, record: Record, steps_done: Callable[[], int]) -> Iterator[Record]:
    """Write a run's record before and after what is done with it.

    The record says "finished" where nothing went wrong, "interrupted" where the run was stopped,
    "failed" otherwise.

    Args:
        run: the run's folder.
        record: to be filled in meanwhile.
        steps_done: how far training is, for what is printed where it is stopped.
    """
    path = run / folders.RECORD
    records.write(path, record)
    record.status = "failed"
    try:
        yield record
        record.status = "finished"
    except (SystemExit, KeyboardInterrupt) as stop:
        record.status = "interrupted"
        way_on = f"go on with: {record.command} ckpt=last"
        if not (run / folders.LAST).exists():
            way_on = "before there was a checkpoint"
        print(f"stopped at step {steps_done()}; {way_on}")
        raise SystemExit(getattr(stop, "code", 128 + signal.SIGINT)) from None
    finally:
        records.write(path, record)
