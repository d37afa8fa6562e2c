"""Ctrl-C, for a command that must end in order."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """Whether Ctrl-C was pressed."""

    def __init__(self) -> None:
        self.received = False


@contextmanager
def interrupt() -> Iterator[Interrupt]:
    """Notes the first Ctrl-C in place of raising KeyboardInterrupt; a second one raises it.

    An exception from a signal's handler can come up anywhere: just after a lock is taken, which then is never
    released, or in a finalizer, where it is lost. Works on the main thread only; ask it often, since waiting
    for a lock does not end when a signal arrives.
    """
    noted = Interrupt()

    def handle(_number: int, _frame: FrameType | None) -> None:
        noted.received = True
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)
