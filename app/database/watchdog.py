"""Ends the statements of calls that are over."""

import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock
from types import TracebackType
from typing import Any, Self

import psycopg

from app.database.bound import Bound
from app.reload.ticker import Ticker

# How often the transactions are looked at, in seconds.
_INTERVAL = 0.05
# Seconds past the deadline for the server's own bound to end the statement, which keeps the connection.
_GRACE = 0.1
# How long a server may take to end a statement, after it was asked to.
_PATIENCE = 0.25


class Running:
    """A transaction on a connection."""

    def __init__(self, connection: psycopg.Connection[Any], bound: Bound) -> None:
        self.connection = connection
        self.bound = bound
        self._lock = Lock()
        self._over_at = 0.0  # when it was cancelled; 0 before
        # A file descriptor of its own: libpq closes the connection's when it breaks, at any moment.
        self._socket: int | None = os.dup(connection.fileno())

    def look(self, cancel: ThreadPoolExecutor) -> None:
        """Cancels the statement if its client has left, or its deadline has not ended it.

        Cuts the connection if that does not help.
        """
        with self._lock:
            if self._socket is None or not self.bound.over_for(_GRACE):
                return
            if not self._over_at:
                self._over_at = time.monotonic()
                cancel.submit(self._cancel)
            elif time.monotonic() - self._over_at > _PATIENCE:
                self._cut(self._socket)

    def _cancel(self) -> None:
        with suppress(psycopg.Error):  # if the server cannot be reached, it is cut
            self.connection.cancel_safe(timeout=1)

    def _cut(self, descriptor: int) -> None:
        with socket.socket(fileno=os.dup(descriptor)) as own, suppress(OSError):
            own.shutdown(socket.SHUT_RDWR)

    def end(self) -> bool:
        """Returns whether it was cancelled: the request may still be under way, and hit what comes next."""
        with self._lock:
            if self._socket is not None:
                os.close(self._socket)
                self._socket = None
            return self._over_at > 0


class Watchdog(Ticker):
    """Inside `with`, looks at the running transactions. Safe from any thread."""

    def __init__(self) -> None:
        super().__init__("database watchdog", _INTERVAL, self._look)
        self._running: set[Running] = set()
        self._cancel = ThreadPoolExecutor(2, "database-cancel")

    def watch(self, connection: psycopg.Connection[Any], bound: Bound) -> Running:
        running = Running(connection, bound)
        self._running.add(running)
        return running

    def end(self, running: Running) -> bool:
        """As `Running.end`."""
        self._running.discard(running)
        return running.end()

    def _look(self) -> None:
        for running in self._running.copy():
            running.look(self._cancel)

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._cancel.shutdown(wait=False, cancel_futures=True)
