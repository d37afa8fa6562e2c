"""Text that Python code prints, as lines in the log."""

import io
import threading
from collections.abc import Callable
from typing import TextIO

# Characters of a line that are kept until its end comes.
_LONGEST = 16_384


class LineStream(io.TextIOBase):
    """A text stream that passes each line on. Each thread has lines of its own."""

    encoding = "utf-8"

    def __init__(self, log: Callable[[str], None], stream: TextIO, descriptor: int) -> None:
        """`stream` is the one that this one replaces: bytes are written to its buffer, as they are.

        `descriptor` is for code that needs one, such as faulthandler.
        """
        self._log = log
        self.buffer = stream.buffer
        self._descriptor = descriptor
        self._begun = threading.local()

    def fileno(self) -> int:
        return self._descriptor

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, rest = (getattr(self._begun, "text", "") + text).split("\n")
        if len(rest) > _LONGEST:
            lines, rest = [*lines, rest], ""
        self._begun.text = rest
        for line in lines:
            if line.strip():
                self._log(line)
        return len(text)
