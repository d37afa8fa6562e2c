"""Everything that the process says, in one form and in one place."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout

import structlog

from app.telemetry.logs.lines import Lines
from app.telemetry.logs.standard_error import standard_error_logged
from app.telemetry.logs.streams import LineStream
from app.telemetry.logs.uncaught import uncaught_logged


@contextmanager
def process_logged(lines: Lines, level: str, stderr_rate: int) -> Iterator[None]:
    """Logs what is printed, uncaught exceptions, warnings, and what C code writes to standard error.

    For one context in a process, within `logs`. On a terminal, `print` prints, for the sake of debuggers.
    """
    with ExitStack() as opened:
        real = opened.enter_context(standard_error_logged(lines, level, stderr_rate))
        opened.enter_context(redirect_stderr(LineStream(_log("stderr"), sys.stderr, real)))
        if not lines.for_people:
            out = sys.stdout
            opened.enter_context(redirect_stdout(LineStream(_log("stdout"), out, out.fileno())))
        opened.enter_context(uncaught_logged())
        yield


def _log(stream: str) -> Callable[[str], None]:
    def log(line: str) -> None:
        structlog.get_logger().info(line, logger=stream)

    return log
