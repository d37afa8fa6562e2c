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
from app.database.errors import Unavailable
from app.database.places import Places

PostgresConnection = psycopg.Connection[tuple[Any, ...]]

# Seconds after which a connection that could not be made is tried again, at the request of a call. The pool's
# own default is to wait longer from time to time, up to minutes.
_RETRY = 0.3
# Seconds that a call waits for a new connection, if it may wait less for one that is in use.
_CONNECTING = 1.0
# Seconds between two looks of a waiting call at whether connecting has failed.
_LOOK = 0.02
# Seconds between two drops of all connections while the server is read-only: each call that writes asks for
# one.
_DROP_INTERVAL = 0.5
# Seconds; the pool makes it up to 5 % less for each connection, so that they do not expire together.
_MAX_LIFETIME = 1800
_MAX_IDLE = 300

_DEFAULTS: dict[str, str | int] = {
    "application_name": NAME,
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
    """A connection whose transactions are begun and ended by statements. Raises psycopg.Error."""
    return psycopg.Connection.connect(info, **SESSION)


# PgBouncer gives each transaction another connection, which lacks the statements that were prepared before.
SESSION: dict[str, Any] = {"autocommit": True, "prepare_threshold": None}


class Connections:
    """A pool of at most `size`, with connections to the URL that `info` returns. Safe from any thread.

    psycopg_pool makes and replaces them. It leaves open whether a call that gets none has come at a busy
    time, or whether the server is down; so a semaphore counts those in use, and a call that may have one is
    refused as soon as connecting fails.
    """

    def __init__(self, info: Callable[[], str], size: int, wait: float) -> None:
        # psycopg_pool warns of each failure; we log changes.
        logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
        self._log = structlog.get_logger()
        self.places = Places(size, wait)
        self._info = info
        self._last_info = info()
        self._wait = max(wait, _CONNECTING)
        self._lock = Lock()
        self._failures = 0
        self._failed_at = -1e9
        self._dropped_at = -1e9
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

    def _note(self, error: psycopg.Error | None) -> None:
        """An attempt to connect has ended."""
        with self._lock:
            if error is None:
                if self._failed_at > 0:
                    self._log.info("database_reached")
                self._failed_at = -1e9
                return
            first = self._failed_at < 0
            self._failures += 1
            self._failed_at = time.monotonic()
        if first:
            self._log.error("database_unreachable", problem=str(error).strip())

    def acquire(self, bound: Bound) -> PostgresConnection:
        """A connection, to be given back by `release`. Raises Exhausted, Unavailable, or as `bound.check`."""
        self.places.take(bound)
        try:
            return self._connected(bound)
        except BaseException:
            self.places.free()
            raise

    def _connected(self, bound: Bound) -> PostgresConnection:
        self._renew_if_changed()
        with self._lock:
            failures, down = self._failures, time.monotonic() - self._failed_at < _RETRY
        ends_at = time.monotonic() + self._wait
        while True:
            bound.check()
            try:
                return self._pool.getconn(timeout=_LOOK if not down else 0.001)
            except PoolTimeout:
                if down or self._failures != failures or time.monotonic() > ends_at:
                    raise Unavailable("the database cannot be reached", "unreachable") from None
            except PoolClosed:  # by a server that ends, with a call that did not
                raise Unavailable("this server has closed its connections to the database", "pool") from None

    def _renew_if_changed(self) -> None:
        """Replaces all connections if the URL has changed, those in use when they are given back."""
        info = self._info()
        if info == self._last_info:
            return
        with self._lock:
            if info == self._last_info:
                return
            self._last_info = info
            self._dropped_at = time.monotonic()
        self._log.info("database_url_changed")
        self._pool.drain()

    def release(self, connection: PostgresConnection) -> None:
        """Gives a connection back. One that was closed is replaced when it is needed."""
        self._pool.putconn(connection)
        self.places.free()

    def drop(self, connection: PostgresConnection, *, gone: bool) -> None:
        """Closes all connections as old as this one: its server has gone, or else takes no writes.

        Those in use are closed when they are given back.
        """
        with self._lock:
            now = time.monotonic()
            made_at: float = getattr(connection, "made_at", now)
            if made_at <= self._dropped_at or (not gone and now - self._dropped_at < _DROP_INTERVAL):
                return
            self._dropped_at = now
        self._pool.drain()


def _noting(note: Callable[[psycopg.Error | None], None]) -> type[PostgresConnection]:
    """A class of connections that tells how each attempt to connect has ended."""

    class Noting(psycopg.Connection[tuple[Any, ...]]):
        made_at = 0.0

        @classmethod
        def connect(cls, *arguments: Any, **named: Any) -> Any:
            try:
                made = super().connect(*arguments, **named)
            except psycopg.Error as error:
                note(error)
                raise
            note(None)
            made.made_at = time.monotonic()
            return made

    return Noting
