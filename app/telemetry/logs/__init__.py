"""Structured logs of this program and its libraries, on standard output.

- `configuration.py` configures structlog and the standard library's logging; `logger.py` has structlog's
  logger and its processors, `libraries.py` the handler of the standard library's records.
- `rendering.py` makes text of a line, and `cloud_logging.py` what Cloud Logging expects; `lines.py` has the
  lines that wait, and the thread that writes them to the `output.py`; `dropped.py` counts those that were
  dropped.
- `access.py` logs what occurs thousands of times per second.
- `process.py` logs what else the process says: `uncaught.py` exceptions that nobody handles, `streams.py`
  what is printed, and `standard_error.py` what C code writes, such as gRPC's core.
"""

from app.telemetry.logs.access import writer
from app.telemetry.logs.configuration import logs
from app.telemetry.logs.dropped import count_dropped
from app.telemetry.logs.lines import Lines

__all__ = ["Lines", "count_dropped", "logs", "writer"]
