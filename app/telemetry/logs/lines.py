"""The lines that wait to be written, and the thread that writes them."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread, get_ident
from typing import Self, TextIO

from app.telemetry.logs.dropped import Dropped
from app.telemetry.logs.output import Output
from app.telemetry.logs.rendering import Line, Render, failed

# A rendered line, or a function that renders it.
Rendered = str | Callable[[], str]

# Seconds that a line may wait, to be written together with others.
_WAIT = 0.05
# Lines that are written together at most. The lines of a write that blocks take memory twice.
_TOGETHER = 500
# Lines that may wait, in units of 1 KiB.
MOST = 4_000
# Beyond that, for warnings and errors.
_RESERVE = 100
# Seconds that the last lines may take on exit: a reader that has stopped must not keep the process.
_LAST = 1.0
# Seconds between two reports of dropped lines.
_REPORT = 1.0


class Lines:
    """The logger that structlog wraps. Its thread writes several lines at a time.

    A write for each line would cost a call as much as the rest of the chain. Nothing here blocks but the
    thread: where lines come faster than they can be written, they are dropped and counted.

    Any method may interrupt any other in the same thread, as garbage collection runs finalizers that log, and
    signal handlers may log. So there is no lock; `SimpleQueue.put` is made for it.
    """

    def __init__(self, out: TextIO, render: Render, most: int = MOST, *, for_people: bool = False) -> None:
        self.render = render
        self.for_people = for_people  # on a terminal
        self.dropped = Dropped()
        self._output = Output(out)
        self._most = most
        # A marker is set when the lines before it are written. None takes up room, for a long line.
        self._waiting: SimpleQueue[Rendered | Event | None] = SimpleQueue()
        self._wait = Lock()  # as a signal: released to end the thread's wait for more lines
        self._wait.acquire()
        self._end = Event()
        self._left = False  # whether the context has ended
        self._late = Lock()
        self._reported_at = 0.0
        self._thread = Thread(target=self._run, name="logs", daemon=True)

    def put(self, line: Rendered) -> None:
        """Adds a line that is short."""
        if self._waiting.qsize() < self._most:
            self._waiting.put(line)
        else:
            self.dropped.add("queue_full")
        if self._left:
            self._write_late()

    def info(self, line: str) -> None:
        self._put(line, self._most)

    debug = info

    def warning(self, line: str) -> None:
        """Adds a line that is written at once, after those before it."""
        self._put(line, self._most + _RESERVE)
        self._hurry()

    error = critical = warning

    def _put(self, line: str, most: int) -> None:
        more = len(line) // 1024
        if self._waiting.qsize() + more < most:
            self._waiting.put(line)
            for _ in range(more):
                self._waiting.put(None)
        else:
            self.dropped.add("queue_full")
        if self._left:
            self._write_late()

    def _hurry(self) -> None:
        with suppress(RuntimeError):  # it is released already
            self._wait.release()

    def flush(self, seconds: float = 5) -> bool:
        """Waits until all lines that were logged before are written. Returns whether they are."""
        if get_ident() == self._thread.ident:  # a finalizer, or a value of a line
            return False
        written = Event()
        self._waiting.put(written)
        self._hurry()
        if self._left:
            self._write_late()
        return written.wait(seconds)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._waiting.put(self._end)
        self._hurry()
        self._thread.join(_LAST)
        self._left = True
        if not self._waiting.empty():
            self._write_late()

    def _write_late(self) -> None:
        """Writes lines that were logged after the end, in another thread, for a reader may have stopped."""
        if self._thread.is_alive() or not self._late.acquire(blocking=False):
            return  # it writes these, too, unless it is blocked
        try:
            self._waiting.put(self._end)
            self._hurry()
            self._thread = Thread(target=self._run, name="late logs", daemon=True)
            self._thread.start()
            self._thread.join(_LAST)
        except RuntimeError:  # the interpreter ends, and starts no more threads
            return
        finally:
            self._late.release()

    def _run(self) -> None:
        ending = False
        while not (ending and self._waiting.empty()):
            try:
                first = self._waiting.get(timeout=_REPORT if self.dropped.unreported() else None)
            except Empty:
                first = None
            if not isinstance(first, Event) and self._waiting.qsize() < _TOGETHER:
                self._wait.acquire(timeout=_WAIT)
            lines, marker = self._take(first)
            self._write(lines, last=marker is self._end)
            if marker is not None:
                marker.set()
                ending = ending or marker is self._end

    def _write(self, lines: list[str], *, last: bool) -> None:
        """Writes the lines and, once per second, how many were dropped since the last report."""
        dropped = self.dropped.unreported()
        if dropped and (last or time.monotonic() - self._reported_at >= _REPORT):
            head: Line = {"timestamp": datetime.now(UTC), "level": "warning", "event": "log_lines_dropped"}
            report = self.render({**head, "lines": sum(dropped.values()), **dropped})
            lost = self._output.write([*lines, report])
            if not lost:
                self.dropped.report(dropped)
                self._reported_at = time.monotonic()
            elif lost > 1:  # the report is not a loss: it is repeated
                self.dropped.add("write_failed", lost - 1)
        elif lines and (lost := self._output.write(lines)):
            self.dropped.add("write_failed", lost)

    def _take(self, item: Rendered | Event | None) -> tuple[list[str], Event | None]:
        """The texts of lines that wait, up to a marker, and the marker."""
        lines: list[str] = []
        with suppress(Empty):
            while not isinstance(item, Event):
                if item is not None:
                    lines.append(_text(item, self.render))
                if len(lines) >= _TOGETHER:
                    return lines, None
                item = self._waiting.get_nowait()
            return lines, item
        return lines, None


def _text(line: Rendered, render: Render) -> str:
    if isinstance(line, str):
        return line
    try:
        return line()
    except Exception as error:  # noqa: BLE001 - a bug must not end the thread that writes all lines
        return render(failed(error))
