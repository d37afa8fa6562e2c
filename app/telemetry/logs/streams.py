"""Text that Python code prints, as lines in the log."""

import io
import threading
from collections.abc import Callable

# Characters of a line that are kept until its end comes.
_LONGEST = 16_384


class LineStream(io.TextIOBase):
    """A text stream that passes each line on. Each thread has lines of its own."""

    encoding = "utf-8"

    def __init__(self, log: Callable[[str], None], descriptor: int) -> None:
        """`descriptor` is for code that needs one, and its text is not logged."""
        self._log = log
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
