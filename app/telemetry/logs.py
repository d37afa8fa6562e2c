"""Structured logs on standard output, from this program and from its libraries alike."""

import json
import logging
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from threading import Event, Lock, Thread
from typing import Any, Self, TextIO

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

_LEVELS = logging.getLevelNamesMapping()

# A line, before it is rendered.
Line = dict[str, Any]
# A line, or what renders it.
Rendered = str | Callable[[], str]

# How long a line may wait for others, to be written with them, in seconds.
_WAIT = 0.05
# How many may wait. Whoever adds one more writes them all: a slow reader slows calls down, and loses none.
_MOST = 10_000

# What people who read JSON look for first.
_HEAD: Line = {"timestamp": None, "level": None, "event": None}


@contextmanager
def logs(level: str, form: str | None, out: TextIO | None = None) -> Iterator["Lines"]:
    """Sets structlog and the standard library's logging up; on exit, every line is written.

    `form` is json or console; None: as `out`, standard output by default, suits. Every line has `timestamp`
    (ISO 8601, UTC), `level` and `event`. Tracebacks never show local variables.
    """
    out = out or sys.stdout
    render = (
        _console(colors=out.isatty()) if (form == "console" or (form is None and out.isatty())) else _json
    )
    lines = Lines(out, render)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _timestamp,
            structlog.processors.format_exc_info,
            lambda _logger, _name, line: render({**_HEAD, **line}),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level.upper()]),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )
    # One line of this logger's for each call with a malformed `tracestate`, which any caller may send.
    logging.getLogger("opentelemetry.trace.span").setLevel(logging.ERROR)
    logging.getLogger("grpc._cython.cygrpc").addFilter(_repeats_no_metadata)
    least = max(_LEVELS[level.upper()], logging.WARNING)
    logging.basicConfig(handlers=[_FromLibraries()], level=least, force=True)
    with lines:
        yield lines


# Given what makes a line of values, and the values: logs that line.
Write = Callable[..., None]


def writer(level: str, event: str) -> Write:
    """A function that logs lines for an event of which there are thousands a second.

    A line is made when it is written, on the thread that writes: many in a row cost a fraction of what they
    cost one by one, in between calls. Neither what makes it nor a value may change until then.
    """
    log = structlog.get_logger().bind()
    lines = structlog.get_config()["logger_factory"]()
    number = _LEVELS[level.upper()]
    if not log.is_enabled_for(number):
        return lambda _make, *_values: None
    if not isinstance(lines, Lines):  # whoever runs the server has set structlog up in another way
        return lambda make, *values: log.log(number, event, **make(*values))
    put, render, now = lines.info, lines.render, time.time

    def rendered(seconds: float, make: Callable[..., Line], values: tuple[Any, ...]) -> str:
        moment = datetime.fromtimestamp(seconds, UTC)
        return render({"timestamp": moment, "level": level, "event": event, **make(*values)})

    def write(make: Callable[..., Line], *values: Any) -> None:
        put(partial(rendered, now(), make, values))

    return write


class Lines:
    """The logger that structlog wraps: writes lines on a thread of its own, some at a time.

    A write for each line would cost a call as much as the rest of the chain. Warnings and errors, and what
    waits before them, are written at once. What cannot be written, because the disk is full or the reader
    has gone, is lost: logs must not fail calls.
    """

    def __init__(self, out: TextIO, render: Callable[[Line], str]) -> None:
        self._out = out
        self.render = render
        self._waiting: deque[Rendered] = deque()
        self._writing = Lock()
        self._some = Event()
        self._closed = Event()
        self._thread = Thread(target=self._run, name="logs", daemon=True)
        self._most = 0  # while no thread is there to write

    def debug(self, line: Rendered) -> None:
        self._waiting.append(line)
        if len(self._waiting) > self._most:
            self.flush()
        elif not self._some.is_set():
            self._some.set()

    info = debug

    def warning(self, line: Rendered) -> None:
        self._waiting.append(line)
        self.flush()

    error = critical = warning

    def flush(self) -> None:
        """Writes every line that was logged before."""
        with self._writing:
            if not self._closed.is_set():
                self._some.clear()  # first: a line that comes from now on sets it again
            lines = [_text(self._waiting.popleft()) for _ in range(len(self._waiting))]
            if not lines:
                return
            text = "\n".join(lines) + "\n"
            encoding = getattr(self._out, "encoding", None) or "utf-8"
            with suppress(OSError, ValueError):
                self._out.write(text.encode(encoding, "backslashreplace").decode(encoding))
                self._out.flush()

    def _run(self) -> None:
        while not self._closed.is_set():
            self._some.wait()
            self._closed.wait(_WAIT)
            self.flush()

    def __enter__(self) -> Self:
        self._thread.start()
        self._most = _MOST
        return self

    def __exit__(self, *_error: object) -> None:
        self._most = 0
        with self._writing:  # or a flush could take back what wakes the thread for the last time
            self._closed.set()
            self._some.set()
        self._thread.join()
        self.flush()


def _text(line: Rendered) -> str:
    if isinstance(line, str):
        return line
    try:
        return line()
    except Exception as error:  # noqa: BLE001 - a bug must not end the thread that writes everybody's lines
        return _json(
            {"timestamp": datetime.now(UTC), "level": "error", "event": "line_lost", "why": repr(error)}
        )


class _FromLibraries(logging.Handler):
    """Hands what libraries log with the standard library to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(
            record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info
        )


def _repeats_no_metadata(record: logging.LogRecord) -> bool:
    """Not so what grpc says of metadata that is not UTF-8: it repeats it, and that may be a token."""
    return not str(record.msg).startswith("Invalid encoding")


def _timestamp(_logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
    line["timestamp"] = datetime.now(UTC)
    return line


def _json(line: Line) -> str:
    try:
        return orjson.dumps(line, default=repr, option=orjson.OPT_UTC_Z).decode()
    except TypeError:  # such as a lone surrogate, or an integer of more than 64 bits
        return json.dumps(line | {"timestamp": _iso(line)}, default=repr)


def _console(*, colors: bool) -> Callable[[Line], str]:
    render = structlog.dev.ConsoleRenderer(
        colors=colors,
        exception_formatter=structlog.dev.plain_traceback,
        pad_event_to=0,
        sort_keys=False,
    )
    return lambda line: str(render(None, line["level"], line | {"timestamp": _iso(line)}))


def _iso(line: Line) -> str:
    moment: datetime = line["timestamp"]
    return moment.isoformat().replace("+00:00", "Z")
