"""The connections to PostgreSQL."""

import logging
import time
from collections.abc import Callable
from threading import Lock
from types import TracebackType
from typing import Any, Self

import psycopg
import structlog
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from app.core.name import NAME
from app.database.bound import Bound
from app.database.breaker import Breaker
from app.database.errors import Exhausted, Unavailable
from app.database.places import Places


class Warnings:
    """How many warnings the server has sent on a connection."""

    count = 0

    def hear(self, notice: psycopg.errors.Diagnostic) -> None:
        self.count += notice.severity_nonlocalized == "WARNING"


class PostgresConnection(psycopg.Connection[tuple[Any, ...]]):
    made_at: float  # on time.monotonic's clock, when connecting began
    warnings: Warnings

    @classmethod
    def connect(cls, *arguments: Any, **named: Any) -> Any:
        began = time.monotonic()
        made = super().connect(*arguments, **named)
        made.made_at, made.warnings = began, Warnings()
        made.add_notice_handler(made.warnings.hear)
        return made


# Seconds after which a connection that could not be made is tried again, at the request of a call. The pool's
# own default is to wait longer from time to time, up to minutes.
_RETRY = 0.3
# Seconds that a call waits for a new connection, if it may wait less for one that is in use.
_CONNECTING = 1.0
# Seconds for which a connection that was given back may be on its way to the next call.
_RETURNED = 0.1
# Seconds between two looks of a waiting call at whether connecting has failed.
_LOOK = 0.02
# Seconds between two drops of all connections while the server is read-only: each call that writes asks for
# one.
_DROP_INTERVAL = 0.5
# Two connections that are lost within as many seconds mean that the others are lost, too.
_LOST_TOGETHER = 10.0
# Different reasons for which connecting fails that are logged until it succeeds.
_REASONS = 10
# What PostgreSQL and PgBouncer say, in English, when they take no more connections.
_FULL = ("too many", "remaining connection slots", "no more connections")
# Seconds; the pool makes it up to 5 % less for each connection, so that they do not expire together.
_MAX_LIFETIME = 1800
_MAX_IDLE = 300

_DEFAULTS: dict[str, str | int] = {
    "application_name": NAME,
    "client_encoding": "UTF8",  # psycopg returns bytes for text of a database in SQL_ASCII otherwise
    # Notice within 20 s that an idle connection leads nowhere, and that what was sent is not acknowledged.
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "gssencmode": "disable",  # the wheels' libpq may lack it
}


def conninfo(url: str, connect_timeout: int) -> str:
    """What libpq connects with. What the URL says goes before our defaults."""
    found = {**_DEFAULTS, "connect_timeout": connect_timeout, **conninfo_to_dict(url)}
    if "," in str(found.get("host", "")):  # a primary and its standbys
        found.setdefault("target_session_attrs", "read-write")
    return make_conninfo("", **found)


def connect(info: str) -> PostgresConnection:
    """A connection whose transactions are begun and ended by statements.

    Raises psycopg.Error, OSError, such as for too many open files, and UnicodeError for a name that no host
    can have.
    """
    made: PostgresConnection = PostgresConnection.connect(info, **SESSION)
    return made


def check_encoding(connection: psycopg.Connection[Any]) -> None:
    """Raises Unavailable if the database cannot keep every text."""
    encoding = connection.info.parameter_status("server_encoding")
    if encoding not in (None, "UTF8", "SQL_ASCII"):  # the latter keeps the bytes that it is sent
        message = f"the database has the encoding {encoding}, which lacks characters"
        raise Unavailable(message, "schema", f"{message}; create another one with ENCODING 'UTF8'")


# PgBouncer gives each transaction another connection, which lacks the statements that were prepared before.
SESSION: dict[str, Any] = {"autocommit": True, "prepare_threshold": None}


class Connections:
    """A pool of at most `size`, with connections to the URL that `info` returns. Safe from any thread.

    Of them, half are for transactions that write, rounded up.

    psycopg_pool makes and replaces connections. It leaves open whether a call that gets none has come at a
    busy time, or whether the server is down; so places are counted apart from it, and a call that has a place
    is refused as soon as connecting fails.
    """

    def __init__(self, info: Callable[[], str], size: int, wait: float, breaker: Breaker) -> None:
        # psycopg_pool warns of each failure; we log changes.
        logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
        self._log = structlog.get_logger()
        self.places = Places(size, wait, writers=(size + 1) // 2)
        self._info = info
        self._last_info = info()
        self._wait = max(wait, _CONNECTING)
        self._breaker = breaker
        self._lock = Lock()
        self._made_at = 0.0  # when connecting has last succeeded, and failed
        self._failed_at = 0.0
        self._problem = ""  # why it has failed
        self._logged: set[str] = set()  # why it has failed since it succeeded
        self._lent = 0  # connections that transactions have
        self._returned_at = 0.0  # when one that works was given back
        self._lost_at = 0.0
        self._dropped_at = 0.0
        self._pool: ConnectionPool[PostgresConnection] = ConnectionPool(
            info,
            connection_class=_noting(self._note),
            kwargs=SESSION,
            min_size=0,
            max_size=size,
            max_lifetime=_MAX_LIFETIME,
            max_idle=_MAX_IDLE,
            reconnect_timeout=_RETRY,
            open=False,
        )

    def __enter__(self) -> Self:
        self._pool.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.close(timeout=1)

    def _note(self, error: Exception | None) -> None:
        """An attempt to connect has ended."""
        with self._lock:
            failed = self._failed_at > self._made_at
            if error is None:
                self._made_at = time.monotonic()
                self._logged.clear()
                news = failed
            else:
                self._failed_at = time.monotonic()
                self._problem = str(error).strip()
                news = self._problem not in self._logged and len(self._logged) < _REASONS
                self._logged.add(self._problem)
        if error is None and news:
            self._log.info("database_reached")
        elif news:
            self._log.error("database_unreachable", problem=self._problem)

    def acquire(self, bound: Bound, *, writes: bool) -> PostgresConnection:
        """A connection, to be given back by `release`. Raises Exhausted, Unavailable, or as `bound.check`."""
        self._breaker.check()
        self.places.take(bound, writes=writes)
        try:
            return self._connected(bound)
        except BaseException:
            self.places.free(writes=writes)
            raise

    def _connected(self, bound: Bound) -> PostgresConnection:
        self._renew_if_changed()
        began = time.monotonic()
        known = max(self._made_at, began - _RETRY)  # an attempt that fails later says something new
        while True:
            bound.check()
            self._breaker.check()
            try:
                found = self._pool.getconn(timeout=0.001 if self._down(known) else _LOOK)
            except PoolTimeout:
                self._check_wait(began, known)
            except PoolClosed:  # by a server that ends, with a call that did not
                raise Unavailable("this server has closed its connections to the database", "pool") from None
            else:
                if found.made_at <= self._dropped_at:  # connecting began before the drop, and ended after it
                    found.close()
                    self._pool.putconn(found)
                    continue
                with self._lock:
                    self._lent += 1
                return found

    def _check_wait(self, began: float, known: float) -> None:
        """Raises Unavailable or Exhausted if a call that has waited since then should not wait any longer.

        The pool makes one connection after the other, so a call may wait for those of several others.
        """
        over = time.monotonic() - began > self._wait
        if self._down(known) or (over and self._made_at < began and not self._others()):
            raise self._unreachable() from None
        if over:
            message = f"no connection to the database was free for {self._wait:g} s"
            raise Exhausted(message, "pool") from None

    def _unreachable(self) -> Unavailable:
        # libpq gives no SQLSTATE for it. A server that speaks another language counts as unreachable.
        if self._failed_at > self._made_at and any(text in self._problem for text in _FULL):
            return Unavailable("the database has no connection left", "too_many_connections")
        return Unavailable("the database cannot be reached", "unreachable")

    def _down(self, known: float) -> bool:
        """Whether connecting has failed since then, and no other call has a connection to wait for."""
        return self._failed_at > known and not self._others()

    def _others(self) -> bool:
        """Whether others have connections that work, as where PostgreSQL has fewer than the pool may have."""
        return self._lent > 0 or time.monotonic() - self._returned_at < _RETURNED

    def _renew_if_changed(self) -> None:
        """Replaces all connections if the URL has changed, those in use when they are given back."""
        info = self._info()
        if info == self._last_info:
            return
        with self._lock:
            if info == self._last_info:
                return
            self._last_info = info
        self._log.info("database_url_changed")
        self.drop()

    def release(self, connection: PostgresConnection, *, writes: bool) -> None:
        """Gives a connection back. One that was closed is replaced when it is needed."""
        with self._lock:
            self._lent -= 1
            if not connection.closed:
                self._returned_at = time.monotonic()
        try:
            self._pool.putconn(connection)
        finally:
            self.places.free(writes=writes)

    def lost(self, connection: PostgresConnection) -> None:
        """The connection has ended, and it is not known why. Drops all if it is not the only one."""
        with self._lock:
            now = time.monotonic()
            if connection.made_at <= self._dropped_at:
                return
            several, self._lost_at = now - self._lost_at < _LOST_TOGETHER, now
        if several:
            self.drop(connection.made_at)

    def drop(self, made_at: float | None = None, *, often: bool = True) -> None:
        """Closes all connections, those in use when they are given back.

        With `made_at`, only if they were not dropped since one that was made then; and if not `often`, not
        at each call.
        """
        with self._lock:
            now = time.monotonic()
            if made_at is not None and made_at <= self._dropped_at:
                return
            if not often and now - self._dropped_at < _DROP_INTERVAL:
                return
            self._dropped_at = now
        self._pool.drain()


def _noting(note: Callable[[Exception | None], None]) -> type[PostgresConnection]:
    """A class of connections that tells how each attempt to connect has ended."""

    class Noting(PostgresConnection):
        @classmethod
        def connect(cls, *arguments: Any, **named: Any) -> Any:
            try:
                made = super().connect(*arguments, **named)
            except Exception as error:  # such as too many open files, or a name that is no host's
                note(error)
                raise
            note(None)
            return made

    return Noting
