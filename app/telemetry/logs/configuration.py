"""The configuration of structlog and of the standard library's logging."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import structlog

from app.telemetry.logs.libraries import configure_libraries
from app.telemetry.logs.lines import MOST, Lines
from app.telemetry.logs.logger import Processor, logger_class
from app.telemetry.logs.rendering import Render, console_renderer, json_renderer


@contextmanager
def logs(
    level: str,
    form: str | None,
    out: TextIO | None = None,
    most_waiting: int = MOST,
    json: Render = json_renderer,
) -> Iterator[Lines]:
    """Configures structlog and the standard library's logging; writes all lines on exit, within a bound.

    `form` is json or console; with None, console if `out` is a terminal. `out` is standard output by default.
    Every line has `timestamp` (ISO 8601, UTC), `level` and `event`, which `json` may name otherwise; within a
    call it has `request_id` and `trace_id`. Tracebacks never show local variables. Logging neither blocks nor
    raises: lines are dropped and counted where more than `most_waiting` wait, in units of 1 KiB, or where
    they cannot be written.
    """
    out = out or sys.stdout
    form = form or ("console" if out.isatty() else "json")
    render = console_renderer(colors=out.isatty()) if form == "console" else json
    lines = Lines(out, render, most_waiting, for_people=form == "console")
    process = Processor(render)
    structlog.configure(
        processors=[process],
        wrapper_class=logger_class(level),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )
    configure_libraries(lines, process, logging.getLevelNamesMapping()[level.upper()])
    with lines:
        yield lines
