"""Structured logs on standard output, from this program and from its libraries alike."""

import io
import logging
import sys
from contextlib import suppress
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

_LEVELS = logging.getLevelNamesMapping()


def configure_logs(level: str, form: str | None, out: TextIO = sys.stdout) -> None:
    """Sets structlog and the standard library's logging up. `form` is json or console; None: as `out` suits.

    Every line has `timestamp` (ISO 8601, UTC), `level` and `event`. Tracebacks never show local variables.
    """
    form = form or ("console" if out.isatty() else "json")
    safe: Any = _Unfailing(out)
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: list[Any] = (
        [structlog.processors.format_exc_info, _event_first, structlog.processors.JSONRenderer()]
        if form == "json"
        else [
            structlog.dev.ConsoleRenderer(
                colors=out.isatty(),
                exception_formatter=structlog.dev.plain_traceback,
                pad_event_to=0,
                sort_keys=False,
            )
        ]
    )
    structlog.configure(
        processors=shared + render,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(safe),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(safe)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    # One line of this logger's for each call with a malformed `tracestate`, which any caller may send.
    logging.getLogger("opentelemetry.trace.span").setLevel(logging.ERROR)
    logging.basicConfig(handlers=[handler], level=max(_LEVELS[level.upper()], logging.WARNING), force=True)


def _event_first(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """For people who read JSON."""
    return {key: event.pop(key) for key in ("timestamp", "level", "event") if key in event} | dict(event)


class _Unfailing(io.TextIOBase):
    """Loses what cannot be written: a full disk, or a reader that has gone, must not fail calls."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> int:
        encoding = getattr(self._out, "encoding", None) or "utf-8"
        with suppress(OSError, ValueError):
            self._out.write(text.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._out.flush()
