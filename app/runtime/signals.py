"""SIGTERM and Ctrl-C. Imports almost nothing, so that both are handled before slower imports."""

import os
import signal
from types import FrameType


class Signals:
    """Waits for SIGTERM or SIGINT. A second signal ends the process at once.

    Create it on the main thread, and early: PID 1 ignores a SIGTERM without a handler. A signal that arrives
    while the server starts is kept for `wait`.
    """

    def __init__(self) -> None:
        self._received = False
        self._error = os.dup(2)  # the server logs what is written to 2, too late for a last word
        # Waiting for a lock, such as an Event's, misses a signal that arrives just before the wait: Python
        # runs handlers between its own instructions. The byte that the C handler writes to a pipe is kept.
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):  # once SIGTERM has a handler, both have ours
            signal.signal(number, self._receive)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self._received:
            os.write(self._error, b"second signal: exiting at once\n")
            os._exit(128 + number)
        self._received = True

    def wait(self) -> signal.Signals:
        """Returns the first signal, as soon as it has arrived. Call it once."""
        number = os.read(self._read, 1)[0]
        signal.set_wakeup_fd(-1)
        os.close(self._read)
        os.close(self._write)
        return signal.Signals(number)
