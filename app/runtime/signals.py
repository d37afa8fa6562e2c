"""SIGTERM and Ctrl-C. Imports next to nothing, so that it is there before anything that takes time."""

import os
import signal
from queue import SimpleQueue
from types import FrameType


class Signals:
    """SIGTERM and SIGINT as something to wait for. A second one ends the process at once.

    Must be made on the main thread, and early: PID 1 ignores a SIGTERM that nobody handles yet. One that
    comes while the server starts is kept until somebody waits.
    """

    def __init__(self) -> None:
        self._received: signal.Signals | None = None
        # An Event's lock may be held by the thread that a handler interrupts; put() may interrupt anything.
        self._queue: SimpleQueue[signal.Signals] = SimpleQueue()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._receive)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self._received is not None:
            os.write(2, b"a second signal: ended at once\n")
            os._exit(128 + number)
        self._received = signal.Signals(number)
        self._queue.put(self._received)

    def wait(self) -> signal.Signals:
        """The first signal, as soon as it has come."""
        return self._queue.get()
