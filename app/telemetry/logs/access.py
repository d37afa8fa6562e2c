"""Events that occur thousands of times per second."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import structlog

from app.telemetry.logs.lines import Lines
from app.telemetry.logs.rendering import Line

# Logs a line, given a function that makes it of values, and the values.
Write = Callable[..., None]


def writer(level: str, event: str) -> Write:
    """Returns a function that logs an event which occurs thousands of times per second.

    The thread that writes a line makes it: many in a row cost a fraction of what single ones cost between
    calls. Neither the function nor a value may change until then.
    """
    log = structlog.get_logger().bind()
    lines = structlog.get_config()["logger_factory"]()
    number = logging.getLevelNamesMapping()[level.upper()]
    if not log.is_enabled_for(number):
        return lambda _make, *_values: None
    if not isinstance(lines, Lines):  # structlog is configured otherwise
        return lambda make, *values: log.log(number, event, **make(*values))
    put, render, now = lines.put, lines.render, time.time

    def rendered(seconds: float, make: Callable[..., Line], values: tuple[Any, ...]) -> str:
        moment = datetime.fromtimestamp(seconds, UTC)
        return render({"timestamp": moment, "level": level, "event": event, **make(*values)})

    def write(make: Callable[..., Line], *values: Any) -> None:
        put(partial(rendered, now(), make, values))

    return write
