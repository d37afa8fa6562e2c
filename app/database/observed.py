"""Metrics and spans of a database."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

import structlog
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, TracerProvider
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from app.core.database import Connection, Dialect, Row
from app.core.errors import CallEnded, DeadlineExceeded
from app.database.backend import Backend
from app.database.errors import KINDS, Exhausted, Unavailable
from app.database.readiness import Readiness

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# The modules of their errors; those of the service are not counted.
_DRIVERS = ("psycopg", "sqlite3")
# Seconds between two log lines of the same problem.
_LOG_INTERVAL = 60.0
# The names that OpenTelemetry's conventions have for them.
_SYSTEMS: Mapping[Dialect, str] = {"postgresql": "postgresql", "sqlite": "sqlite"}


class ObservedDatabase:
    """The database that services are given: it counts and times transactions, and has a span for statements.

    A span has the statement's text, which has no values of parameters, and no messages of errors.
    """

    def __init__(self, backend: Backend, registry: CollectorRegistry, spans: TracerProvider) -> None:
        self.dialect: Dialect = backend.dialect
        self._backend = backend
        self._tracer = spans.get_tracer(__name__)
        self._duration = Histogram(
            "database_transaction_seconds",
            "How long transactions took, waiting included.",
            ["kind"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._errors = Counter(
            "database_errors", "Transactions that failed, by kind.", ["kind"], registry=registry
        )
        self._log = structlog.get_logger()
        self._logged_at: dict[str, float] = {}  # by the problem: a table and what was done with it
        for kind in KINDS:
            self._errors.labels(kind)
        _show_places(backend, registry)

    def reading(self) -> AbstractContextManager[Connection]:
        return self._transaction("read", self._backend.reading)

    def writing(self) -> AbstractContextManager[Connection]:
        return self._transaction("write", self._backend.writing)

    @contextmanager
    def _transaction(
        self, kind: str, begin: Callable[[], AbstractContextManager[Connection]]
    ) -> Iterator[Connection]:
        began = time.monotonic()
        try:
            with begin() as connection:
                yield _ObservedConnection(connection, self._tracer, _SYSTEMS[self.dialect])
        except Unavailable as error:
            self._errors.labels(error.kind).inc()
            self._log_problem(error.problem)
            raise
        except Exhausted as error:
            self._errors.labels(error.kind).inc()
            raise
        except DeadlineExceeded:
            self._errors.labels("deadline").inc()
            raise
        except CallEnded:
            self._errors.labels("client_left").inc()
            raise
        except Exception as error:
            if type(error).__module__.partition(".")[0] in _DRIVERS:
                self._errors.labels("other").inc()
            raise
        finally:
            self._duration.labels(kind).observe(time.monotonic() - began)

    def _log_problem(self, problem: str) -> None:
        """Logs what somebody has to do, such as a right to grant; not with each call."""
        now = time.monotonic()
        if problem and now - self._logged_at.get(problem, -_LOG_INTERVAL) >= _LOG_INTERVAL:
            self._logged_at[problem] = now
            self._log.error("database_unusable", problem=problem)


class _ObservedConnection:
    def __init__(self, connection: Connection, tracer: Tracer, system: str) -> None:
        self._connection = connection
        self._tracer = tracer
        self._system = system

    def execute(self, sql: str, parameters: Mapping[str, object] = {}) -> list[Row]:
        with self._span(sql):
            return self._connection.execute(sql, parameters)

    def execute_many(self, sql: str, parameters: Sequence[Mapping[str, object]]) -> None:
        with self._span(sql):
            self._connection.execute_many(sql, parameters)

    @contextmanager
    def _span(self, sql: str) -> Iterator[None]:
        operation = sql.split(maxsplit=1)[0].upper()
        with self._tracer.start_as_current_span(
            operation,
            kind=SpanKind.CLIENT,
            attributes={
                "db.system.name": self._system,
                "db.operation.name": operation,
                "db.query.text": sql,
            },
            record_exception=False,  # its message may have values
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except BaseException as error:
                cause = error.__cause__ or error
                state = getattr(cause, "sqlstate", None)
                if state:
                    span.set_attribute("db.response.status_code", state)
                span.set_attribute("error.type", state or type(cause).__name__)
                span.set_status(Status(StatusCode.ERROR))
                raise


def show_readiness(registry: CollectorRegistry, readiness: Readiness) -> None:
    """Registers whether the database can be used and has the right schema, and since when it has not."""
    up = Gauge("database_up", "1 while the database can be used, otherwise 0.", registry=registry)
    up.set_function(lambda: readiness.up)
    stale = Gauge(
        "database_stale_seconds",
        "Seconds since the database could be used last, or since the start; 0 while it can.",
        registry=registry,
    )
    stale.set_function(readiness.stale)


def _show_places(backend: Backend, registry: CollectorRegistry) -> None:
    places = backend.places
    most = Gauge("database_connections_limit", "Transactions that may run at once.", registry=registry)
    most.set(sum(one.size for one in places))
    used = Gauge("database_connections_used", "Transactions that run.", registry=registry)
    used.set_function(lambda: sum(one.used for one in places))
    most_writers = Gauge("database_writers_limit", "Transactions that may write at once.", registry=registry)
    most_writers.set(sum(one.writers for one in places))
    writers = Gauge("database_writers_used", "Transactions that write.", registry=registry)
    writers.set_function(lambda: sum(one.writing for one in places))
    waiting = Gauge("database_waiting", "Transactions that wait for others to end.", registry=registry)
    waiting.set_function(lambda: sum(one.waiting for one in places))
    waited = Histogram(
        "database_wait_seconds",
        "How long transactions waited for others to end; connecting is not included.",
        buckets=_BUCKETS,
        registry=registry,
    )
    for one in places:
        one.waited = waited.observe
