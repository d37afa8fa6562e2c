"""Structured logs on standard output, from this program and from its libraries alike."""

import logging
import sys
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

_LEVELS = logging.getLevelNamesMapping()


def configure_logs(level: str, form: str | None, out: TextIO = sys.stdout) -> None:
    """Sets structlog and the standard library's logging up. `form` is json or console; None: as `out` suits.

    Every line has `timestamp` (ISO 8601, UTC), `level` and `event`. Tracebacks never show local variables.
    """
    form = form or ("console" if out.isatty() else "json")
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: list[Any] = (
        [structlog.processors.format_exc_info, _event_first, structlog.processors.JSONRenderer()]
        if form == "json"
        else [
            structlog.dev.ConsoleRenderer(
                colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
            )
        ]
    )
    structlog.configure(
        processors=shared + render,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(_LEVELS[level.upper()], logging.WARNING), force=True)


def _event_first(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """For people who read JSON."""
    return {key: event.pop(key) for key in ("timestamp", "level", "event") if key in event} | dict(event)
