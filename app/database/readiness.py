"""Whether a server may be sent calls that use its database."""

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import structlog

from app.core.errors import DeadlineExceeded, StatusError
from app.database.backend import Backend
from app.database.database_settings import Outage
from app.database.errors import Unavailable
from app.database.migrations import Migration, SchemaError, applied, check_current
from app.reload.ticker import Ticker

# Seconds between two looks.
INTERVAL = 0.5
# Looks in a row that fail before a server is not ready: a database that is restarted within a second moves no
# client to another server, which would find the same.
FAILURES = 3
# Looks in a row that succeed before it is ready again: a database that crashes as it starts is not up.
SUCCESSES = 2


class Readiness:
    """Inside `with`, looks at the database and its schema on a thread, and says when readiness changes.

    A server is not ready before the first look that succeeds, or that finds an outage with `serve-reads`.
    With that, only a schema that is wrong makes a server not ready, until a look succeeds, even if the
    database goes away meanwhile. The log has each change, and the reason.
    """

    def __init__(
        self,
        backend: Backend,
        known: Sequence[Migration],
        set_ready: Callable[[bool], None],
        outage: Outage,
    ) -> None:
        self._backend = backend
        self._known = known
        self._set_ready = set_ready
        self._outage = outage
        self._log = structlog.get_logger()
        self.up = False  # whether the database can be used, by the last looks
        self._up_at = time.monotonic()  # when it could be used last, or the start
        self._problem = "not yet looked at"
        self._schema_wrong = False  # by the last look that the database answered
        self._failures = 0
        self._successes = SUCCESSES - 1  # at the start, one is enough
        self._ticker = Ticker("database readiness", INTERVAL, self.look, at_once=True)

    def __enter__(self) -> Self:
        self._set_ready(False)
        self._ticker.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ticker.__exit__(kind, error, trace)

    def stale(self) -> float:
        """Seconds since the database could be used last, or since the start; 0 while it can."""
        return 0.0 if self.up and not self._failures else time.monotonic() - self._up_at

    def look(self) -> None:
        """Looks once."""
        try:
            with self._backend.apart() as connection:
                check_current(self._known, applied(connection, self._backend.dialect))
        except SchemaError as error:
            self._schema_is_wrong(str(error))
        except Unavailable as error:
            if error.kind == "schema":
                self._schema_is_wrong(error.problem)
            else:
                self._failed(error.problem or error.message)
        except DeadlineExceeded:
            self._failed("the look at the database took too long")
        except StatusError as error:
            self._failed(error.message)
        except Exception as error:  # noqa: BLE001 - such as a driver's bug
            self._failed(str(error).strip())
        else:
            self._succeeded()

    def _schema_is_wrong(self, problem: str) -> None:
        if problem != self._problem:
            self._log.error("database_schema_wrong", problem=problem)
        self._problem = problem
        self._schema_wrong = True
        self.up = False
        self._failures = 0  # the database answers
        self._successes = SUCCESSES - 1  # it is right as soon as it is seen so
        self._set_ready(False)

    def _failed(self, problem: str) -> None:
        self._successes = 0
        self._failures += 1
        if self._failures != FAILURES:
            return
        self._log.error("database_down", problem=problem)
        self._problem = problem
        self.up = False
        self._set_ready(self._outage == "serve-reads" and not self._schema_wrong)

    def _succeeded(self) -> None:
        self._up_at = time.monotonic()
        self._schema_wrong = False
        self._failures = 0
        self._successes += 1
        if self.up or self._successes < SUCCESSES:
            return
        self._log.info("database_up")
        self._problem = ""
        self.up = True
        self._set_ready(True)
