"""PostgreSQL."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

import psycopg

from app.core.database import Connection, Dialect
from app.database.apart import Apart
from app.database.bound import Bound
from app.database.breaker import SILENCE, Breaker
from app.database.connections import Connections
from app.database.errors import Unanswered
from app.database.postgres_errors import is_lost
from app.database.postgres_transaction import READ, WRITE, PostgresTransaction
from app.database.watchdog import Watchdog

# A connection that broke before its transaction began is replaced, this often.
_ATTEMPTS = 3


class PostgresDatabase:
    """A server of PostgreSQL, or several of which one takes writes. It need not be up.

    While a transaction `apart` is not answered, others are refused at once.
    """

    dialect: Dialect = "postgresql"

    def __init__(self, info: Callable[[], str], size: int, wait: float) -> None:
        """`info` is what to connect with; it may change. See `Connections` for the rest."""
        self._breaker = Breaker()
        self.connections = Connections(info, size, wait, self._breaker)
        self.places = (self.connections.places,)
        self._apart = Apart(info)
        self._watchdog = Watchdog(self._breaker)
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        self._opened.enter_context(self._apart)
        self._opened.enter_context(self._watchdog)
        self._opened.enter_context(self.connections)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.__exit__(kind, error, trace)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._transaction(READ, writes=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self._transaction(WRITE, writes=True) as connection:
            yield connection

    @contextmanager
    def apart(self) -> Iterator[Connection]:
        began = time.monotonic()
        try:
            with self._beside() as connection:
                yield connection
        except Unanswered:
            self._breaker.look_failed(began)
            raise
        except BaseException:
            self._look_answered()
            raise
        self._look_answered()

    def _look_answered(self) -> None:
        if self._breaker.look_answered():
            self.connections.drop()  # the others may lead to a host that will not answer again

    @contextmanager
    def _beside(self) -> Iterator[Connection]:
        connection = self._apart.get(SILENCE)
        bound = Bound(SILENCE)
        running = self._watchdog.watch(connection, bound, beside=True)
        transaction = PostgresTransaction(connection, running, writes=False)
        try:
            try:
                transaction.begin(WRITE)
                transaction.check_takes_writes()
            except psycopg.Error as error:
                raise transaction.failure(error) from error
            yield transaction
        finally:
            transaction.roll_back()
            # The next look may find the new primary at the same address.
            if self._watchdog.end(running) or transaction.lost or transaction.read_only:
                self._apart.close()

    @contextmanager
    def _transaction(self, begin: str, *, writes: bool) -> Iterator[Connection]:
        transaction = self._begin(begin, Bound(), writes=writes)
        try:
            yield transaction
            transaction.commit()
        except BaseException:
            transaction.roll_back()
            raise
        finally:
            self._end(transaction, writes=writes)

    def _begin(self, begin: str, bound: Bound, *, writes: bool) -> PostgresTransaction:
        """Begins on a connection that works: this statement is the check of one that was idle."""
        for attempt in range(1, _ATTEMPTS + 1):
            connection = self.connections.acquire(bound, writes=writes)
            try:
                running = self._watchdog.watch(connection, bound)
            except BaseException:  # such as too many open files
                self.connections.release(connection, writes=writes)
                raise
            transaction = PostgresTransaction(connection, running, writes=writes)
            try:
                transaction.begin(begin)
            except psycopg.Error as error:
                try:
                    failed = transaction.failure(error)
                finally:
                    self._end(transaction, writes=writes)
                if not is_lost(error) or running.unanswered or attempt == _ATTEMPTS:
                    raise failed from error
                bound.check()
            except BaseException:
                connection.close()
                self._end(transaction, writes=writes)
                raise
            else:
                return transaction
        raise AssertionError

    def _end(self, transaction: PostgresTransaction, *, writes: bool) -> None:
        """Gives the connection back, and drops the others where they are known not to work either."""
        connection = transaction.connection
        try:
            ended = self._watchdog.end(transaction.running)
            if ended:
                connection.close()
            if transaction.server_gone:
                self.connections.drop(connection.made_at)
            elif transaction.read_only:
                self.connections.drop(connection.made_at, often=False)
            elif transaction.running.silent or (transaction.lost_for_no_reason and not ended):
                self.connections.lost(connection)
        finally:
            self.connections.release(connection, writes=writes)
