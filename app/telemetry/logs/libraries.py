"""What libraries, and code that does not use structlog, log with the standard library's logging."""

import logging
from collections.abc import Mapping
from typing import Any

from app.telemetry.logs.lines import Lines
from app.telemetry.logs.logger import LEVELS, Processor, standard_level
from app.telemetry.logs.rendering import safe_repr

# Loggers that say too much, and the lowest level that is logged of each. All others follow APP_LOG_LEVEL.
LOUD: Mapping[str, int] = {
    "asyncio": logging.WARNING,  # its selector, at each start of a loop
    "opentelemetry.trace.span": logging.ERROR,  # each malformed `tracestate`, which any caller may send
    "urllib3": logging.WARNING,  # each request of an exporter
}

# What a record has without `extra=`.
_OF_RECORDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure_libraries(lines: Lines, process: Processor, level: int) -> None:
    """Makes the root logger log to `lines`, and holds loud loggers down. Replaces the root's handlers."""
    logging.basicConfig(handlers=[_Handler(lines, process)], level=level, force=True)
    for name, lowest in LOUD.items():
        logging.getLogger(name).setLevel(max(level, lowest))
    logging.getLogger("grpc._cython.cygrpc").addFilter(_repeats_no_metadata)


class _Handler(logging.Handler):
    """Logs records in the form of all other lines."""

    def __init__(self, lines: Lines, process: Processor) -> None:
        super().__init__()
        self._lines = lines
        self._process = process

    def handle(self, record: logging.LogRecord) -> bool:
        # Without the handler's lock: lines may be added by any thread.
        level = LEVELS[standard_level(record.levelno)]
        getattr(self._lines, level)(self._process(None, level, _line(record)))
        return True


def _line(record: logging.LogRecord) -> dict[str, Any]:
    line = {str(name): value for name, value in vars(record).items() if name not in _OF_RECORDS}
    try:
        line["event"] = record.getMessage()
    except Exception as error:  # noqa: BLE001 - its values do not fit its text
        line |= {"event": "log_render_failed", "error": safe_repr(error), "text": safe_repr(record.msg)}
    line["logger"] = record.name
    if record.stack_info:
        line["stack"] = record.stack_info
    if record.exc_info:
        line["exc_info"] = record.exc_info
    elif record.exc_text:  # a record that was prepared for a queue
        line["exception"] = record.exc_text
    return line


def _repeats_no_metadata(record: logging.LogRecord) -> bool:
    """False for grpc's message about metadata that is not UTF-8: it contains the metadata, even tokens."""
    return not str(record.msg).startswith("Invalid encoding")
