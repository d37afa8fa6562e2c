"""SIGTERM and Ctrl-C. Imports next to nothing, so that it is there before anything that takes time."""

import os
import signal
from types import FrameType


class Signals:
    """SIGTERM and SIGINT as something to wait for. A second one ends the process at once.

    Must be made on the main thread, and early: PID 1 ignores a SIGTERM that nobody handles yet. One that
    comes while the server starts is kept until somebody waits.
    """

    def __init__(self) -> None:
        self._received = False
        # A wait for a lock, such as an Event's, misses a signal that comes just before it sleeps: Python's
        # handlers run between its own instructions. What the kernel's handler writes to a pipe is not missed.
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._receive)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self._received:
            os.write(2, b"a second signal: ended at once\n")
            os._exit(128 + number)
        self._received = True

    def wait(self) -> signal.Signals:
        """The first signal, as soon as it has come. May be asked once."""
        number = os.read(self._read, 1)[0]
        signal.set_wakeup_fd(-1)
        os.close(self._read)
        os.close(self._write)
        return signal.Signals(number)
