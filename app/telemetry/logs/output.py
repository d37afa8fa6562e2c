"""Where lines are written."""

import os
import select
from collections.abc import Sequence
from itertools import accumulate
from typing import TextIO


class Output:
    """A file descriptor, or a text stream without one.

    A descriptor is written directly: a thread that is blocked in Python's buffered stream holds its lock, for
    which Python waits when it exits.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._encoding = getattr(out, "encoding", None) or "utf-8"
        self._torn = False  # whether the last write has ended within a line
        try:
            self._descriptor: int | None = out.fileno()
        except (AttributeError, OSError, ValueError):
            self._descriptor = None

    def write(self, lines: Sequence[str]) -> int:
        """Writes the lines, and returns how many of them could not be written. May block."""
        encoded = [f"{line}\n".encode(self._encoding, "backslashreplace") for line in lines]
        data = b"".join(encoded)
        if self._descriptor is None:
            try:
                self._out.write(data.decode(self._encoding))
                self._out.flush()
            except Exception:  # noqa: BLE001 - a stream of any kind must not end the thread that writes
                return len(lines)
            return 0
        begun = b"\n" if self._torn else b""
        written = _write(self._descriptor, begun + data) - len(begun)
        self._torn = not (written == len(data) or (written > 0 and data[written - 1 : written] == b"\n"))
        return 0 if written == len(data) else sum(end > written for end in accumulate(map(len, encoded)))


def _write(descriptor: int, data: bytes) -> int:
    """Returns how many bytes were written before the first error."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # another process has made the file non-blocking for all that share it
            ready = select.poll()
            ready.register(descriptor, select.POLLOUT)
            ready.poll()
        except OSError:
            break
    return len(data) - len(rest)
