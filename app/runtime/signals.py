"""SIGTERM and Ctrl-C. Imports next to nothing, so that it is there before anything that takes time."""

import os
import signal
from threading import Event
from types import FrameType


class Signals:
    """SIGTERM and SIGINT as something to wait for. A second one ends the process at once.

    Must be made on the main thread, and early: PID 1 ignores a SIGTERM that nobody handles yet. One that
    comes while the server starts is kept until somebody waits.
    """

    def __init__(self) -> None:
        self._received: signal.Signals | None = None
        self._event = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._receive)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self._received is not None:
            os.write(2, b"a second signal: ended at once\n")
            os._exit(128 + number)
        self._received = signal.Signals(number)
        self._event.set()

    def wait(self) -> signal.Signals:
        """The first signal, as soon as it has come."""
        self._event.wait()
        return self._received or signal.SIGTERM
