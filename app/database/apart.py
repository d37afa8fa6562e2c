"""The connection to PostgreSQL beside the pool."""

import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Self

import psycopg

from app.database.connections import PostgresConnection, connect
from app.database.errors import Unanswered, Unavailable

# What an attempt to connect with a text has come to.
_Made = tuple[str, PostgresConnection | Exception]


# Attempts at once: one that began while nothing answered may never end, and a later one succeeds.
_ATTEMPTS = 3


class Apart:
    """Inside `with`, one connection, for one thread, made when it is needed.

    Other threads make it, because libpq may take longer to connect than the caller may wait.
    """

    def __init__(self, info: Callable[[], str]) -> None:
        self._info = info
        self._made: SimpleQueue[_Made] = SimpleQueue()
        self._attempts = 0  # that were begun, and not taken from the queue yet
        self._connection: PostgresConnection | None = None
        self._of = ""  # what it is connected with
        self._closed = False

    def get(self, seconds: float) -> PostgresConnection:
        """Raises Unavailable; Unanswered if the database does not answer within the seconds."""
        info = self._info()
        if self._connection is None or self._connection.closed or info != self._of:
            self.close()
            self._connection, self._of = self._connected(info, seconds), info
        self._discard_late()
        return self._connection

    def _connected(self, info: str, seconds: float) -> PostgresConnection:
        if self._attempts < _ATTEMPTS:
            Thread(target=self._connect, args=(info,), name="database-connect", daemon=True).start()
            self._attempts += 1
        ends_at = time.monotonic() + seconds
        while True:
            try:
                of, made = self._made.get(timeout=max(0.0, ends_at - time.monotonic()))
            except Empty:
                raise Unanswered from None
            self._attempts -= 1
            if isinstance(made, psycopg.errors.ConnectionTimeout):
                continue  # of an earlier attempt
            if isinstance(made, Exception):
                raise Unavailable(f"the database cannot be reached: {made}".strip(), "unreachable") from None
            if of == info:
                return made
            made.close()

    def _connect(self, info: str) -> None:
        try:
            self._made.put((info, connect(info)))
        except Exception as error:  # noqa: BLE001 - such as too many open files, or a name that is no host's
            self._made.put((info, error))
        if self._closed:
            self._discard_late()

    def _discard_late(self) -> None:
        """Closes connections that were made after another attempt had succeeded."""
        with suppress(Empty):
            while True:
                _, made = self._made.get_nowait()
                self._attempts -= 1
                if isinstance(made, PostgresConnection):
                    made.close()

    def close(self) -> None:
        """The next `get` makes another connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self.close()
        self._discard_late()
