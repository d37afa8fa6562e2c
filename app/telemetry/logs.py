"""Structured logs of this program and its libraries, on standard output."""

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
# A rendered line, or a function that renders it.
Rendered = str | Callable[[], str]

# Seconds that a line may wait, to be written together with others.
_WAIT = 0.05
# Lines that may wait. The thread that adds one more writes them all: a slow reader slows calls down, and no
# line is lost.
_MOST = 10_000

# The first keys of each line.
_HEAD: Line = {"timestamp": None, "level": None, "event": None}


@contextmanager
def logs(level: str, form: str | None, out: TextIO | None = None) -> Iterator["Lines"]:
    """Configures structlog and the standard library's logging; writes all lines on exit.

    `form` is json or console; with None, console if `out` is a terminal. `out` is standard output by default.
    Every line has `timestamp` (ISO 8601, UTC), `level` and `event`. Tracebacks never show local variables.
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
    # This logger warns at each call with a malformed `tracestate`, which any caller may send.
    logging.getLogger("opentelemetry.trace.span").setLevel(logging.ERROR)
    logging.getLogger("grpc._cython.cygrpc").addFilter(_repeats_no_metadata)
    least = max(_LEVELS[level.upper()], logging.WARNING)
    logging.basicConfig(handlers=[_FromLibraries()], level=least, force=True)
    with lines:
        yield lines


# Logs a line, given a function that makes it of values, and the values.
Write = Callable[..., None]


def writer(level: str, event: str) -> Write:
    """Returns a function that logs an event which occurs thousands of times per second.

    The thread that writes a line makes it: many in a row cost a fraction of what single ones cost between
    calls. Neither the function nor a value may change until then.
    """
    log = structlog.get_logger().bind()
    lines = structlog.get_config()["logger_factory"]()
    number = _LEVELS[level.upper()]
    if not log.is_enabled_for(number):
        return lambda _make, *_values: None
    if not isinstance(lines, Lines):  # structlog is configured otherwise
        return lambda make, *values: log.log(number, event, **make(*values))
    put, render, now = lines.info, lines.render, time.time

    def rendered(seconds: float, make: Callable[..., Line], values: tuple[Any, ...]) -> str:
        moment = datetime.fromtimestamp(seconds, UTC)
        return render({"timestamp": moment, "level": level, "event": event, **make(*values)})

    def write(make: Callable[..., Line], *values: Any) -> None:
        put(partial(rendered, now(), make, values))

    return write


class Lines:
    """The logger that structlog wraps. Its thread writes several lines at a time.

    A write for each line would cost a call as much as the rest of the chain. Warnings, errors and the lines
    before them are written at once. A line that cannot be written, because the disk is full or the reader is
    gone, is lost: logs must not fail calls.
    """

    def __init__(self, out: TextIO, render: Callable[[Line], str]) -> None:
        self._out = out
        self.render = render
        self._waiting: deque[Rendered] = deque()
        self._writing = Lock()
        self._some = Event()
        self._closed = Event()
        self._thread = Thread(target=self._run, name="logs", daemon=True)
        self._most = 0  # until the thread runs

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
        """Writes all lines that were logged before."""
        with self._writing:
            if not self._closed.is_set():
                self._some.clear()  # first: a later line sets it again
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
        with self._writing:  # or a flush could clear the event that ends the thread
            self._closed.set()
            self._some.set()
        self._thread.join()
        self.flush()


def _text(line: Rendered) -> str:
    if isinstance(line, str):
        return line
    try:
        return line()
    except Exception as error:  # noqa: BLE001 - a bug must not end the thread that writes all lines
        moment = datetime.now(UTC)
        failed = {"timestamp": moment, "level": "error", "event": "log_render_failed", "error": repr(error)}
        return _json(failed)


class _FromLibraries(logging.Handler):
    """Passes records of the standard library's logging, which libraries use, to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(
            record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info
        )


def _repeats_no_metadata(record: logging.LogRecord) -> bool:
    """False for grpc's message about metadata that is not UTF-8: it contains the metadata, even tokens."""
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
