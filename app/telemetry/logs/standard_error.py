"""What C code writes to standard error, such as gRPC's core, as lines in the log."""

import faulthandler
import fcntl
import logging
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from app.telemetry.logs.lines import Lines
from app.telemetry.logs.logger import LEVELS

STANDARD_ERROR = 2

# Seconds between two reads: a thread that woke up for each line would take the interpreter from the calls.
_PAUSE = 0.1
# Bytes that the pipe holds; what C code writes beyond them is lost.
_PIPE = 1 << 20
# Seconds after which the reader is left behind, if a child process keeps the pipe open.
_LAST = 0.2
# Characters of a line that are logged.
_LONGEST = 2000
# Seconds of the rate that may come at once.
_BURST = 10

# A line of gRPC's core: E1201 02:51:49.512887    4233 hpack_parser.cc:1048] Error parsing …
_OF_GRPC = re.compile(r"([IWEF])\d{4} [\d:.]+ +\d+ ([\w.]+:\d+)\] (.*)", re.DOTALL)
_LEVELS = {"I": logging.INFO, "W": logging.WARNING, "E": logging.ERROR, "F": logging.CRITICAL}


@contextmanager
def standard_error_logged(lines: Lines, level: str, rate: int) -> Iterator[int]:
    """Logs what is written to standard error, at most `rate` lines per second; the rest is counted.

    Yields the descriptor of the real standard error. It gets the traceback of a crash, which no thread of
    this process could pass on. A write never blocks: when the pipe is full, its text is lost.
    """
    real = os.dup(STANDARD_ERROR)
    readable, writable = os.pipe()
    _enlarge(writable)
    os.set_blocking(writable, False)
    os.dup2(writable, STANDARD_ERROR)
    os.close(writable)
    faulthandler.enable(real)
    reader = _Reader(readable, lines, level, rate)
    reader.start()
    try:
        yield real
    finally:
        os.dup2(real, STANDARD_ERROR)  # closes the pipe, and so ends the reader
        faulthandler.enable(STANDARD_ERROR)
        reader.finish()
        os.close(real)


def _enlarge(pipe: int) -> None:
    set_size = getattr(fcntl, "F_SETPIPE_SZ", None)  # Linux only
    if set_size is not None:
        with suppress(OSError):  # beyond what this user may have: it stays at 64 KiB
            fcntl.fcntl(pipe, set_size, _PIPE)


class _Reader(threading.Thread):
    def __init__(self, readable: int, lines: Lines, level: str, rate: int) -> None:
        super().__init__(name="standard error", daemon=True)
        self._readable = readable
        self._lines = lines
        self._lowest = logging.getLevelNamesMapping()[level.upper()]
        self._rate = rate
        self._allowed = float(rate * _BURST)
        self._since = time.monotonic()
        self._ending = threading.Event()

    def run(self) -> None:
        rest = b""
        while data := os.read(self._readable, _PIPE):
            whole, _, rest = (rest + data).rpartition(b"\n")
            if whole:
                self._log(whole)
            if len(rest) > _LONGEST:
                self._log(rest)
                rest = b""
            self._ending.wait(_PAUSE)
        if rest:
            self._log(rest)
        os.close(self._readable)

    def finish(self) -> None:
        self._ending.set()
        self.join(_LAST)

    def _log(self, data: bytes) -> None:
        now = time.monotonic()
        self._allowed = min(self._rate * _BURST, self._allowed + (now - self._since) * self._rate)
        self._since = now
        allowed = int(self._allowed)
        texts = data.split(b"\n", allowed)
        more = texts.pop().count(b"\n") + 1 if len(texts) > allowed else 0
        self._allowed -= len(texts)
        if more:
            self._lines.dropped.add("rate_limit", more)
        for text in texts:
            if text.strip():
                self._log_line(text.decode("utf-8", "backslashreplace").rstrip()[:_LONGEST])

    def _log_line(self, text: str) -> None:
        number, fields = logging.WARNING, {"event": text, "logger": "stderr"}
        if match := _OF_GRPC.match(text):
            number = _LEVELS[match[1]]
            fields = {"event": match[3], "logger": "grpc.core", "source": match[2]}
        if number >= self._lowest:
            head = {"timestamp": datetime.now(UTC), "level": LEVELS[number]}
            self._lines.warning(self._lines.render(head | fields))
