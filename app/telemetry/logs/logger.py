"""structlog's logger as this program configures it. No line raises, whatever is logged."""

import bisect
import functools
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from app.core.call import CURRENT_CALL
from app.telemetry.logs.rendering import HEAD, Render, failed, safe_repr

# The levels that lines have.
LEVELS: Mapping[int, str] = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warning",
    logging.ERROR: "error",
    logging.CRITICAL: "critical",
}
_NUMBERS = sorted(LEVELS)


def standard_level(number: int) -> int:
    """The highest of the five levels that is not above the number: libraries have levels of their own."""
    return _NUMBERS[max(0, bisect.bisect_right(_NUMBERS, number) - 1)]


class Processor:
    """Makes the text of an event: adds what every line has, then renders it."""

    def __init__(self, render: Render) -> None:
        self._render = render
        self._processors: tuple[structlog.typing.Processor, ...] = (
            structlog.contextvars.merge_contextvars,
            _add_call,
            structlog.processors.add_log_level,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
        )

    def __call__(self, logger: WrappedLogger, name: str, line: EventDict) -> str:
        event = line.get("event")
        try:
            processed: Any = line
            for processor in self._processors:
                processed = processor(logger, name, processed)
        except Exception as error:  # noqa: BLE001 - logging must not fail a call
            return self._render(failed(error, text=event))
        return self._render({**HEAD, **processed, "timestamp": datetime.now(UTC)})


def _add_call(_logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
    call = CURRENT_CALL.get()
    if call is not None:
        line.setdefault("request_id", call.request_id)
        if call.trace:
            line.setdefault("trace_id", call.trace_id)
    return line


def logger_class(level: str) -> type[FilteringBoundLogger]:
    """A logger that drops lines below the level, and logs `log_render_failed` where a line cannot be made."""
    base = structlog.make_filtering_bound_logger(level)
    names = (*LEVELS.values(), "exception", "fatal", "warn", "msg")
    methods: dict[str, Any] = {name: _guarded(getattr(base, name)) for name in names}
    methods["log"] = _guarded(_log(base.log))
    return type(f"Guarded{base.__name__}", (base,), methods)


def _log(log: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(log)
    def log_at_standard_level(self: Any, level: int, *args: Any, **fields: Any) -> None:
        log(self, standard_level(level) if level >= logging.DEBUG else level, *args, **fields)

    return log_at_standard_level


def _guarded(method: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(method)
    def guarded(self: Any, *args: Any, **fields: Any) -> None:
        try:
            method(self, *args, **fields)
        except Exception as error:  # noqa: BLE001 - such as values that do not fit the event's %
            self._proxy_to_logger("error", "log_render_failed", error=safe_repr(error), text=args[:1])

    return guarded
