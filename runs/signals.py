"""Ctrl-C, SIGTERM and SIGHUP: where they stop a run at once, and where they wait a moment.

So does SIGUSR2 in a job of submitit, which requeues the job when it comes.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

#: What asks a run to stop; SIGHUP is what closing a terminal sends.
NUMBERS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


class StoppedError(SystemExit):
    """The run was asked to stop; the status is 128 and the signal's number, as a shell has it."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)


class Asked:
    """Which signal has asked to stop, if any."""

    number: int | None = None


@contextmanager
def at_once() -> Iterator[None]:
    """Let a signal raise `StoppedError` wherever the program is."""

    def stop(number: int) -> None:
        raise StoppedError(number)

    with _handled_by(stop):
        yield


@contextmanager
def deferred() -> Iterator[Asked]:
    """Let the first signal be looked up in what this gives; a second one stops at once.

    One that somebody requeues upon is deferred too, see `pass_on`.
    """
    asked = Asked()

    def note(number: int) -> None:
        if asked.number is not None:
            raise StoppedError(number)
        asked.number = number

    with _handled_by(note, requeueing()):
        yield asked


def requeueing() -> list[int]:
    """Signals upon which the job is requeued: SIGUSR2, where somebody (submitit) waits for it."""
    number = getattr(signal, "SIGUSR2", None)
    return [number] if number is not None and callable(signal.getsignal(number)) else []


def pass_on(number: int) -> None:
    """Hand a signal that was deferred to who waits for it, now that the state is written.

    Raises:
        StoppedError: nobody does, or they have not ended the process.
    """
    if number in requeueing():
        signal.raise_signal(number)
    raise StoppedError(number)


@contextmanager
def shielded() -> Iterator[None]:
    """Let no signal disturb the few lines inside, such as the last writing of a record."""
    with _handled_by(lambda number: None):
        yield


@contextmanager
def _handled_by(react: Callable[[int], None], further: Sequence[int] = ()) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # Python leaves signals to the main thread
        return
    owner = os.getpid()

    def handle(number: int, frame: Any) -> None:
        if os.getpid() == owner:
            react(number)
        elif number != signal.SIGINT:  # a loader's worker: Ctrl-C reaches it too, but it is led
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    before = {}
    for number in (*NUMBERS, *further):
        # nohup has SIGHUP ignored, and so it stays
        if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
