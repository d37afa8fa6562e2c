"""Ends the statements of calls that are over, and of a database that does not answer."""

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
from app.database.breaker import SILENCE, Breaker
from app.database.door import answers
from app.reload.ticker import Ticker

# How often the transactions are looked at, in seconds.
_INTERVAL = 0.05
# Seconds past the deadline for the server's own bound to end the statement, which keeps the connection.
_GRACE = 0.1
# How often a statement is looked at until it counts as unanswered. Looks are counted, and not time, because a
# process that gets no time does not see the answers either.
_SILENT_LOOKS = round(SILENCE / _INTERVAL)
# Of those, how many are made before it is asked whether anything answers; the rest is for that answer.
_PATIENT_LOOKS = _SILENT_LOOKS // 4
# How long a server may take to end a statement, after it was asked to.
_PATIENCE = 0.25


class Running:
    """A transaction on a connection. `asks`, `ended`, `begun` and `silent` are for its own thread."""

    def __init__(
        self, connection: psycopg.Connection[Any], bound: Bound, breaker: Breaker, *, beside: bool
    ) -> None:
        """One `beside` those of calls finds out whether the database answers."""
        self.connection = connection
        self.bound = bound
        self.unanswered = False  # whether it was cut because the database did not answer
        self._breaker = breaker
        self._beside = beside
        self.begun = False  # whether its BEGIN was answered
        self._asking = False  # whether a statement was sent that has not ended yet
        self._looks = 0  # at that statement, or since another connection was answered
        self._door_answers = False
        self._was_cut = False
        self._lock = Lock()
        self._over_at = 0.0  # when it was cancelled; 0 before
        # A file descriptor of its own: libpq closes the connection's when it breaks, at any moment.
        self._socket: int | None = os.dup(connection.fileno())

    def asks(self) -> None:
        """A statement is about to be sent."""
        self._looks = 0
        self._door_answers = False
        self._asking = True

    def ended(self, *, answered: bool) -> None:
        """The statement has ended, by an answer of the database or not."""
        self._asking = False
        if answered and not self._beside:
            self._breaker.answered()

    @property
    def silent(self) -> bool:
        """Whether it was cut before its BEGIN was answered: the connection leads nowhere."""
        return self._was_cut and not self.begun

    def look(self, cancel: ThreadPoolExecutor) -> None:
        """Cancels the statement if its client has left, or its deadline has not ended it.

        Cuts the connection if that does not help, or if the database does not answer.
        """
        with self._lock:
            if self._socket is None or self.unanswered:
                return
            if self._unanswered():
                self.unanswered = True
                self._cut(self._socket)
            elif self._beside and not self.begun and self._asking and self._looks == _PATIENT_LOOKS:
                cancel.submit(self._ask_door)
            elif not self.bound.over_for(_GRACE):
                return
            elif not self._over_at:
                self._over_at = time.monotonic()
                cancel.submit(self._cancel)
            elif time.monotonic() - self._over_at > _PATIENCE:
                self._cut(self._socket)

    def _unanswered(self) -> bool:
        """Whether the database should have answered: a BEGIN takes it no time, and other statements may.

        PgBouncer may hold back those of all connections, and answers new ones.
        """
        self._looks += self._asking
        if not self._asking or self._looks <= _SILENT_LOOKS:
            return False
        if self._breaker.open and not self._beside:
            return True
        if self._beside:
            if self.begun or not self._door_answers:
                return True
            self._looks, self._door_answers = 0, False
            return False
        return not self.begun and not self._breaker.looking

    def _ask_door(self) -> None:
        with self._lock:
            if self._socket is None:
                return
            descriptor = os.dup(self._socket)
        try:
            self._door_answers = answers(descriptor, SILENCE)
        finally:
            os.close(descriptor)

    def _cancel(self) -> None:
        with suppress(psycopg.Error):  # if the server cannot be reached, it is cut
            self.connection.cancel_safe(timeout=1)

    def _cut(self, descriptor: int) -> None:
        self._was_cut = True
        own = socket.socket(fileno=descriptor)
        try:
            with suppress(OSError):
                own.shutdown(socket.SHUT_RDWR)
        finally:
            own.detach()

    def end(self) -> bool:
        """Returns whether it was cancelled or cut: what comes next on the connection might be hit, too."""
        with self._lock:
            if self._socket is not None:
                os.close(self._socket)
                self._socket = None
            return self._over_at > 0 or self.unanswered


class Watchdog(Ticker):
    """Inside `with`, looks at the running transactions. Safe from any thread."""

    def __init__(self, breaker: Breaker) -> None:
        super().__init__("database watchdog", _INTERVAL, self._look)
        self._breaker = breaker
        self._running: set[Running] = set()
        self._cancel = ThreadPoolExecutor(3, "database-cancel")

    def watch(self, connection: psycopg.Connection[Any], bound: Bound, *, beside: bool = False) -> Running:
        """Raises OSError, such as for too many open files, and psycopg.OperationalError if it is closed."""
        running = Running(connection, bound, self._breaker, beside=beside)
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
